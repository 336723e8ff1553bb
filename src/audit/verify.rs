//! Recomputing every chain.

use sqlx::PgConnection;
use uuid::Uuid;

use super::entry::Recorded;
use super::store::{self, ChainEnd};
use crate::base::Digest;

/// Rows read at a time.
const PAGE: i64 = 1_000;
/// Broken entries that are reported; one is enough to distrust the rest.
const MAX_REPORTED: usize = 100;

/// An entry that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    pub chain: Uuid,
    pub seq: i64,
    pub why: &'static str,
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub chains: u64,
    pub entries: u64,
    /// At most a hundred.
    pub broken: Vec<Broken>,
}

impl Verified {
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }

    fn report(&mut self, chain: Uuid, seq: i64, why: &'static str) {
        if self.broken.len() < MAX_REPORTED {
            self.broken.push(Broken { chain, seq, why });
        }
    }
}

/// Recomputes every digest of every chain. The caller gives a transaction that sees one moment.
///
/// # Errors
/// Database errors only; what is broken is in the result.
pub async fn verify(conn: &mut PgConnection) -> Result<Verified, sqlx::Error> {
    let mut verified = Verified::default();
    let mut after = None;
    loop {
        let chains = store::chains(conn, after, PAGE).await?;
        let Some(last) = chains.last() else { break };
        after = Some(last.chain);
        for end in &chains {
            verify_chain(conn, end, &mut verified).await?;
        }
    }
    for chain in store::endless(conn, PAGE).await? {
        verified.report(chain, 0, "the chain of these entries is gone");
    }
    Ok(verified)
}

async fn verify_chain(conn: &mut PgConnection, end: &ChainEnd, verified: &mut Verified) -> Result<(), sqlx::Error> {
    verified.chains += 1;
    let (mut seq, mut digest) = (0, Vec::new());
    loop {
        let entries = store::entries(conn, end.chain, seq, PAGE).await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            verified.entries += 1;
            if let Some(why) = fault(&entry, seq, &digest) {
                verified.report(end.chain, entry.seq, why);
            }
            seq = entry.seq;
            digest = entry.digest;
        }
    }
    if (seq, &digest) != (end.seq, &end.digest) {
        verified.report(end.chain, seq, "the chain does not end where it should: entries are missing at its end");
    }
    Ok(())
}

fn fault(entry: &Recorded, before: i64, previous: &[u8]) -> Option<&'static str> {
    if entry.seq != before + 1 {
        return Some("an entry before this one is missing");
    }
    if entry.digest_after(previous) != entry.digest {
        return Some("this entry, or the order of the chain, was changed");
    }
    let personal = entry.personal.as_deref()?;
    (Digest::of(personal).as_bytes() != entry.personal_digest)
        .then_some("names or addresses in this entry were changed")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn entry(seq: i64, action: &str, previous: &[u8]) -> Recorded {
        let personal = r#"{"actor":"Ada","salt":"1"}"#;
        let mut entry = Recorded {
            chain: Uuid::from_u128(7),
            seq,
            at: DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap_or_default(),
            actor_kind: "system".into(),
            actor_id: None,
            action: action.into(),
            target_kind: String::new(),
            target_id: String::new(),
            before: String::new(),
            after: "{}".into(),
            personal: Some(personal.into()),
            personal_digest: Digest::of(personal).as_bytes().to_vec(),
            digest: Vec::new(),
        };
        entry.digest = entry.digest_after(previous);
        entry
    }

    #[test]
    fn a_chain_that_was_touched_is_not_believed() {
        let first = entry(1, "key.created", &[]);
        let second = entry(2, "key.deleted", &first.digest);
        assert_eq!(fault(&first, 0, &[]), None);
        assert_eq!(fault(&second, 1, &first.digest), None);
        assert!(fault(&second, 0, &[]).is_some(), "the first was taken out");
        let forged = Recorded { action: "key.disabled".into(), ..second.clone() };
        assert!(fault(&forged, 1, &first.digest).is_some());
        // What moves from one field to the next must not look the same.
        let moved = Recorded { target_kind: "{}".into(), after: String::new(), ..second.clone() };
        assert!(fault(&moved, 1, &first.digest).is_some());
        let erased = Recorded { personal: None, ..second.clone() };
        assert_eq!(fault(&erased, 1, &first.digest), None, "personal data may be erased");
        let renamed = Recorded { personal: Some(r#"{"actor":"Eve","salt":"1"}"#.into()), ..second };
        assert!(fault(&renamed, 1, &first.digest).is_some());
    }
}
