//! Deleting a key.

use serde_json::Value;
use sqlx::PgConnection;

use super::connect::shown;
use super::store;
use crate::audit::{self, Action, Target};
use crate::orgs::{Acting, OrgError, Permission};

/// Deletes the key for a provider in the caller's transaction; nothing of it is kept. False when there was none.
///
/// # Errors
/// `NotAllowed`, and database errors.
pub async fn disconnect(conn: &mut PgConnection, acting: &Acting<'_>, provider: &str) -> Result<bool, OrgError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    let Some(before) = store::find(conn, acting.org, provider).await? else { return Ok(false) };
    store::delete(conn, acting.org, before.id).await?;
    let entry = acting.entry(Action::ProviderKeyDisconnected);
    let entry = entry.on(Target::new("provider_key", before.id, before.name.clone()));
    audit::record(conn, entry.change(shown(&before), Value::Null)).await?;
    Ok(true)
}
