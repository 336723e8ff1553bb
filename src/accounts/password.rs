//! Passwords: argon2id with a bounded number of hashes at a time, and of callers that wait for theirs.
//!
//! A hash takes tens of milliseconds of a core, and whoever waits behind a crowd waits for many. So nobody holds a connection of
//! the database meanwhile: sixteen guesses at once would otherwise leave none to anybody else.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use tokio::sync::Semaphore;

use super::common_password::is_common;
use crate::base::Secret;
use crate::base::secret::random_bytes;

const LANES: u32 = 1;
/// The least that OWASP's password storage cheat sheet asks for, and what a mistaken setting must not take from a machine.
const MEMORY_KIB: RangeInclusive<u32> = 19_456..=1_048_576;
const PASSES: RangeInclusive<u32> = 2..=16;
/// Hashes at one time; more would let sign-ins crowd out everything else.
const MAX_PARALLEL: usize = 2;
/// Callers that wait for their turn; whoever comes when there are so many is told to come again.
const MAX_WAITING: usize = 62;
const MIN_LENGTH: usize = 8;
const MAX_BYTES: usize = 256;

/// How much work a hash is: `m`, its memory in KiB, and `t`, its passes over it, written as in the hash itself
/// (<https://github.com/P-H-C/phc-string-format>).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashWork {
    memory_kib: u32,
    passes: u32,
}

impl Default for HashWork {
    /// 64 MiB, three passes.
    fn default() -> Self {
        HashWork { memory_kib: 65_536, passes: 3 }
    }
}

impl Display for HashWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={},t={}", self.memory_kib, self.passes)
    }
}

/// It is no work such as `m=65536,t=3`, or less or more than may be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoHashWork;

impl Display for NoHashWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, passes) = (MEMORY_KIB, PASSES);
        write!(
            f,
            "must be like m=65536,t=3: KiB of memory from {} to {}, and passes from {} to {}",
            memory.start(),
            memory.end(),
            passes.start(),
            passes.end()
        )
    }
}

impl FromStr for HashWork {
    type Err = NoHashWork;

    fn from_str(text: &str) -> Result<Self, NoHashWork> {
        let (memory, passes) = text.split_once(',').ok_or(NoHashWork)?;
        let number = |part: &str, name: &str, range: RangeInclusive<u32>| {
            let number = part.trim().strip_prefix(name).and_then(|digits| digits.parse().ok());
            number.filter(|number| range.contains(number)).ok_or(NoHashWork)
        };
        Ok(HashWork { memory_kib: number(memory, "m=", MEMORY_KIB)?, passes: number(passes, "t=", PASSES)? })
    }
}

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

/// Why a password was neither hashed nor checked.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error("Too many passwords are being checked at this moment. Try again in a few seconds.")]
    Busy,
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Hashes and checks passwords off the async threads.
#[derive(Clone)]
pub struct Hasher {
    /// For those that are hashed and those that wait.
    places: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    argon2: Argon2<'static>,
    work: HashWork,
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
    /// When the parameters are refused by the library; what may be set is not.
    pub fn new(work: HashWork) -> anyhow::Result<Hasher> {
        let params = Params::new(work.memory_kib, work.passes, LANES, None);
        let params = params.map_err(|error| anyhow::anyhow!("{error}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Hasher {
            places: Arc::new(Semaphore::new(MAX_PARALLEL + MAX_WAITING)),
            permits: Arc::new(Semaphore::new(MAX_PARALLEL)),
            argon2,
            work,
            decoy: decoy(work).into(),
        })
    }

    /// Whether a stored hash was made with less, or other, work than new ones are.
    #[must_use]
    pub fn is_outdated(&self, hash: &str) -> bool {
        !hash.starts_with(&head(self.work))
    }

