//! Taking an anchor.

use sqlx::PgConnection;

use super::anchor::{Anchor, digest};
use super::store;
use crate::base::SigningKey;
use crate::db::moment;

/// Chains in one anchor. Where more have moved, the next anchor has the rest, and is due at once.
pub const MAX_HEADS: i64 = 50_000;

/// Whether an anchor is wanted in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Only a day after the last one.
    Daily,
    Now,
}

/// Takes an anchor in the caller's transaction. `None` when none is due, or somebody else is taking one. Also when
/// nothing happened there is one each day, so that a day without shows.
///
/// # Errors
/// Database errors only.
pub async fn take_anchor(conn: &mut PgConnection, key: &SigningKey, due: Due) -> Result<Option<Anchor>, sqlx::Error> {
    if !store::lock_anchors(conn).await? {
        return Ok(None);
    }
    let last = store::last_anchor(conn).await?;
    if due == Due::Daily && last.is_some() && !store::anchor_is_due(conn, MAX_HEADS).await? {
        return Ok(None);
    }
    let (number, previous) = last.map_or((1, Vec::new()), |last| (last.number + 1, last.digest));
    let (at, heads) = (moment(conn).await?, store::moved_heads(conn, MAX_HEADS).await?);
    let digest = digest(&previous, number, at, &heads);
    let anchor = Anchor { number, at, signature: key.sign(&digest), digest };
    store::insert_anchor(conn, &anchor, &heads).await?;
    Ok(Some(anchor))
}
