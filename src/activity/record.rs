//! Recording calls: their rows and the sums per hour, in the caller's transaction.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::PgConnection;

use super::store::{self, HourSums};
use super::usage::UsageRow;
use crate::base::ids::{CallId, OrgId};

/// Makes the texts of rows storable, writes them and adds them to the sums of their hours. Returns the calls that were new: one that has a
/// row already keeps it and is not counted again.
///
/// # Errors
/// Database errors only; the caller rolls back.
pub async fn record(conn: &mut PgConnection, rows: &mut [UsageRow]) -> Result<HashSet<CallId>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    rows.iter_mut().for_each(UsageRow::make_storable);
    // In one order, so that two transactions that write the same calls wait for each other and never in a ring.
    let mut sorted: Vec<&UsageRow> = rows.iter().collect();
    sorted.sort_by_key(|row| (row.org, row.call));
    sorted.dedup_by_key(|row| (row.org, row.call));
    Ok(store::insert_usage(conn, &sorted).await?.into_iter().collect())
}

/// Takes back the row of a call that was given up for lost, because its settlement turned up after all.
/// False when the call has no row that says `abandoned`.
///
/// # Errors
/// Database errors only.
pub async fn withdraw_abandoned(conn: &mut PgConnection, org: OrgId, call: CallId) -> Result<bool, sqlx::Error> {
    let Some(key) = store::delete_abandoned(conn, org, call).await? else { return Ok(false) };
    let taken = HourSums { requests: -1, failed: -1, ..HourSums::default() };
    store::add_hours(conn, &BTreeMap::from([(key, taken)])).await?;
    Ok(true)
}

/// The start of the UTC hour of a moment.
pub(super) fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}
