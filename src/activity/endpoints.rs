//! How endpoints did: what every process saw, summed up by the hour and by the minute for all of them. Whoever shows it,
//! page or API, reads it here.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::store;
use crate::catalog::EndpointId;
use crate::routing::{Count, Fresh, Measured, Recent};

/// Hours that are older are forgotten.
pub const KEPT: TimeDelta = TimeDelta::days(35);

/// What is shown of the last day, on pages and in the API.
pub const DAY: TimeDelta = TimeDelta::hours(24);
/// Minutes that are older are forgotten; half an hour of them is looked at.
const MINUTES_KEPT: TimeDelta = TimeDelta::hours(1);

/// Adds what was measured to the running hour and minute, by the database's clock, in the caller's transaction. The
/// endpoints stand in one order, so that two processes wait for each other and never in a ring.
///
/// # Errors
/// Database errors only.
pub async fn add_measured(conn: &mut PgConnection, fresh: &[Fresh]) -> Result<(), sqlx::Error> {
    if fresh.is_empty() {
        return Ok(());
    }
    store::add_measured(conn, fresh).await?;
    store::add_counts(conn, fresh).await
}

/// What all processes saw in the last minutes, of every endpoint that was asked.
///
/// # Errors
/// Database errors only.
pub async fn recent(conn: &mut PgConnection) -> Result<HashMap<EndpointId, Recent>, sqlx::Error> {
    let mut counts: HashMap<EndpointId, (Vec<Count>, Vec<Count>)> = HashMap::new();
    for (endpoint, five_minutes, half_hour) in store::recent_counts(conn).await? {
        let (five, half) = counts.entry(endpoint).or_default();
        five.push(five_minutes);
        half.push(half_hour);
    }
    Ok(counts.into_iter().map(|(endpoint, (five, half))| (endpoint, Recent::of(&five, &half))).collect())
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

/// Forgets hours that are older than [`KEPT`], and minutes that nobody looks at any more.
///
/// # Errors
/// Database errors only.
pub async fn forget_measured(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    store::forget_measured(conn, KEPT, MINUTES_KEPT).await
}
