//! Opening accounts and meters.

use sqlx::PgConnection;

use super::meter::{Limits, MeterKind};
use super::store;
use crate::base::ids::{MeterId, OrgId};

/// Opens the credit account of a new organization.
///
/// # Errors
/// Database errors only.
pub async fn open_credit(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    store::insert_credit(conn, org).await
}

/// Starts a meter at zero.
///
/// # Errors
/// Database errors only.
pub async fn create_meter(
    conn: &mut PgConnection,
    org: OrgId,
    id: MeterId,
    kind: MeterKind,
    limits: Limits,
    include_byok: bool,
) -> Result<(), sqlx::Error> {
    store::insert_meter(conn, org, id, kind, limits, include_byok).await
}

/// Replaces the limits of a meter. What was spent stays as it is.
///
/// # Errors
/// `RowNotFound` when the organization has no such meter.
pub async fn set_limits(
    conn: &mut PgConnection,
    org: OrgId,
    id: MeterId,
    limits: Limits,
    include_byok: bool,
) -> Result<(), sqlx::Error> {
    store::update_limits(conn, org, id, limits, include_byok).await
}
