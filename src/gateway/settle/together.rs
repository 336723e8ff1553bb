//! Calls that end together, in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use metrics::{counter, histogram};
use sqlx::error::DatabaseError;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::super::call::{Charge, Status};
use super::super::reconcile::{is_late, note_late};
use super::allowance::{Allowances, Months, OwnChange};
use super::batch::{Commit, Failure, Job, Outcome, Settled, count, ending, failure, row};
use super::{Durable, Receipt, Settlement};
use crate::activity::{self, HourDetail, HourLine, Lines, UsageDetail, UsageLine, UsageRow, UsageUnits};
use crate::base::ids::CallId;
use crate::base::{Clock, Usd};
use crate::db::Lane;
use crate::ledger::{self, ByokChange, Changes, CreditChange, Ending, MeterChange, TransferLine};

/// Waits for the disk, whatever the pool's own setting is.
const BEGIN: &str = "begin; set local synchronous_commit = on";

/// Settles a batch: at once where every call is as it was admitted, else step by step.
pub async fn settle_together(
    pool: &PgPool,
    lane: &Lane,
    allowances: &Allowances,
    jobs: &[Arc<Job>],
    commit: Commit,
) -> Result<Settled, sqlx::Error> {
    histogram!("farebox_settle_batch_size").record(f64::from(u32::try_from(jobs.len()).unwrap_or(u32::MAX)));
    match at_once(lane, allowances, jobs, commit).await? {
        Some(receipts) => {
            let results = receipts.into_iter().map(Ok).collect();
            Ok(Settled { results, is_on_disk: commit == Commit::OntoDisk })
        }
        // Its commits wait for the disk. But what it finds settled may have been committed by others who do not.
        None => Ok(Settled { results: step_by_step(pool, allowances, jobs).await?, is_on_disk: false }),
    }
}

/// The whole batch in one round trip: what it comes to is worked out here, and a function of
/// `migrations/0125_settle_at_once.sql` writes it if every hold is there as it was granted and no call has a row yet.
/// `None` when anything is different; nothing was written then.
async fn at_once(
    lane: &Lane,
    allowances: &Allowances,
    jobs: &[Arc<Job>],
    commit: Commit,
) -> Result<Option<Vec<Receipt>>, sqlx::Error> {
    let mut seen = HashSet::with_capacity(jobs.len());
    if !jobs.iter().all(|job| seen.insert(job.id())) {
        return Ok(None);
    }
    // The function does not note them for the auditor.
    let now = Clock::system().now();
    if jobs.iter().any(|job| matches!(&**job, Job::Settle(settlement) if is_late(settlement.call.id, now))) {
        return Ok(None);
    }
    let settlements: Vec<&Settlement> = jobs
        .iter()
        .filter_map(|job| match &**job {
            Job::Settle(settlement) => Some(settlement.as_ref()),
            Job::Reject { .. } => None,
        })
        .collect();
    let meters: Vec<_> = settlements.iter().map(|settlement| settlement.call.meter_ids()).collect();
    let mut expected = allowances.expect();
    let charges: Vec<Charge> = settlements.iter().map(|settlement| expected.charge(settlement)).collect();
    let endings = settlements.iter().zip(&charges).zip(&meters);
    let endings = endings.map(|((settlement, charge), meters)| (ending(settlement, charge.cost), meters.as_slice()));
    let (ended, changes) = ledger::presume(endings);
    let count_of_ended = i32::try_from(ended.len()).unwrap_or(i32::MAX);
    let own = expected.changes(settlements.iter().copied());
    let (mut ended, mut meters, mut charges) = (ended.into_iter(), meters.into_iter(), charges.into_iter());
    let mut rows = Vec::with_capacity(jobs.len());
    let mut receipts = Vec::with_capacity(jobs.len());
    for job in jobs {
        receipts.push(match &**job {
            Job::Reject { call, ended } => {
                rows.push(row(call, ended, Outcome::default()));
                Receipt::nothing()
            }
            Job::Settle(settlement) => {
                let Some(ledger::Ended::Settled { charged, overrun, transfer }) = ended.next() else { return Ok(None) };
                let (hold, meters) = (settlement.hold, meters.next().unwrap_or_default());
                let charge = charges.next().unwrap_or_default();
                let outcome = Outcome { charged, overrun, hold, transfer, meters, charge };
                rows.push(row(&settlement.call, &settlement.ended, outcome));
                Receipt { charged, overrun, discount: charge.discount, durable: Durable::Committed }
            }
        });
    }
    let lines = activity::lines(&mut rows);
    let mut conn = lane.take().await?;
    let settled = match write(&mut conn, &lines, count_of_ended, &changes, &own, commit).await {
        Err(sqlx::Error::Database(refused)) if is_refusal(refused.as_ref()) => false,
        written => written?,
    };
    lane.keep(conn);
    if !settled {
        return Ok(None);
    }
    count(&rows);
    Ok(Some(receipts))
}

