//! Comparing every chain with what was written down of it earlier.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::anchor::{Anchor, Copied, digest};
use super::store;
use crate::base::SigningKey;

/// Anchors read at a time; each may have many heads.
const PAGE: i64 = 100;
/// Faults that are reported; one is enough to distrust the rest.
const MAX_REPORTED: usize = 100;

/// What an anchor shows to be wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnchorFault {
    pub number: i64,
    pub why: String,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Anchored {
    pub anchors: u64,
    pub newest: Option<DateTime<Utc>>,
    /// Copies from outside that were compared.
    pub copies: u64,
    /// At most a hundred.
    pub faults: Vec<AnchorFault>,
}

impl Anchored {
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    fn report(&mut self, number: i64, why: impl Into<String>) {
        if self.faults.len() < MAX_REPORTED {
            self.faults.push(AnchorFault { number, why: why.into() });
        }
    }
}

/// Recomputes every anchor, looks at its signature, and whether the entries that it names still are what they were.
/// `copies` were kept outside: whoever has the key and the database cannot have changed them.
///
/// # Errors
/// Database errors only; what is wrong is in the result.
pub async fn verify_anchors(
    conn: &mut PgConnection,
    key: &SigningKey,
    copies: &[Copied],
) -> Result<Anchored, sqlx::Error> {
    let mut found = Anchored::default();
    let (mut number, mut previous) = (0, Vec::new());
    loop {
        let anchors = store::anchors(conn, number, PAGE).await?;
        if anchors.is_empty() {
            break;
        }
        for anchor in anchors {
            if anchor.number != number + 1 {
                found.report(anchor.number, "an anchor before this one is missing");
            }
            verify_anchor(conn, key, &anchor, &previous, copies, &mut found).await?;
            (number, previous) = (anchor.number, anchor.digest);
        }
    }
    for copy in copies {
        found.copies += 1;
        if copy.number > number || copy.number < 1 {
            found.report(copy.number, "there is a copy of this anchor outside, but it is gone here");
        }
    }
    Ok(found)
}

async fn verify_anchor(
    conn: &mut PgConnection,
    key: &SigningKey,
    anchor: &Anchor,
    previous: &[u8],
    copies: &[Copied],
    found: &mut Anchored,
) -> Result<(), sqlx::Error> {
    found.anchors += 1;
    found.newest = Some(anchor.at);
    let heads = store::anchored_heads(conn, anchor.number).await?;
    if digest(previous, anchor.number, anchor.at, &heads) != anchor.digest {
        found.report(anchor.number, "this anchor, or one before it, was changed");
    }
    let mut kept = copies.iter().filter(|copy| copy.number == anchor.number);
    if kept.any(|copy| copy.digest != anchor.digest) {
        found.report(anchor.number, "the copy that was kept outside is another one");
    }
    // What a copy from outside confirms needs no signature, so that a changed key does not make old anchors worthless.
    let confirmed = copies.iter().any(|copy| copy.number == anchor.number && copy.digest == anchor.digest);
    if !confirmed && !key.has_signed(&anchor.digest, &anchor.signature) {
        found.report(anchor.number, "it is not signed with the key that FAREBOX_SECRET_KEY gives");
    }
    for head in store::heads_that_moved_back(conn, anchor.number).await? {
        let why = format!("entry {} of the log {} is gone, or is not what it was", head.seq, head.chain);
        found.report(anchor.number, why);
    }
    Ok(())
}
