//! How endpoints did: what every process saw, summed up by the hour for all of them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::store;
use crate::catalog::EndpointId;
use crate::routing::Measured;

/// Hours that are older are forgotten.
pub const KEPT: TimeDelta = TimeDelta::days(35);

/// Adds what was measured to the running hour, by the database's clock. The endpoints stand in one order, so that two
/// processes wait for each other and never in a ring.
///
/// # Errors
/// Database errors only.
pub async fn add_measured(conn: &mut PgConnection, measured: &[(EndpointId, Measured)]) -> Result<(), sqlx::Error> {
    if measured.is_empty() { Ok(()) } else { store::add_measured(conn, measured).await }
}

/// What all processes measured since a moment, in whole hours; of these endpoints, or of all.
///
/// # Errors
/// Database errors only.
pub async fn measured(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    endpoints: Option<&[EndpointId]>,
) -> Result<HashMap<EndpointId, Measured>, sqlx::Error> {
    let since = super::span::hour_of(since);
    let rows = match endpoints {
        Some(endpoints) => store::measured_of(conn, since, endpoints).await?,
        None => store::measured_of_all(conn, since).await?,
    };
    Ok(rows.into_iter().collect())
}

/// Forgets what is older than [`KEPT`].
///
/// # Errors
/// Database errors only.
pub async fn forget_measured(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    store::forget_measured(conn, KEPT).await
}
