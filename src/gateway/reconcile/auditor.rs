//! The auditor that runs always: mostly over what is new, once a day over everything.
//!
//! All nodes share one mark in the database. Who holds its row audits, and says when the next audit is due; the others only report what
//! it found.

use std::time::{Duration, Instant};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use metrics::{counter, gauge};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::runtime::Handle;

use super::recent::{self, SETTLED_AFTER, Since};
use super::store::{self, Kept, Mark};
use super::verify;
use crate::ledger::Drift;

/// Between two audits of everything.
const FULL_EVERY: TimeDelta = TimeDelta::hours(24);
/// Until one is tried again that did not end.
const FULL_AGAIN: TimeDelta = TimeDelta::hours(1);
/// No statement of the auditor runs longer, and none takes more than one core from the calls.
const BEGIN: &str = "begin isolation level repeatable read; set local statement_timeout = '60s'; \
                     set local plan_cache_mode = force_custom_plan; set local max_parallel_workers_per_gather = 0";
/// And no audit.
const MAX_WAIT: Duration = Duration::from_mins(5);
/// Findings that are written to the log one by one.
const MAX_LOGGED: usize = 20;

/// How often, and up to when.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two audits, at least.
    pub every: Duration,
    /// And so many times as long as the one before took: fewer than one call in a hundred runs beside one, however much is new.
    pub rest: u32,
    /// What is younger is read again by the next one.
    pub settled_after: TimeDelta,
    /// Transfers that are younger are compared with their calls by the next one. Their ids are made some moments before they are seen.
    pub in_flight: TimeDelta,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            every: Duration::from_mins(1),
            rest: 120,
            settled_after: SETTLED_AFTER,
            in_flight: TimeDelta::minutes(2),
        }
    }
}

/// What an audit went through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Audited {
    /// Nothing: none is due, or another node is at it.
    Nothing,
    /// What is new since the last one; nothing was found.
    Recent,
    /// Everything.
    Full(Vec<Drift>),
}

/// Audits when one is due, at this pace or less often where it takes long, as long as the runtime lives.
pub fn start_auditor(handle: &Handle, pool: PgPool, pace: Pace) {
    handle.spawn(async move {
        loop {
            look(&pool, pace).await;
            tokio::time::sleep(pace.every).await;
        }
    });
}

async fn look(pool: &PgPool, pace: Pace) {
    let audited = match begin(pool).await {
        Ok(Some((tx, mark))) => run(pool, tx, mark, pace).await,
        Ok(None) => Some(Audited::Nothing),
        Err(error) => {
            tracing::warn!(%error, "the books could not be audited");
            None
        }
    };
    match audited {
        Some(Audited::Full(drifts)) => {
            for Drift { rule, subject, expected, found } in drifts.iter().take(MAX_LOGGED) {
                tracing::error!(rule, subject, expected, found, "the books do not add up");
            }
        }
        Some(Audited::Nothing | Audited::Recent) => {}
        None => counter!("farebox_ledger_audits_failed_total").increment(1),
    }
    if let Err(error) = show(pool).await {
        tracing::warn!(%error, "the last audit of the books could not be read");
    }
}

/// `None` when it did not end; then it says when the next one is due.
async fn run(pool: &PgPool, tx: Tx, mark: Mark, pace: Pace) -> Option<Audited> {
    let began = Instant::now();
    match tokio::time::timeout(MAX_WAIT, go(tx, mark, pace)).await {
        Ok(Ok(audited)) => return Some(audited),
        Ok(Err(error)) => tracing::warn!(%error, "the books could not be audited"),
        Err(_) => tracing::warn!("an audit of the books took too long"),
    }
    if let Err(error) = put_off(pool, pace, rest(pace, began)).await {
        tracing::warn!(%error, "the next audit of the books comes sooner than it should");
    }
    None
}

fn rest(pace: Pace, began: Instant) -> TimeDelta {
    TimeDelta::from_std(pace.every.max(began.elapsed() * pace.rest)).unwrap_or(FULL_EVERY)
}

fn every(pace: Pace) -> TimeDelta {
    TimeDelta::from_std(pace.every).unwrap_or(FULL_EVERY)
}

