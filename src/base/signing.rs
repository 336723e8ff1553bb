//! A key that signs what the database keeps.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Secret;

/// Signs digests (HMAC-SHA-256, RFC 2104). The database never has it, so whoever has only the database can forge none.
#[derive(Clone, Debug)]
pub struct SigningKey(pub Secret<[u8; 32]>);

impl SigningKey {
    #[must_use]
    pub fn sign(&self, digest: &[u8]) -> Vec<u8> {
        // HMAC takes keys of any length, so this cannot fail; an empty signature matches none.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose()) else { return Vec::new() };
        mac.update(digest);
        mac.finalize().into_bytes().to_vec()
    }

    #[must_use]
    pub fn has_signed(&self, digest: &[u8], signature: &[u8]) -> bool {
        let right = self.sign(digest);
        !right.is_empty() && right.ct_eq(signature).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_signs() {
        let (ours, other) = (SigningKey(Secret::new([1; 32])), SigningKey(Secret::new([2; 32])));
        let signature = ours.sign(b"digest");
        assert!(ours.has_signed(b"digest", &signature) && !other.has_signed(b"digest", &signature));
        assert!(!ours.has_signed(b"other", &signature) && !ours.has_signed(b"digest", b""));
    }
}
