//! Issuing a key.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::by::By;
use super::key::{KeyKind, KeyName};
use super::plain_key::PlainKey;
use super::revoke::may_have_keys;
use super::store;
use crate::audit::{self, Action, Target};
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
    #[error("Your role here has no keys, so none was made.")]
    NotAllowed,
    #[error("The expiry lies in the past.")]
    Expired,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes a key with its meter, in the caller's transaction.
///
/// # Errors
/// `TooMany`, `Expired`, `NotAllowed` when the maker may have no keys here, or database errors.
pub async fn issue(
    conn: &mut PgConnection,
    by: &By<'_>,
    org: OrgId,
    maker: Option<PersonId>,
    now: DateTime<Utc>,
    new: NewKey,
) -> Result<Issued, IssueError> {
    issue_as(conn, by, KeyId::fresh(), org, maker, now, new).await
}

/// As [`issue`], with an id that the asker chose. `None` when the organization has had a key of that id: the same
/// form came twice. The caller's transaction can then only be rolled back.
///
/// # Errors
/// As [`issue`].
pub async fn issue_once(
    conn: &mut PgConnection,
    by: &By<'_>,
    id: KeyId,
    org: OrgId,
    maker: Option<PersonId>,
    now: DateTime<Utc>,
    new: NewKey,
) -> Result<Option<Issued>, IssueError> {
    match issue_as(conn, by, id, org, maker, now, new).await {
        Ok(issued) => Ok(Some(issued)),
        Err(IssueError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn issue_as(
    conn: &mut PgConnection,
    by: &By<'_>,
    id: KeyId,
    org: OrgId,
    maker: Option<PersonId>,
    now: DateTime<Utc>,
    new: NewKey,
) -> Result<Issued, IssueError> {
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(IssueError::Expired);
    }
    if let Some(maker) = maker
        && !may_have_keys(conn, org, maker).await?
    {
        return Err(IssueError::NotAllowed);
    }
    if store::count(conn, org, None).await? >= MAX_KEYS {
        return Err(IssueError::TooMany);
    }
    let plain = PlainKey::fresh();
    let meter = match new.kind {
        KeyKind::Inference => MeterKind::Key,
        KeyKind::Provisioning => MeterKind::Provisioning,
    };
    ledger::create_meter(conn, org, MeterId(id.0), meter, new.limits, new.include_byok).await?;
    store::insert(conn, org, id, &plain, &new, maker).await?;
    let limit = |usd: Option<crate::base::Usd>| usd.map(crate::base::Usd::exact);
    let after = json!({
        "kind": new.kind.as_str(),
        "name": new.name.as_str(),
        "limit_total": limit(new.limits.total),
        "limit_day": limit(new.limits.day),
        "limit_week": limit(new.limits.week),
        "limit_month": limit(new.limits.month),
        "expires": new.expires_at,
    });
    let entry = by.entry(org, Action::KeyCreated).on(Target::new("key", id, new.name.as_str()));
    audit::record(conn, entry.change(Value::Null, after)).await?;
    Ok(Issued { id, label: plain.label(), plain })
}
