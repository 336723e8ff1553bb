//! Signing messages: Standard Webhooks, HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::Secret;
use crate::base::secret::random_bytes;
use crate::base::signing::SigningKey;

const PREFIX: &str = "whsec_";

/// What signs the messages to one address: 32 random bytes, written as `whsec_` and their base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSecret(Secret<[u8; 32]>);

impl SigningSecret {
    #[must_use]
    pub fn fresh() -> SigningSecret {
        SigningSecret(Secret::new(random_bytes()))
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<SigningSecret> {
        bytes.try_into().ok().map(|bytes| SigningSecret(Secret::new(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The text for whoever runs the address.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0.expose()))
    }

    /// A signature as the header has it. `timestamp` is in seconds.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = SigningKey(self.0.clone()).sign(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(signed))
    }
}

/// One signature for each secret, the newest first, as the header has them.
pub(super) fn signatures(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &str) -> String {
    secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;

    /// The key, id, time and body of the scheme's own documentation, with the signature that it gives for them.
    #[test]
    fn a_known_message_has_its_known_signature() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap_or_default();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { panic!("a key") };
        mac.update(b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}");
        let signed = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(signed, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        // And ours, with the bytes 0 to 31, as another program computed it.
        let ours = SigningSecret::from_bytes((0..32).collect())
            .map(|key| key.sign("msg_1", 1_614_265_330, r#"{"test": 2432232314}"#));
        assert_eq!(ours.as_deref(), Some("v1,GWvjEzx3AphU7wha3hNZPXJnymF9Fg+ZdvPQqWPOjZ0="));
    }

    #[test]
    fn two_secrets_give_two_signatures_and_neither_is_shown_by_debug() {
        let (new, old) = (SigningSecret::fresh(), SigningSecret::fresh());
        let both = signatures(&[new.clone(), old.clone()], "msg_1", 1, "{}");
        assert_eq!(both, format!("{} {}", new.sign("msg_1", 1, "{}"), old.sign("msg_1", 1, "{}")));
        assert!(new.reveal().starts_with("whsec_") && new.reveal().len() == PREFIX.len() + 44);
        assert!(!format!("{new:?}").contains(&new.reveal()[6..]));
        assert_ne!(new.sign("msg_1", 1, "{}"), new.sign("msg_1", 2, "{}"));
    }
}
