//! The ends of all chains at one moment, signed and kept outside, so that what was rewritten or cut off later shows.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// What the key that signs anchors is derived for.
pub const KEY_PURPOSE: &str = "audit anchors";

/// How a line with an anchor begins, wherever it was copied to.
const MARK: &str = "farebox-audit-anchor";

/// Where a chain ended when an anchor was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnchoredHead {
    pub chain: Uuid,
    pub seq: i64,
    pub digest: Vec<u8>,
}

/// An anchor as it is stored. Its heads are those of the chains that moved since the one before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    pub number: i64,
    pub at: DateTime<Utc>,
    pub digest: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Anchor {
    /// The line in which an anchor leaves the database: into the log, a file, a mail. It names nobody.
    #[must_use]
    pub fn line(&self) -> String {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("{MARK} {} {at} {}", self.number, hex::encode(&self.digest))
    }
}

/// The digest of an anchor behind `previous`. Heads are in the order of their chains.
#[must_use]
pub fn digest(previous: &[u8], number: i64, at: DateTime<Utc>, heads: &[AnchoredHead]) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(previous);
    part(&number.to_be_bytes());
    part(&at.timestamp_micros().to_be_bytes());
    for head in heads {
        part(head.chain.as_bytes());
        part(&head.seq.to_be_bytes());
        part(&head.digest);
    }
    hash.finalize().to_vec()
}

/// A copy of an anchor that was kept outside of the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    pub number: i64,
    pub digest: Vec<u8>,
}

impl FromStr for Copied {
    type Err = ();

    fn from_str(text: &str) -> Result<Copied, ()> {
        let (_, rest) = text.split_once(MARK).ok_or(())?;
        let mut words = rest.split_whitespace();
        let number = words.next().and_then(|word| word.parse().ok()).ok_or(())?;
        // What follows in a line of JSON is not part of the digest.
        let digest = words.nth(1).map(|word| word.chars().take_while(char::is_ascii_hexdigit).collect::<String>());
        let digest = digest.and_then(|word| hex::decode(word).ok()).filter(|bytes| bytes.len() == 32).ok_or(())?;
        Ok(Copied { number, digest })
    }
}

/// Every copy in a text, such as a log, a file of lines, or a mail.
#[must_use]
pub fn copies(text: &str) -> Vec<Copied> {
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_found_wherever_it_was_written() {
        let anchor = Anchor {
            number: 17,
            at: DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap_or_default(),
            digest: vec![7; 32],
            signature: Vec::new(),
        };
        let line = anchor.line();
        let text =
            format!("> {line}\nother\n{{\"message\":\"{line}\",\"level\":\"INFO\"}}\nfarebox-audit-anchor x y z\n");
        let copy = Copied { number: 17, digest: vec![7; 32] };
        assert_eq!(copies(&text), [copy.clone(), copy]);
    }

    #[test]
    fn a_head_that_is_missing_or_moved_changes_the_digest() {
        let head = |n: u128, seq| AnchoredHead { chain: Uuid::from_u128(n), seq, digest: vec![1; 32] };
        let at = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        let whole = digest(b"before", 2, at, &[head(1, 5), head(2, 9)]);
        for other in [
            digest(b"before", 2, at, &[head(1, 5)]),
            digest(b"before", 2, at, &[head(1, 5), head(2, 8)]),
            digest(b"before", 3, at, &[head(1, 5), head(2, 9)]),
            digest(b"", 2, at, &[head(1, 5), head(2, 9)]),
        ] {
            assert_ne!(whole, other);
        }
    }
}