/// Audits what is new if an audit is due, and everything where that finds something, where nothing was kept, and once a day.
/// All of it in one repeatable-read transaction, so that all sums see the same moment.
///
/// # Errors
/// Database errors; then nothing of it was kept.
pub async fn audit(pool: &PgPool, pace: Pace) -> Result<Audited, sqlx::Error> {
    match begin(pool).await? {
        Some((tx, mark)) => go(tx, mark, pace).await,
        None => Ok(Audited::Nothing),
    }
}

type Tx = Transaction<'static, Postgres>;

/// The mark, locked until the transaction ends; `None` when no audit is due, or another node is at it.
async fn begin(pool: &PgPool) -> Result<Option<(Tx, Mark)>, sqlx::Error> {
    let mut tx = pool.begin_with(BEGIN).await?;
    match store::take(&mut tx).await {
        Ok(mark) => Ok(mark.map(|mark| (tx, mark))),
        Err(error) if is_others(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Another node audited between our first look and our lock.
fn is_others(error: &sqlx::Error) -> bool {
    const SERIALIZATION_FAILURE: &str = "40001";
    error.as_database_error().and_then(|said| said.code()).is_some_and(|code| code == SERIALIZATION_FAILURE)
}

async fn go(mut tx: Tx, mark: Mark, pace: Pace) -> Result<Audited, sqlx::Error> {
    let began = Instant::now();
    let latest = mark.now - pace.settled_after;
    let compared = mark.now - pace.in_flight;
    let known = mark.until.filter(|_| !mark.is_full_due);
    if let Some(from) = known {
        // Clocks go back sometimes; what was kept does not.
        let until = from.max(latest);
        let over = hour_of(until).max(mark.hours_until);
        let hours = (mark.hours_until < over).then_some((mark.hours_until, over));
        recent::count_late(&mut tx, from).await?;
        let found = recent::verify(&mut tx, Since { until: from, transfers: mark.transfers_until, hours }).await?;
        if found.is_empty() {
            recent::add(&mut tx, from, until).await?;
            store::forget_late(&mut tx, compared).await?;
            let kept = Kept { until: Some(until), over, compared, full: None, drifts: 0, rest: rest(pace, began) };
            store::keep(&mut tx, kept).await?;
            tx.commit().await?;
            return Ok(Audited::Recent);
        }
        let first = found.first().map(|drift| format!("{}: {}", drift.rule, drift.subject));
        tracing::info!(first, found = found.len(), "what is new does not add up: all books are audited");
    }
    let drifts = verify(&mut tx).await?.drifts;
    let is_clean = drifts.is_empty();
    if is_clean {
        recent::remember(&mut tx, latest).await?;
        store::forget_late(&mut tx, compared).await?;
    }
    // The one that has its day every day does not keep the next one of what is new waiting.
    let rest = if is_clean && known.is_none() { every(pace) } else { rest(pace, began) };
    let kept = Kept {
        until: is_clean.then_some(latest),
        over: hour_of(latest),
        compared,
        full: Some(FULL_EVERY),
        drifts: i32::try_from(drifts.len()).unwrap_or(i32::MAX),
        rest,
    };
    store::keep(&mut tx, kept).await?;
    tx.commit().await?;
    Ok(Audited::Full(drifts))
}

fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(DateTime::UNIX_EPOCH)
}

/// After an audit that did not end. Where something was kept, one of everything waits, and what is new goes on being looked at.
/// An audit that was given up holds the mark until its question has ended, for a minute at most, so this waits longer.
async fn put_off(pool: &PgPool, pace: Pace, rest: TimeDelta) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin_with("begin; set local lock_timeout = '90s'; set local statement_timeout = '100s'").await?;
    store::put_off(&mut tx, rest, every(pace), FULL_AGAIN).await?;
    tx.commit().await
}

/// What the last audit of any node found.
async fn show(pool: &PgPool) -> Result<(), sqlx::Error> {
    let (audited_at, drifts) = store::last(pool).await?;
    let whole = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    gauge!("farebox_ledger_audited_timestamp_seconds").set(whole(audited_at.map_or(0, |at| at.timestamp())));
    gauge!("farebox_ledger_drift").set(whole(drifts.into()));
    Ok(())
}
