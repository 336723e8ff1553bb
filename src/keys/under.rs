//! Issuing a key with another one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::by::By;
use super::issue::{IssueError, Issued, NewKey, issue};
use super::key::{Key, KeyState};
use super::revoke::manages;
use super::scope::{Scope, ScopeError};
use super::store;
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::orgs;

#[derive(Debug, thiserror::Error)]
pub enum UnderError {
    /// It was disabled, deleted or changed, its time came, or whoever made it is no owner or admin any more.
    #[error("The provisioning key may not issue keys any more.")]
    Issuer,
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<sqlx::Error> for UnderError {
    fn from(error: sqlx::Error) -> UnderError {
        UnderError::Issue(error.into())
    }
}

/// Makes a key under a provisioning key, in the caller's transaction: within its scope, and with its meter above. What was
/// not asked for is as with the provisioning key. Belongs to `creator`, or else to whoever made the provisioning key.
///
/// # Errors
/// `Issuer`, `Scope` for what goes beyond it, and those of [`issue`].
pub async fn issue_under(
    conn: &mut PgConnection,
    by: &By<'_>,
    org: OrgId,
    issuer: KeyId,
    creator: Option<PersonId>,
    now: DateTime<Utc>,
    new: NewKey,
) -> Result<Issued, UnderError> {
    let issuer = hold_issuer(conn, org, issuer, creator, now).await?;
    let NewKey { mut rules, expires_at, .. } = new.clone();
    let asked = Scope { expires_at, models: rules.models.take(), per_minute: rules.per_minute.take() };
    let given = Scope::of(&issuer).narrow(asked, now)?;
    (rules.models, rules.per_minute) = (given.models, given.per_minute);
    let new = NewKey { rules, expires_at: given.expires_at, issued_by: Some(issuer.id), ..new };
    let by = if by.name.is_empty() { By { name: &issuer.name, ..*by } } else { *by };
    Ok(issue(conn, &by, org, creator.or(issuer.created_by), now, new).await?)
}

/// The provisioning key, which nobody stops or changes until the transaction ends. Neither do the roles change of whoever
/// made it and of `other`, whose key is concerned: people are held before keys, as where they are removed, and in one order,
/// so that nobody waits crosswise.
pub(super) async fn hold_issuer(
    conn: &mut PgConnection,
    org: OrgId,
    issuer: KeyId,
    other: Option<PersonId>,
    now: DateTime<Utc>,
) -> Result<Key, UnderError> {
    let found = store::find(conn, org, issuer).await?.ok_or(UnderError::Issuer)?;
    let people: BTreeSet<PersonId> = found.created_by.into_iter().chain(other).collect();
    let mut role = None;
    for person in people {
        let held = orgs::hold_role(conn, org, person).await?;
        if found.created_by == Some(person) {
            role = held;
        }
    }
    let key = store::hold(conn, org, issuer).await?.filter(|key| key.created_by == found.created_by);
    let may = |key: &Key| key.created_by.is_none() || manages(role.as_deref());
    key.filter(|key| key.powers.manage && key.state(now) == KeyState::Active && may(key)).ok_or(UnderError::Issuer)
}
