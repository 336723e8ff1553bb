//! Codes of an authenticator app (RFC 6238).

use chrono::{DateTime, Utc};
use totp_rs::{Builder, Totp};

use crate::base::Secret;
use crate::base::secret::random_bytes;

const DIGITS: u8 = 6;
const STEP_SECONDS: u64 = 30;
/// Steps that a phone's clock may be off, before and after.
const DRIFT: u16 = 1;
/// 160 bits, which RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

/// What an app and we know.
#[derive(Clone, Debug)]
pub struct AppSecret(Secret<[u8; SECRET_BYTES]>);

impl AppSecret {
    #[must_use]
    pub fn fresh() -> AppSecret {
        let mut secret = [0; SECRET_BYTES];
        secret.copy_from_slice(&random_bytes()[..SECRET_BYTES]);
        AppSecret(Secret::new(secret))
    }

    /// As it is sealed.
    #[must_use]
    pub fn to_hex(&self) -> Secret<String> {
        Secret::new(hex::encode(self.0.expose()))
    }

    #[must_use]
    pub fn from_hex(text: &Secret<String>) -> Option<AppSecret> {
        let bytes = hex::decode(text.expose()).ok()?;
        Some(AppSecret(Secret::new(bytes.try_into().ok()?)))
    }

    fn totp(&self, issuer: &str, account: &str) -> anyhow::Result<Totp> {
        let secret = totp_rs::Secret::new(self.0.expose().to_vec().into_boxed_slice());
        // A colon separates the two in the address that the app reads.
        let plain = |text: &str| text.replace(':', " ");
        Builder::new()
            .with_digits(DIGITS)
            .with_step_duration(STEP_SECONDS)
            .with_skew(DRIFT)
            .with_secret(secret)
            .with_issuer(Some(plain(issuer)))
            .with_account_name(plain(account))
            .build()
            .map_err(|error| anyhow::anyhow!("the secret of an app cannot be used: {error}"))
    }

    /// The secret for typing it in, in groups of four.
    ///
    /// # Errors
    /// Those of the library; they do not happen with our constants.
    pub fn to_text(&self) -> anyhow::Result<String> {
        let text = self.totp("Farebox", "account")?.secret().to_base32();
        let letters: Vec<char> = text.chars().collect();
        Ok(letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" "))
    }

    /// The `otpauth:` address that the QR code holds. It is a secret.
    ///
    /// # Errors
    /// Those of the library; they do not happen with our constants.
    pub fn to_url(&self, issuer: &str, account: &str) -> anyhow::Result<Secret<String>> {
        let url = self.totp(issuer, account)?.to_url();
        url.map(Secret::new).map_err(|error| anyhow::anyhow!("the address for the app cannot be written: {error}"))
    }

    /// The time step whose code this is; `None` when it is the code of none that counts now.
    ///
    /// # Errors
    /// Those of the library; they do not happen with our constants.
    pub fn step_of(&self, code: &str, now: DateTime<Utc>) -> anyhow::Result<Option<i64>> {
        let time = u64::try_from(now.timestamp()).unwrap_or_default();
        let step = self.totp("Farebox", "account")?.check(code, time);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }
}

/// The six digits that somebody typed, with or without spaces; `None` when it is no code of an app.
#[must_use]
pub fn digits(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).take(DIGITS as usize + 1).collect();
    (digits.len() == DIGITS as usize && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, SHA-1: the last six of its eight digits.
        let secret = AppSecret(Secret::new(*b"12345678901234567890"));
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(secret.step_of(code, at(seconds)).unwrap(), Some(seconds / 30), "{seconds}");
            assert_eq!(secret.step_of(code, at(seconds + 30)).unwrap(), Some(seconds / 30), "one step late");
            assert_eq!(secret.step_of(code, at(seconds + 61)).unwrap(), None, "two steps late");
        }
    }

    #[test]
    fn a_secret_reads_back_and_its_address_names_the_account() {
        let secret = AppSecret::fresh();
        let again = AppSecret::from_hex(&secret.to_hex()).unwrap();
        assert_eq!(secret.to_text().unwrap(), again.to_text().unwrap());
        let url = secret.to_url("Farebox (localhost:8080)", "ada@example.com").unwrap();
        assert!(url.expose().starts_with("otpauth://totp/Farebox"), "{}", url.expose());
        assert_eq!(format!("{secret:?}"), "AppSecret([hidden])");
    }

    #[test]
    fn a_code_may_be_typed_with_spaces() {
        assert_eq!(digits(" 123 456 ").as_deref(), Some("123456"));
        assert_eq!(digits("12345"), None);
        assert_eq!(digits("1234567"), None);
        assert_eq!(digits("12345a"), None);
    }
}