    /// Not to be called while a connection of the database is held.
    ///
    /// # Errors
    /// `Busy` behind too many others; when hashing itself fails.
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        let argon2 = self.argon2.clone();
        Ok(self.in_turn(move || hash_now(&argon2, &password.0)).await??)
    }

    /// Whether the password fits the hash. Without a hash it takes as long and is false. Not to be called while a connection of the
    /// database is held.
    ///
    /// # Errors
    /// `Busy` behind too many others; when the check itself could not run.
    pub async fn check(&self, password: Password, hash: Option<&str>) -> Result<bool, HashError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let argon2 = self.argon2.clone();
        let fits = self.in_turn(move || argon2.verify_password(password.0.expose().as_bytes(), hash.as_str()).is_ok());
        Ok(fits.await? && known)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let Ok(place) = self.places.clone().try_acquire_owned() else { return Err(HashError::Busy) };
        let permit = self.permits.clone().acquire_owned().await.map_err(anyhow::Error::new)?;
        // Both go with the work, which goes on when the client hangs up.
        let turn = move || {
            let done = work();
            drop((permit, place));
            done
        };
        Ok(tokio::task::spawn_blocking(turn).await.map_err(anyhow::Error::new)?)
    }
}

/// How a hash of this work begins.
fn head(work: HashWork) -> String {
    format!("$argon2id$v=19${work},p={LANES}$")
}

/// A hash of no password that anybody knows. Making a real one would take as long as a sign-in, at each start and command.
fn decoy(work: HashWork) -> String {
    let text = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
    let (salt, hash) = (random_bytes(), random_bytes());
    let (salt, _) = salt.split_at(salt.len() / 2);
    format!("{}{}${}", head(work), text(salt), text(&hash))
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
    async fn whoever_comes_behind_too_many_is_told_so_at_once() {
        let hasher = Hasher::new(HashWork::default()).expect("a hasher");
        let everybody = hasher.permits.clone().acquire_many_owned(2).await.expect("both");
        let crowd = (0..MAX_PARALLEL + MAX_WAITING).map(|_| {
            let hasher = hasher.clone();
            tokio::spawn(async move { hasher.in_turn(|| ()).await })
        });
        let crowd: Vec<_> = crowd.collect();
        while hasher.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let late = hasher.check(Password::entered("a few words in a row"), None).await;
        assert!(matches!(late, Err(HashError::Busy)), "{late:?}");
        drop(everybody);
        for waiting in crowd {
            waiting.await.expect("a task").expect("its turn");
        }
        assert!(!hasher.check(Password::entered("a few words in a row"), None).await.expect("checked"));
    }

    #[tokio::test]
    async fn a_decoy_is_checked_like_every_other_hash() {
        let hasher = Hasher::new(HashWork::default()).expect("a hasher");
        let real = hasher.hash(Password::entered("a few words in a row")).await.expect("a hash");
        let lengths = |hash: &str| hash.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!(lengths(&hasher.decoy), lengths(&real));
        let checked = hasher.argon2.verify_password(b"a few words in a row", &*hasher.decoy);
        assert_eq!(checked, Err(argon2::password_hash::Error::PasswordInvalid), "it is read, and does not fit");
        assert_ne!(decoy(hasher.work), decoy(hasher.work));
    }

    #[tokio::test]
    async fn a_fresh_hash_is_not_outdated_and_a_weaker_one_is() {
        let hasher = Hasher::new(HashWork::default()).expect("a hasher");
        let hash = hasher.hash(Password::entered("a few words in a row")).await.expect("a hash");
        assert!(!hasher.is_outdated(&hash), "{hash}");
        assert!(hasher.is_outdated(&hash.replace("m=65536", "m=19456")));
        assert!(hasher.is_outdated("$2b$12$a-hash-of-another-kind"));
    }

    #[tokio::test]
    async fn the_work_of_a_hash_can_be_set_and_not_below_what_is_safe() {
        let least: HashWork = "m=19456,t=2".parse().expect("some work");
        let hash = Hasher::new(least).expect("a hasher").hash(Password::entered("a few words in a row")).await;
        let hash = hash.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let usual = Hasher::new(HashWork::default()).expect("a hasher");
        assert!(usual.is_outdated(&hash), "whoever raises it gets stronger hashes");
        let fits = usual.check(Password::entered("a few words in a row"), Some(&hash)).await;
        assert!(fits.expect("checked"), "and a hash of other work is still known");
        assert_eq!(HashWork::default().to_string().parse(), Ok(HashWork::default()));
        for bad in
            ["", "m=65536", "m=19455,t=2", "m=65536,t=1", "m=65536,t=17", "m=2000000,t=3", "t=3,m=65536", "65536,3"]
        {
            assert_eq!(bad.parse::<HashWork>(), Err(NoHashWork), "{bad}");
        }
    }
}
