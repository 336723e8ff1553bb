//! Passwords: argon2id with a bounded number of hashes at a time.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use super::common_password::is_common;
use crate::base::Secret;

/// 64 MiB, three passes, one lane: above the least that OWASP's password storage cheat sheet asks for.
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// Hashes at one time; more would let sign-ins crowd out everything else.
const MAX_PARALLEL: usize = 2;
const MIN_LENGTH: usize = 8;
const MAX_BYTES: usize = 256;

/// A password that may be chosen.
pub struct Password(Secret<String>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("needs at least eight characters")]
    TooShort,
    #[error("may have 256 bytes at most")]
    TooLong,
    #[error("must not be the e-mail address")]
    IsTheAddress,
    #[error("is one of those that are guessed first; take a few words in a row")]
    TooCommon,
}

impl Password {
    /// # Errors
    /// When it is too short, too long, the address itself, or one that everybody guesses first.
    pub fn choose(text: &str, email: &str) -> Result<Password, PasswordError> {
        if text.chars().count() < MIN_LENGTH {
            return Err(PasswordError::TooShort);
        }
        if text.len() > MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        if text.eq_ignore_ascii_case(email) {
            return Err(PasswordError::IsTheAddress);
        }
        if is_common(text) {
            return Err(PasswordError::TooCommon);
        }
        Ok(Password(Secret::new(text.to_owned())))
    }

    /// A password to be checked, whatever it is.
    #[must_use]
    pub fn entered(text: &str) -> Password {
        let cut: String = text.chars().take(MAX_BYTES).collect();
        Password(Secret::new(cut))
    }
}

/// Hashes and checks passwords off the async threads.
#[derive(Clone)]
pub struct Hasher {
    permits: Arc<Semaphore>,
    argon2: Argon2<'static>,
    /// What an unknown address is checked against, so that it takes as long as a known one.
    decoy: Arc<str>,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher(argon2id)")
    }
}

impl Hasher {
    /// # Errors
    /// When the parameters are refused by the library; they are constants.
    pub fn new() -> anyhow::Result<Hasher> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| anyhow::anyhow!("{error}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash_now(&argon2, &crate::base::secret::random_token())?;
        Ok(Hasher { permits: Arc::new(Semaphore::new(MAX_PARALLEL)), argon2, decoy: decoy.into() })
    }

    /// # Errors
    /// When hashing itself fails.
    pub async fn hash(&self, password: Password) -> anyhow::Result<String> {
        let _permit = self.permits.acquire().await?;
        let argon2 = self.argon2.clone();
        tokio::task::spawn_blocking(move || hash_now(&argon2, &password.0)).await?
    }

    /// Whether the password fits the hash. Without a hash it takes as long and is false.
    ///
    /// # Errors
    /// When the check itself could not run.
    pub async fn check(&self, password: Password, hash: Option<&str>) -> anyhow::Result<bool> {
        let _permit = self.permits.acquire().await?;
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let argon2 = self.argon2.clone();
        let fits = tokio::task::spawn_blocking(move || {
            argon2.verify_password(password.0.expose().as_bytes(), hash.as_str()).is_ok()
        });
        Ok(fits.await? && known)
    }
}

/// Whether a stored hash was made with less, or other, work than new ones are.
#[must_use]
pub fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(&format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$"))
}

fn hash_now(argon2: &Argon2<'_>, password: &Secret<String>) -> anyhow::Result<String> {
    let hash: argon2::PasswordHash = argon2
        .hash_password(password.expose().as_bytes())
        .map_err(|error| anyhow::anyhow!("the password could not be hashed: {error}"))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_may_be_chosen_is_long_and_not_everybodys() {
        let choose = |text: &str| Password::choose(text, "ada@example.com").err();
        assert_eq!(choose("short"), Some(PasswordError::TooShort));
        assert_eq!(choose(&"x".repeat(257)), Some(PasswordError::TooLong));
        assert_eq!(choose("ADA@example.com"), Some(PasswordError::IsTheAddress));
        assert_eq!(choose("PassWord1"), Some(PasswordError::TooCommon));
        assert_eq!(choose("a few words in a row"), None);
        assert_eq!(choose(&"é".repeat(128)), None, "long ones are welcome, and counted as they are stored");
    }

    #[tokio::test]
    async fn a_fresh_hash_is_not_outdated_and_a_weaker_one_is() {
        let hasher = Hasher::new().expect("a hasher");
        let hash = hasher.hash(Password::entered("a few words in a row")).await.expect("a hash");
        assert!(!is_outdated(&hash), "{hash}");
        assert!(is_outdated(&hash.replace("m=65536", "m=19456")));
        assert!(is_outdated("$2b$12$a-hash-of-another-kind"));
    }
}
