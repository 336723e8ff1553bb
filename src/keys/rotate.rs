//! A new secret for a key that stays what it is.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::by::By;
use super::edit::{self, EditError};
use super::issue::Issued;
use super::plain_key::PlainKey;
use super::store;
use crate::audit::{self, Action, Target};
use crate::base::ids::{KeyId, OrgId};

/// Longer than anybody needs to change a program over a long weekend.
pub const MAX_GRACE_HOURS: u32 = 72;

/// For how long the old secret works beside the new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grace(TimeDelta);

impl Grace {
    /// `None` beyond [`MAX_GRACE_HOURS`].
    #[must_use]
    pub fn hours(hours: u32) -> Option<Grace> {
        (hours <= MAX_GRACE_HOURS).then(|| Grace(TimeDelta::hours(hours.into())))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("Nobody has claimed this key yet, so it has no secret to replace.")]
    Unclaimed,
    #[error(transparent)]
    Edit(#[from] EditError),
}

impl From<sqlx::Error> for RotateError {
    fn from(error: sqlx::Error) -> RotateError {
        RotateError::Edit(error.into())
    }
}

/// Gives a key another secret, in the caller's transaction. The old one works until the grace has passed; one that was
/// still in its grace stops at once. With `seen`, only if the key is as it was at that moment, so that a form that comes
/// twice rotates once.
///
/// # Errors
/// `Unclaimed`, and those of [`edit::edit`].
pub async fn rotate(
    conn: &mut PgConnection,
    by: &By<'_>,
    org: OrgId,
    id: KeyId,
    seen: Option<DateTime<Utc>>,
    grace: Grace,
    now: DateTime<Utc>,
) -> Result<Issued, RotateError> {
    let key = edit::lock(conn, org, id, seen).await?;
    if key.digest.is_none() {
        return Err(RotateError::Unclaimed);
    }
    let until = (!grace.0.is_zero()).then(|| now + grace.0);
    let plain = PlainKey::fresh();
    store::replace_secret(conn, org, id, &plain, until).await?;
    let entry = by.entry(org, Action::KeyRotated).on(Target::new("key", id, key.name));
    audit::record(conn, entry.change(Value::Null, json!({ "old_works_until": until }))).await?;
    Ok(Issued { id, label: plain.label(), plain })
}
