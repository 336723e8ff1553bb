//! A new secret for a key that stays what it is.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::by::By;
use super::edit::{self, EditError};
use super::issue::Issued;
use super::plain_key::PlainKey;
use super::revoke::may_manage_keys;
use super::store;
use crate::audit::{self, Action, Target};
use crate::base::ids::{KeyId, OrgId};
use crate::orgs::{Acting, OrgError, Permission};

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
    #[error(transparent)]
    Org(#[from] OrgError),
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

/// Gives a provisioning key another secret, in the caller's transaction. One whose maker may manage keys no more becomes the
/// key of whoever rotates it, and then the old secret, which the maker has, ends at once whatever the grace.
///
/// # Errors
/// `Org` for whoever may not, and those of [`rotate`].
pub async fn rotate_provisioning(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    id: KeyId,
    seen: DateTime<Utc>,
    grace: Grace,
    now: DateTime<Utc>,
) -> Result<Issued, RotateError> {
    acting.lock(conn, Permission::ManageAllKeys).await?;
    let (org, by) = (acting.org, By::from(*acting));
    // People before keys, as everywhere.
    let found = store::find(conn, org, id).await?.ok_or(EditError::NotFound)?;
    let stays = match found.created_by {
        Some(maker) => may_manage_keys(conn, org, maker).await?,
        None => true,
    };
    let grace = if stays { grace } else { Grace(TimeDelta::zero()) };
    let issued = rotate(conn, &by, org, id, Some(seen), grace, now).await?;
    if !stays {
        store::set_maker(conn, org, id, acting.person.id).await?;
        let entry = by.entry(org, Action::KeyChanged).on(Target::new("key", id, found.name));
        let change = (json!({ "maker": found.created_by }), json!({ "maker": acting.person.id }));
        audit::record(conn, entry.change(change.0, change.1)).await?;
    }
    Ok(issued)
}
