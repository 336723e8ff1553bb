//! Recording calls: their rows and the sums per hour, in the caller's transaction.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::span::hour_of;
use super::store::{self, HourDetail, HourLine, UsageDetail, UsageLine, UsageUnits};
use super::usage::UsageRow;
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId};

/// Makes the texts of rows storable, writes them and adds them to the sums of their hours. Returns the calls that
/// were new: one that has a row already keeps it and is not counted again.
///
/// # Errors
/// Database errors only; the caller rolls back.
pub async fn record(conn: &mut PgConnection, rows: &mut [UsageRow]) -> Result<HashSet<CallId>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    make_ready(rows);
    let mut distinct: Vec<&UsageRow> = rows.iter().collect();
    distinct.dedup_by_key(|row| (row.org, row.call));
    let lines: Vec<UsageLine<'_>> = distinct.iter().map(|row| UsageLine::of(row)).collect();
    let new: HashSet<CallId> = store::insert_usage(conn, &lines).await?.into_iter().collect();
    let counted: Vec<&UsageRow> = distinct.into_iter().filter(|row| new.contains(&row.call)).collect();
    store::add_hours(conn, &store::hours(counted.iter().copied())).await?;
    store::add_extra(conn, &counted).await?;
    Ok(new)
}

/// Everything that a settlement writes into the log.
#[derive(Debug)]
pub struct Lines<'a> {
    pub usage: Vec<UsageLine<'a>>,
    pub hours: Vec<HourLine<'a>>,
    /// What only some calls have.
    pub details: Vec<UsageDetail>,
    pub hour_details: Vec<HourDetail<'a>>,
    pub units: Vec<UsageUnits>,
}

/// The same rows as lines, for whoever writes a whole settlement at once: each call stands once in `rows`, and none has
/// a row yet.
#[must_use]
pub fn lines(rows: &mut [UsageRow]) -> Lines<'_> {
    make_ready(rows);
    let all: Vec<&UsageRow> = rows.iter().collect();
    Lines {
        usage: all.iter().map(|row| UsageLine::of(row)).collect(),
        details: store::details(&all),
        hour_details: store::hour_details(&all),
        units: store::units(&all),
        hours: store::hours(all.into_iter()),
    }
}

/// In one order, so that two transactions that write the same calls wait for each other and never in a ring.
fn make_ready(rows: &mut [UsageRow]) {
    rows.iter_mut().for_each(UsageRow::make_storable);
    rows.sort_by_key(|row| (row.org, row.call));
}

/// Takes back the row of a call that was given up for lost, because its settlement turned up after all.
/// False when the call has no row that says `abandoned`.
///
/// # Errors
/// Database errors only.
pub async fn withdraw_abandoned(conn: &mut PgConnection, org: OrgId, call: CallId) -> Result<bool, sqlx::Error> {
    let Some(counted) = store::delete_abandoned(conn, org, call).await? else { return Ok(false) };
    let taken = HourLine {
        org,
        hour: hour_of(counted.created_at),
        key: counted.key,
        model: &counted.model,
        provider: &counted.provider,
        app: &counted.app,
        member: counted.member.unwrap_or(Uuid::nil()),
        requests: -1,
        failed: -1,
        prompt: 0,
        completion: 0,
        reasoning: 0,
        cached: 0,
        cost: Usd::ZERO,
    };
    store::add_hours(conn, &[taken]).await?;
    Ok(true)
}
