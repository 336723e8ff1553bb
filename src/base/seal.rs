//! Sealing secrets for storage: XChaCha20-Poly1305 with a random nonce, bound to what the secret is for.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::Rng;

use super::secret::{Digest, Secret};

const NONCE_BYTES: usize = 24;

/// A secret as the database keeps it.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Which key sealed it, so that keys can be changed one day.
    pub key_id: String,
    pub nonce: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the secret could not be sealed")]
    Seal,
    #[error("the secret was sealed with another key; restore the key that was configured then")]
    OtherKey,
    #[error("the sealed secret is damaged or belongs to something else")]
    Damaged,
}

/// Seals and opens with one key.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    key_id: String,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", self.key_id)
    }
}

impl Sealer {
    #[must_use]
    pub fn new(key: &Secret<[u8; 32]>) -> Sealer {
        let key_id = Digest::of(key.expose()).to_hex().chars().take(12).collect();
        Sealer { cipher: XChaCha20Poly1305::new(key.expose().into()), key_id }
    }

    /// `purpose` names what the secret is for, and for whom; it opens for nothing else.
    ///
    /// # Errors
    /// `Seal`, which does not happen with secrets of sensible length.
    pub fn seal(&self, purpose: &str, secret: &Secret<String>) -> Result<Sealed, SealError> {
        self.seal_bytes(purpose, secret.expose().as_bytes())
    }

    /// The same for what is no text.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn seal_bytes(&self, purpose: &str, bytes: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: bytes, aad: purpose.as_bytes() };
        let ciphertext = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Seal)?;
        Ok(Sealed { key_id: self.key_id.clone(), nonce: nonce.to_vec(), ciphertext })
    }

    /// # Errors
    /// `OtherKey` or `Damaged`.
    pub fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Secret<String>, SealError> {
        let plain = self.open_bytes(purpose, sealed)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| SealError::Damaged)
    }

    /// # Errors
    /// `OtherKey` or `Damaged`.
    pub fn open_bytes(&self, purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        if sealed.key_id != self.key_id {
            return Err(SealError::OtherKey);
        }
        let nonce: [u8; NONCE_BYTES] = sealed.nonce.as_slice().try_into().map_err(|_| SealError::Damaged)?;
        let payload = Payload { msg: &sealed.ciphertext, aad: purpose.as_bytes() };
        self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Damaged)
    }

    /// Which key it seals with; says nothing about the key itself.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_for_its_purpose_and_key() {
        let ours = Sealer::new(&Secret::new([1; 32]));
        let secret = Secret::new("sk-upstream".to_owned());
        let sealed = ours.seal("provider:openai", &secret).unwrap_or_else(|error| panic!("{error}"));
        assert!(!sealed.ciphertext.windows(4).any(|part| part == b"upst"));
        assert_eq!(ours.open("provider:openai", &sealed), Ok(secret));
        assert_eq!(ours.open("provider:groq", &sealed), Err(SealError::Damaged));
        let other = Sealer::new(&Secret::new([2; 32]));
        assert_eq!(other.open("provider:openai", &sealed), Err(SealError::OtherKey));
    }
}