/// The error with which the function refuses a batch, in `migrations/0125_settle_at_once.sql`.
const NOT_AS_ADMITTED: &str = "FB001";

/// Whether a hold is not there as it was granted, or a call has its row already. Nothing was written then: the
/// statement was a transaction of its own, and its connection is fit for the next.
fn is_refusal(error: &dyn DatabaseError) -> bool {
    error.is_unique_violation() || error.code().is_some_and(|code| code == NOT_AS_ADMITTED)
}

/// The function commits without a wait for the disk, unless what is set after it says otherwise.
///
/// One call of a function, for a batch as most are; of one around it (`migrations/0043_own_calls.sql`) where a call went to
/// a provider account of its organization's own or has a discount, and of one around that (`migrations/0096_usage_units.sql`)
/// where one is charged for more than text.
async fn write(
    conn: &mut PgConnection,
    lines: &Lines<'_>,
    ended: i32,
    changes: &Changes,
    own: &[OwnChange],
    commit: Commit,
) -> Result<bool, sqlx::Error> {
    if own.is_empty() && changes.byok.is_empty() && lines.details.is_empty() && lines.units.is_empty() {
        return sqlx::query_scalar!(
            r#"select case when settle_at_once($1, $2, $3, $4, $5, $6)
                then set_config('synchronous_commit', $7, true) is not null else false end as "settled!""#,
            &lines.usage as &[UsageLine<'_>],
            ended,
            &changes.credits as &[CreditChange],
            &changes.meters as &[MeterChange],
            &changes.transfers as &[TransferLine],
            &lines.hours as &[HourLine<'_>],
            commit.setting(),
        )
        .fetch_one(conn)
        .await;
    }
    sqlx::query_scalar!(
        r#"select case when settle_unit_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            then set_config('synchronous_commit', $12, true) is not null else false end as "settled!""#,
        &lines.usage as &[UsageLine<'_>],
        ended,
        &changes.credits as &[CreditChange],
        &changes.meters as &[MeterChange],
        &changes.transfers as &[TransferLine],
        &lines.hours as &[HourLine<'_>],
        own as &[OwnChange],
        &changes.byok as &[ByokChange],
        &lines.details as &[UsageDetail],
        &lines.hour_details as &[HourDetail<'_>],
        &lines.units as &[UsageUnits],
        commit.setting(),
    )
    .fetch_one(conn)
    .await
}

/// Step by step in one transaction, but calls whose hold is gone in one each: these are rare, and they need a lock
/// of their own that would not fit into the one order in which a batch locks rows.
async fn step_by_step(
    pool: &PgPool,
    allowances: &Allowances,
    jobs: &[Arc<Job>],
) -> Result<Vec<Result<Receipt, Failure>>, sqlx::Error> {
    let mut tx = pool.begin_with(BEGIN).await?;
    let mut seen = HashSet::new();
    // The same call twice in one batch ends once; the second asks what the first came to.
    let firsts: Vec<bool> = jobs.iter().map(|job| matches!(&**job, Job::Settle(_)) && seen.insert(job.id())).collect();
    let settlements: HashMap<CallId, &Settlement> = jobs
        .iter()
        .zip(&firsts)
        .filter_map(|(job, first)| match &**job {
            Job::Settle(settlement) if *first => Some((settlement.call.id, settlement.as_ref())),
            _ => None,
        })
        .collect();
    let endings: Vec<Ending> = jobs
        .iter()
        .zip(&firsts)
        .filter_map(|(job, first)| match &**job {
            Job::Settle(settlement) if *first => Some(ending(settlement, settlement.ended.cost)),
            _ => None,
        })
        .collect();
    let mut months = Months::lock(&mut tx, settlements.values().copied()).await?;
    let mut charges: HashMap<CallId, Charge> = HashMap::with_capacity(endings.len());
    let cost = |ending: &Ending| {
        let charge = settlements.get(&ending.call).map(|settlement| months.count(settlement)).unwrap_or_default();
        charges.insert(ending.call, charge);
        charge.cost
    };
    let mut ended = ledger::settle_with(&mut tx, &endings, cost).await?.into_iter();
    months.save(&mut tx).await?;
    let mut rows = Vec::with_capacity(jobs.len());
    let mut receipts = Vec::with_capacity(jobs.len());
    for (job, first) in jobs.iter().zip(&firsts) {
        receipts.push(match &**job {
            Job::Reject { call, ended } => {
                // A call that was admitted has its row from its settlement.
                if !seen.contains(&job.id()) {
                    rows.push(row(call, ended, Outcome::default()));
                }
                Some(Receipt::nothing())
            }
            Job::Settle(settlement) if *first => match ended.next() {
                Some(ledger::Ended::Settled { charged, overrun, transfer }) => {
                    let meters = settlement.call.meter_ids();
                    let charge = charges.get(&settlement.call.id).copied().unwrap_or_default();
                    let outcome = Outcome { charged, overrun, hold: settlement.hold, transfer, meters, charge };
                    rows.push(row(&settlement.call, &settlement.ended, outcome));
                    Some(Receipt { charged, overrun, discount: charge.discount, durable: Durable::Committed })
                }
                Some(ledger::Ended::Gone) | None => None,
            },
            Job::Settle(_) => None,
        });
    }
    record_all(&mut tx, &mut rows).await?;
    tx.commit().await?;
    months.teach(allowances);
    count(&rows);
    let mut results = Vec::with_capacity(jobs.len());
    for (job, receipt) in jobs.iter().zip(receipts) {
        results.push(match (receipt, &**job) {
            (Some(receipt), _) => Ok(receipt),
            // Nothing of the batch is undone by what happens to this one.
            (None, Job::Settle(settlement)) => settle_lost(pool, settlement).await.map_err(failure),
            (None, Job::Reject { .. }) => Err(Failure::Data(sqlx::Error::RowNotFound)),
        });
    }
    Ok(results)
}

/// Writes the rows, and notes those that come late. A charge without a row of its own must never be committed.
async fn record_all(tx: &mut Transaction<'static, Postgres>, rows: &mut [UsageRow]) -> Result<(), sqlx::Error> {
    let written = activity::record(tx, rows).await?;
    let new = rows.iter().filter(|row| written.contains(&row.call)).map(|row| (row.org, row.call));
    note_late(tx, new, Clock::system().now()).await?;
    match rows.iter().find(|row| row.transfer.is_some() && !written.contains(&row.call)) {
        Some(row) => Err(sqlx::Error::Protocol(format!("{} was logged while its hold was open", row.call))),
        None => Ok(()),
    }
}

/// A call whose hold is gone. Its row says whether it was settled before; a row that says `abandoned` gives way,
/// for here is the proof that the sweeper missed; without a row the hold was lost in a database crash, or the row was deleted
/// because its time was over.
async fn settle_lost(pool: &PgPool, settlement: &Settlement) -> Result<Receipt, sqlx::Error> {
    let (org, call) = (settlement.call.org, settlement.call.id);
    let mut tx = pool.begin_with(BEGIN).await?;
    // Two who find the hold gone must not both find no row.
    lock_call(&mut tx, call).await?;
    let before = activity::settled_usage(&mut tx, org, call).await?;
    if let Some(before) = before {
        if before.status != Status::Abandoned.as_str() {
            let discount = Usd::ZERO;
            return Ok(Receipt {
                charged: before.cost,
                overrun: before.overrun,
                discount,
                durable: Durable::Committed,
            });
        }
        activity::withdraw_abandoned(&mut tx, org, call).await?;
    } else if activity::is_closed(&mut tx, org, settlement.call.created_at).await? {
        return Ok(too_late(settlement));
    }
    let meters = settlement.call.meter_ids();
    let mut months = Months::lock(&mut tx, std::iter::once(settlement)).await?;
    let charge = months.count(settlement);
    let settled = ledger::settle_without_hold(&mut tx, &ending(settlement, charge.cost), &meters).await?;
    months.save(&mut tx).await?;
    let (charged, overrun, transfer) = match settled {
        ledger::Ended::Settled { charged, overrun, transfer } => (charged, overrun, transfer),
        ledger::Ended::Gone => (Usd::ZERO, Usd::ZERO, None),
    };
    let outcome = Outcome { charged, overrun, hold: settlement.hold, transfer, meters, charge };
    let mut row = row(&settlement.call, &settlement.ended, outcome);
    record_all(&mut tx, std::slice::from_mut(&mut row)).await?;
    tx.commit().await?;
    count(std::slice::from_ref(&row));
    tracing::warn!(%org, %call, %charged, "a call was settled although its hold was gone");
    Ok(Receipt { charged, overrun, discount: charge.discount, durable: Durable::Committed })
}

/// A settlement that comes after the calls of its time were deleted, weeks after its call: whether it was settled is not
/// known any more. What cannot be proven is not charged.
fn too_late(settlement: &Settlement) -> Receipt {
    let (org, call) = (settlement.call.org, settlement.call.id);
    counter!("farebox_settlements_too_late_total").increment(1);
    tracing::error!(%org, %call, cost = %settlement.ended.cost,
        "a settlement came after the calls of its time were deleted, so nothing is charged for it now");
    Receipt { charged: Usd::ZERO, overrun: Usd::ZERO, discount: Usd::ZERO, durable: Durable::Committed }
}

async fn lock_call(tx: &mut Transaction<'static, Postgres>, call: CallId) -> Result<(), sqlx::Error> {
    // Two calls that share a lock by chance only wait for each other.
    let (high, low) = call.0.as_u64_pair();
    let number = i64::from_ne_bytes((high ^ low).to_ne_bytes());
    sqlx::query!("select pg_advisory_xact_lock($1)", number).execute(&mut **tx).await?;
    Ok(())
}
