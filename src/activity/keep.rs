//! The keeper of the table of calls: makes the parts of coming months, tells of calls that have none, deletes what is old
//! enough, and drops parts in which nothing is left. Every process has one; what two do at once is done once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use metrics::{counter, gauge};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::retention::{MIN_DAYS, Retention, cutoff};
use super::store;
use crate::base::Clock;
use crate::base::ids::OrgId;

/// Months whose parts are there before they begin: an instance that nobody restarts has three months to be looked after.
const MONTHS_AHEAD: i32 = 3;
const EVERY: Duration = Duration::from_mins(30);
/// Calls that are deleted in one transaction, so that none takes long and settlements never wait for one.
const BATCH: i32 = 5_000;
/// Transactions of one round. What is left waits for the next one.
const MAX_BATCHES: u32 = 500;
/// Between two of them, so that deleting takes a part of the database and not all of it.
const REST: Duration = Duration::from_millis(50);
/// Organizations that are read at once.
const ORGS: i64 = 500;
/// Parts that one round drops.
const MAX_DROPS: u32 = 12;
/// Strays that are counted.
const MAX_STRAYS: i64 = 10_000;
/// A lock on all parts that is not there at once is asked for again in the next round: calls come first.
const BEGIN: &str = "begin; set local lock_timeout = '2s'";

/// What a round did.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Parts that were missing.
    pub made: i32,
    /// Calls that came for a month without a part.
    pub strays: i64,
    /// Calls that were deleted.
    pub closed: u64,
    /// Parts that were dropped.
    pub dropped: u32,
}

/// Makes the parts that are missing; at a start, before calls are taken.
///
/// # Errors
/// Database errors only.
pub async fn make_parts(pool: &PgPool) -> Result<i32, sqlx::Error> {
    let mut tx = pool.begin_with(BEGIN).await?;
    let made = store::make_parts(&mut tx, MONTHS_AHEAD).await?;
    tx.commit().await?;
    Ok(made)
}

/// Runs until `stop`.
pub async fn keep(pool: PgPool, retention: Retention, stop: CancellationToken) {
    loop {
        match round(&pool, retention, Clock::system().now()).await {
            Ok(Kept { closed, dropped, .. }) if closed > 0 || dropped > 0 => {
                tracing::info!(closed, dropped, "calls whose time is over were deleted");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the table of calls could not be looked after; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Everything that is due at `now`, within the limits of a round.
///
/// # Errors
/// Database errors only; what was done before stays done.
pub async fn round(pool: &PgPool, retention: Retention, now: DateTime<Utc>) -> Result<Kept, sqlx::Error> {
    let strays = store::count_strays(&mut *pool.acquire().await?, MAX_STRAYS).await?;
    if strays > 0 {
        tracing::error!(strays, "calls came for a month whose part of the table was missing; it is made now");
    }
    let made = make_parts(pool).await?;
    // What is left has an id of no plausible time, and was not made by this program.
    let left = store::count_strays(&mut *pool.acquire().await?, MAX_STRAYS).await?;
    gauge!("farebox_usage_stray_calls").set(f64::from(i32::try_from(left).unwrap_or(i32::MAX)));
    let closed = close(pool, retention, now).await?;
    let mut dropped = 0;
    while dropped < MAX_DROPS && drop_part(pool, now).await? {
        dropped += 1;
    }
    Ok(Kept { made, strays, closed, dropped })
}

async fn close(pool: &PgPool, retention: Retention, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let (mut after, mut closed, mut batches) = (None::<OrgId>, 0_u64, 0);
    loop {
        let most = retention.days.map(i32::from);
        let orgs = store::who_closes(&mut *pool.acquire().await?, most, after, ORGS).await?;
        // Ids only grow, so this ends.
        let Some(last) = orgs.last() else { return Ok(closed) };
        after = Some(last.org);
        for keeps in orgs {
            let before = cutoff(now, keeps.days);
            loop {
                let gone = store::close_calls(&mut *pool.acquire().await?, keeps.org, before, BATCH).await?;
                let gone = u64::try_from(gone).unwrap_or_default();
                closed += gone;
                counter!("farebox_usage_closed_total").increment(gone);
                if gone < u64::from(BATCH.unsigned_abs()) {
                    break;
                }
                batches += 1;
                if batches >= MAX_BATCHES {
                    return Ok(closed);
                }
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn drop_part(pool: &PgPool, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin_with(BEGIN).await?;
    let name = store::drop_part(&mut tx, now - TimeDelta::days(i64::from(MIN_DAYS))).await?;
    tx.commit().await?;
    if let Some(name) = &name {
        tracing::info!(name, "a part of the table of calls in which nothing was left was dropped");
    }
    Ok(name.is_some())
}
