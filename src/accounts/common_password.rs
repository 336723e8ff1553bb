//! Passwords that whoever guesses tries first.
//!
//! `common_passwords.txt` has the 3,000 most frequent ones of eight characters or more, in lower case and sorted. They
//! come from the frequency lists of the npm package `zxcvbn` 4.4.2; its licence stands beside them.

use std::collections::HashSet;
use std::sync::LazyLock;

const LIST: &str = include_str!("common_passwords.txt");

static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| LIST.lines().collect());

/// Whether a password is one of the most frequent, in whatever case.
#[must_use]
pub fn is_common(password: &str) -> bool {
    COMMON.contains(password.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_known_in_any_case() {
        assert_eq!(COMMON.len(), 3_000);
        assert!(COMMON.iter().all(|one| one.chars().count() >= 8 && **one == one.to_lowercase()));
        assert!(is_common("Password1") && is_common("12345678"));
        assert!(!is_common("correct horse battery") && !is_common(""));
    }
}
