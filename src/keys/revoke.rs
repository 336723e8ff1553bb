//! Stopping keys, and letting them go on.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::by::By;
use super::store;
use crate::audit::{self, Action, Target};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::orgs::{self, Permission, Role};

/// Why a key was not let go on.
#[derive(Debug, thiserror::Error)]
pub enum EnableError {
    #[error("Whoever made this key may have no keys here any more. Create another one.")]
    MakerGone,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Stops a key until it is enabled again. False when there was nothing to stop. Runs in the caller's transaction.
///
/// # Errors
/// Database errors only.
pub async fn disable(conn: &mut PgConnection, by: &By<'_>, org: OrgId, id: KeyId) -> Result<bool, sqlx::Error> {
    let Some(name) = store::set_disabled(conn, org, id, true).await? else { return Ok(false) };
    let entry = by.entry(org, Action::KeyDisabled).on(Target::new("key", id, name));
    audit::record(conn, entry.change(json!({ "enabled": true }), json!({ "enabled": false }))).await?;
    Ok(true)
}

/// Lets a stopped key go on. False when there was nothing to do. Runs in the caller's transaction.
///
/// # Errors
/// `MakerGone` when whoever made it was removed or has a role without keys.
pub async fn enable(conn: &mut PgConnection, by: &By<'_>, org: OrgId, id: KeyId) -> Result<bool, EnableError> {
    let Some(key) = store::find(conn, org, id).await? else { return Ok(false) };
    if let Some(maker) = key.created_by
        && !may_have_keys(conn, org, maker).await?
    {
        return Err(EnableError::MakerGone);
    }
    let Some(name) = store::set_disabled(conn, org, id, false).await? else { return Ok(false) };
    let entry = by.entry(org, Action::KeyEnabled).on(Target::new("key", id, name));
    audit::record(conn, entry.change(json!({ "enabled": false }), json!({ "enabled": true }))).await?;
    Ok(true)
}

/// Whether somebody may have keys here. Their membership stays as it is until the caller's transaction ends, so that a
/// key is not made or enabled while they are being removed.
pub async fn may_have_keys(conn: &mut PgConnection, org: OrgId, person: PersonId) -> Result<bool, sqlx::Error> {
    let role = orgs::hold_role(conn, org, person).await?;
    Ok(role.as_deref().and_then(Role::parse).is_some_and(|role| role.may(Permission::UseKeys)))
}

/// The same for keys that manage others.
pub(super) async fn may_manage_keys(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
) -> Result<bool, sqlx::Error> {
    Ok(manages(orgs::hold_role(conn, org, person).await?.as_deref()))
}

/// Whether somebody of this role may have keys that manage others; without a membership nobody may.
pub(super) fn manages(role: Option<&str>) -> bool {
    role.and_then(Role::parse).is_some_and(|role| role.may(Permission::ManageAllKeys))
}

/// Deletes a key for good, and with a provisioning key everything that it issued, also what it issues at this moment. The
/// calls stay in the activity log under their names. False when there is no such key.
///
/// # Errors
/// Database errors only.
pub async fn delete(conn: &mut PgConnection, by: &By<'_>, org: OrgId, id: KeyId) -> Result<bool, sqlx::Error> {
    let Some(name) = store::mark_deleted(conn, org, id).await? else { return Ok(false) };
    // Whoever issues under it holds it, so whatever was issued is there by now, and nothing follows.
    let with_it = store::delete_issued(conn, org, id).await?;
    let after = if with_it == 0 { Value::Null } else { json!({ "issued_keys_deleted": with_it }) };
    let entry = by.entry(org, Action::KeyDeleted).on(Target::new("key", id, name.clone()));
    audit::record(conn, entry.change(json!({ "name": name }), after)).await?;
    Ok(true)
}
