//! Issuing a key.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::key::{KeyKind, KeyName};
use super::plain_key::PlainKey;
use super::store;
use crate::base::ids::{KeyId, MeterId, OrgId, PersonId};
use crate::ledger::{self, Limits, MeterKind};

/// Keys that one organization may have; far above use, so that a runaway script stops somewhere.
pub const MAX_KEYS: i64 = 100_000;

pub struct NewKey {
    pub name: KeyName,
    pub kind: KeyKind,
    pub limits: Limits,
    pub include_byok: bool,
    pub expires_at: Option<DateTime<Utc>>,
}

/// A key at the one moment when its text is known.
#[derive(Debug)]
pub struct Issued {
    pub id: KeyId,
    pub plain: PlainKey,
    pub label: String,
}

#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("This organization has as many keys as one may have. Delete some first.")]
    TooMany,
    #[error("The expiry lies in the past.")]
    Expired,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes a key with its meter, in the caller's transaction.
///
/// # Errors
/// `TooMany`, `Expired`, or database errors.
pub async fn issue(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    now: DateTime<Utc>,
    new: NewKey,
) -> Result<Issued, IssueError> {
    issue_as(conn, KeyId::fresh(), org, maker, now, new).await
}

/// As [`issue`], with an id that the asker chose. `None` when the organization has had a key of that id: the same
/// form came twice. The caller's transaction can then only be rolled back.
///
/// # Errors
/// As [`issue`].
pub async fn issue_once(
    conn: &mut PgConnection,
    id: KeyId,
    org: OrgId,
    maker: Option<PersonId>,
    now: DateTime<Utc>,
    new: NewKey,
) -> Result<Option<Issued>, IssueError> {
    match issue_as(conn, id, org, maker, now, new).await {
        Ok(issued) => Ok(Some(issued)),
        Err(IssueError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn issue_as(
    conn: &mut PgConnection,
    id: KeyId,
    org: OrgId,
    maker: Option<PersonId>,
    now: DateTime<Utc>,
    new: NewKey,
) -> Result<Issued, IssueError> {
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(IssueError::Expired);
    }
    if store::count(conn, org).await? >= MAX_KEYS {
        return Err(IssueError::TooMany);
    }
    let plain = PlainKey::fresh();
    let meter = match new.kind {
        KeyKind::Inference => MeterKind::Key,
        KeyKind::Provisioning => MeterKind::Provisioning,
    };
    ledger::create_meter(conn, org, MeterId(id.0), meter, new.limits, new.include_byok).await?;
    store::insert(conn, org, id, &plain, &new, maker).await?;
    Ok(Issued { id, label: plain.label(), plain })
}
