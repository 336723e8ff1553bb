//! Deleting a key.

use serde_json::Value;
use sqlx::PgConnection;

use super::connect::{Writer, shown};
use super::store;
use crate::audit::{self, Action, Target};
use crate::orgs::{Acting, OrgError, Permission};

/// Deletes the key for a provider in the caller's transaction; nothing of it is kept. False when there was none.
///
/// # Errors
/// `NotAllowed`, and database errors.
pub async fn disconnect(conn: &mut PgConnection, acting: &Acting<'_>, provider: &str) -> Result<bool, OrgError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    let entry = |action| acting.entry(action);
    let writer = Writer { org: acting.org, author: Some(acting.person.id), entry: &entry };
    Ok(remove(conn, &writer, provider).await?)
}

/// The same for a caller that holds the organization's lock and has looked whether the writer may.
///
/// # Errors
/// Database errors only.
pub async fn remove(conn: &mut PgConnection, writer: &Writer<'_>, provider: &str) -> Result<bool, sqlx::Error> {
    let Some(before) = store::find(conn, writer.org, provider).await? else { return Ok(false) };
    store::delete(conn, writer.org, before.id).await?;
    let entry = (writer.entry)(Action::ProviderKeyDisconnected);
    let entry = entry.on(Target::new("provider_key", before.id, before.name.clone()));
    audit::record(conn, entry.change(shown(&before), Value::Null)).await?;
    Ok(true)
}
