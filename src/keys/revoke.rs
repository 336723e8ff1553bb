//! Stopping keys, and letting them go on.

use sqlx::PgConnection;

use super::store;
use crate::base::ids::{KeyId, OrgId};

/// Stops a key until it is enabled again. False when the organization has no such key.
///
/// # Errors
/// Database errors only.
pub async fn disable(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<bool, sqlx::Error> {
    store::set_disabled(conn, org, id, true).await
}

/// Lets a stopped key go on. False when the organization has no such key.
///
/// # Errors
/// Database errors only.
pub async fn enable(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<bool, sqlx::Error> {
    store::set_disabled(conn, org, id, false).await
}

/// Deletes a key for good. Its calls stay in the activity log under its name.
///
/// # Errors
/// Database errors only.
pub async fn delete(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<bool, sqlx::Error> {
    store::mark_deleted(conn, org, id).await
}
