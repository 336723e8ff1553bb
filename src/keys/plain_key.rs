//! The text of a key: `sk-fb-v1-`, 64 hex digits, and a six-character checksum.
//!
//! The checksum is the CRC-32 of all that stands before it, in base 62, as GitHub's tokens have it:
//! a scanner can tell a key from noise, and a mistyped key never costs a look into the database.

use crate::base::Secret;
use crate::base::secret::{Digest, random_bytes};

pub const PREFIX: &str = "sk-fb-v1-";
const HEX_LENGTH: usize = 64;
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A whole key. It has no `Display`: showing one is a deliberate act.
#[derive(Clone, Debug)]
pub struct PlainKey(Secret<String>);

impl PlainKey {
    #[must_use]
    pub fn fresh() -> PlainKey {
        let body = format!("{PREFIX}{}", hex::encode(random_bytes()));
        let checksum = checksum(&body);
        PlainKey(Secret::new(body + checksum.as_str()))
    }

    /// Reads a key whose grammar and checksum are right.
    #[must_use]
    pub fn parse(text: &str) -> Option<PlainKey> {
        let hex = text.strip_prefix(PREFIX)?;
        if text.len() != PREFIX.len() + HEX_LENGTH + CHECKSUM_LENGTH || !text.is_ascii() {
            return None;
        }
        let (digits, tail) = hex.split_at(HEX_LENGTH);
        let plain = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let body = text.get(..text.len() - CHECKSUM_LENGTH)?;
        (plain && checksum(body) == tail).then(|| PlainKey(Secret::new(text.to_owned())))
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.expose())
    }

    /// For the one response that shows it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose()
    }

    /// `sk-fb-v1-abcd…wxyz`: enough to recognize a key, too little to use it.
    #[must_use]
    pub fn label(&self) -> String {
        let text = self.0.expose();
        let head = text.get(..PREFIX.len() + 4).unwrap_or(PREFIX);
        let tail = text.get(text.len().saturating_sub(4)..).unwrap_or_default();
        format!("{head}…{tail}")
    }
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut out = [b'0'; CHECKSUM_LENGTH];
    for place in out.iter_mut().rev() {
        let digit = usize::try_from(rest % 62).unwrap_or(0);
        *place = BASE62.get(digit).copied().unwrap_or(b'0');
        rest /= 62;
    }
    out.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_one_wrong_letter_does_not() {
        let key = PlainKey::fresh();
        let text = key.reveal().to_owned();
        assert_eq!(text.len(), 79);
        assert!(PlainKey::parse(&text).is_some_and(|read| read.digest() == key.digest()));
        for place in PREFIX.len()..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[place] = if wrong[place] == b'0' { b'1' } else { b'0' };
            assert!(PlainKey::parse(&String::from_utf8_lossy(&wrong)).is_none(), "letter {place}");
        }
    }

    #[test]
    fn nothing_else_is_a_key() {
        for text in ["", "sk-fb-v1-", "sk-or-v1-abc", &"é".repeat(40), &format!("{PREFIX}{}", "0".repeat(70))] {
            assert!(PlainKey::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_label_hides_almost_all() {
        let key = PlainKey::fresh();
        assert_eq!(key.label().chars().count(), PREFIX.len() + 4 + 1 + 4);
        assert!(!format!("{key:?}").contains(PREFIX));
    }
}
