//! PKCE: whoever brings the code must show that they asked for it (RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Letters of a SHA-256 in URL-safe base 64.
const S256_LENGTH: usize = 43;
/// What RFC 7636 says of verifiers.
const VERIFIER_LENGTH: std::ops::RangeInclusive<usize> = 43..=128;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Challenge {
    S256(String),
    /// The verifier itself.
    Plain(String),
    /// The code alone is enough.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    #[error("`code_challenge_method` must be S256")]
    Method,
    #[error("`code_challenge` must be the SHA-256 of the verifier in URL-safe base 64: 43 letters")]
    Malformed,
    #[error("`code_challenge` is missing: apps must use PKCE with S256")]
    Missing,
    #[error("`code_challenge_method` plain is only for apps that the operator lists; use S256")]
    PlainNotAllowed,
}

impl Challenge {
    /// Reads what an app sent; empty for nothing. A challenge without a method is taken as S256.
    ///
    /// # Errors
    /// See [`ChallengeError`]. `lenient` apps may do with `plain` or nothing.
    pub fn read(challenge: &str, method: &str, lenient: bool) -> Result<Challenge, ChallengeError> {
        match (challenge, method) {
            ("", _) if lenient => Ok(Challenge::None),
            ("", _) => Err(ChallengeError::Missing),
            (text, "S256" | "") => {
                let plain = text.len() == S256_LENGTH && URL_SAFE_NO_PAD.decode(text).is_ok();
                if plain { Ok(Challenge::S256(text.to_owned())) } else { Err(ChallengeError::Malformed) }
            }
            (_, "plain") if !lenient => Err(ChallengeError::PlainNotAllowed),
            (text, "plain") if is_verifier(text) => Ok(Challenge::Plain(text.to_owned())),
            (_, "plain") => Err(ChallengeError::Malformed),
            _ => Err(ChallengeError::Method),
        }
    }

    /// Whether a verifier fits. Without a challenge there must be none: else somebody could hide that one was taken away.
    #[must_use]
    pub fn is_met_by(&self, verifier: Option<&str>) -> bool {
        let same = |expected: &str, given: &str| bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
        match (self, verifier) {
            (Challenge::None, None) => true,
            (Challenge::S256(expected), Some(given)) => {
                is_verifier(given) && same(expected, &URL_SAFE_NO_PAD.encode(Sha256::digest(given)))
            }
            (Challenge::Plain(expected), Some(given)) => same(expected, given),
            (Challenge::None, Some(_)) | (Challenge::S256(_) | Challenge::Plain(_), None) => false,
        }
    }

    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Challenge::S256(_) => "S256",
            Challenge::Plain(_) => "plain",
            Challenge::None => "none",
        }
    }

    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Challenge::S256(text) | Challenge::Plain(text) => text,
            Challenge::None => "",
        }
    }

    /// As it was stored; what cannot be read is met by nothing.
    pub(super) fn stored(method: &str, text: String) -> Challenge {
        match method {
            "none" => Challenge::None,
            "plain" => Challenge::Plain(text),
            _ => Challenge::S256(text),
        }
    }
}

fn is_verifier(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
    plain && VERIFIER_LENGTH.contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_verifier_of_the_standard_fits_its_challenge_and_no_other_does() {
        let challenge = Challenge::read(CHALLENGE, "S256", false).expect("a challenge");
        assert!(challenge.is_met_by(Some(VERIFIER)));
        for other in [None, Some(""), Some(CHALLENGE), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN")] {
            assert!(!challenge.is_met_by(other), "{other:?}");
        }
        assert_eq!(Challenge::read(CHALLENGE, "", false), Ok(challenge));
    }

    #[test]
    fn less_than_s256_is_only_for_the_listed() {
        assert_eq!(Challenge::read("", "", false), Err(ChallengeError::Missing));
        assert_eq!(Challenge::read(VERIFIER, "plain", false), Err(ChallengeError::PlainNotAllowed));
        assert_eq!(Challenge::read(VERIFIER, "S512", true), Err(ChallengeError::Method));
        assert_eq!(Challenge::read("short", "S256", true), Err(ChallengeError::Malformed));
        assert_eq!(Challenge::read("short", "plain", true), Err(ChallengeError::Malformed));
        let none = Challenge::read("", "", true).expect("nothing");
        assert!(none.is_met_by(None) && !none.is_met_by(Some(VERIFIER)));
        let plain = Challenge::read(VERIFIER, "plain", true).expect("a challenge");
        assert!(plain.is_met_by(Some(VERIFIER)) && !plain.is_met_by(None) && !plain.is_met_by(Some(CHALLENGE)));
    }
}
