//! Issuing a key.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::by::By;
use super::created;
use super::edit::limits_in_log;
use super::key::{KeyKind, KeyName, Powers};
use super::plain_key::PlainKey;
use super::revoke::{may_have_keys, may_manage_keys};
use super::rules::Rules;
use super::store;
use crate::audit::{self, Action, Target};
use crate::base::ids::{KeyId, MeterId, OrgId, PersonId};
use crate::ledger::{self, Limits, MeterKind};

/// Keys that one organization may have; far above use, so that a runaway script stops somewhere.
pub const MAX_KEYS: i64 = 100_000;

/// What a key is to be. [`NewKey::named`] gives one without limits and rules.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: KeyName,
    pub kind: KeyKind,
    pub powers: Powers,
    pub limits: Limits,
    /// Whether what calls cost on the organization's own provider accounts counts against the limits.
    pub include_byok: bool,
    pub expires_at: Option<DateTime<Utc>>,
    pub rules: Rules,
    /// The provisioning key that makes it.
    pub issued_by: Option<KeyId>,
    /// Somebody else than its maker will hold it.
    pub handed_on: bool,
}

impl NewKey {
    #[must_use]
    pub fn named(name: KeyName, kind: KeyKind) -> NewKey {
        NewKey {
            name,
            kind,
            powers: Powers::of(kind),
            limits: Limits::default(),
            include_byok: false,
            expires_at: None,
            rules: Rules::default(),
            issued_by: None,
            handed_on: false,
        }
    }
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
    admit(conn, org, maker, now, &new).await?;
    let plain = PlainKey::fresh();
    write(conn, by, id, org, maker, &new, Some(&plain)).await?;
    Ok(Issued { id, label: plain.label(), plain })
}

/// Whether such a key may be made now. The maker's membership stays as it is until the transaction ends.
pub(super) async fn admit(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    now: DateTime<Utc>,
    new: &NewKey,
) -> Result<(), IssueError> {
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(IssueError::Expired);
    }
    if let Some(maker) = maker {
        let allowed = match new.kind {
            KeyKind::Inference => may_have_keys(conn, org, maker).await?,
            KeyKind::Provisioning => may_manage_keys(conn, org, maker).await?,
        };
        if !allowed {
            return Err(IssueError::NotAllowed);
        }
    }
    if store::has_more_than(conn, org, MAX_KEYS - 1).await? {
        return Err(IssueError::TooMany);
    }
    Ok(())
}

/// The key, its meter and its entry in the log. Without a secret it waits for whoever claims it.
pub(super) async fn write(
    conn: &mut PgConnection,
    by: &By<'_>,
    id: KeyId,
    org: OrgId,
    maker: Option<PersonId>,
    new: &NewKey,
    plain: Option<&PlainKey>,
) -> Result<(), sqlx::Error> {
    let meter = match new.kind {
        KeyKind::Inference => MeterKind::Key,
        KeyKind::Provisioning => MeterKind::Provisioning,
    };
    ledger::create_meter(conn, org, MeterId(id.0), meter, new.limits, new.include_byok).await?;
    store::insert(conn, org, id, plain, new, maker).await?;
    let mut after = json!({ "kind": new.kind.as_str(), "name": new.name.as_str(), "expires": new.expires_at });
    limits_in_log(&mut after, &new.limits);
    let entry = by.entry(org, Action::KeyCreated).on(Target::new("key", id, new.name.as_str()));
    created::tell(conn, org, id, (by.actor, by.name), maker, new).await?;
    audit::record(conn, entry.change(Value::Null, after)).await
}
