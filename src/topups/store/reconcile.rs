//! Comparisons with processors, and what they found.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::topups::read_topups;
use crate::base::Usd;
use crate::base::ids::{RunId, TopUpId};
use crate::db::interval;
use crate::topups::reconcile::{Finding, FindingKind, Run};
use crate::topups::topup::TopUp;

/// A run that has begun.
pub struct Begun {
    pub id: RunId,
    pub since: DateTime<Utc>,
    pub started_at: DateTime<Utc>,
}

/// What a run counted.
#[derive(Debug, Default)]
pub struct RunTotals {
    pub payments: i32,
    pub foreign: i32,
    pub missing: i32,
    pub compared: i32,
    pub told: Usd,
    pub booked: Usd,
    pub fees: Usd,
}

/// The last run of a processor, and when one was complete.
pub struct LastRun {
    pub run: Run,
    pub complete_at: Option<DateTime<Utc>>,
}

/// Ends runs whose process is gone, and forgets those of last year.
async fn tidy_runs(conn: &mut PgConnection, processor: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update reconciliation set state = 'incomplete', ended_at = now(), failure = 'the process that ran it ended'
         where processor = $1 and state = 'running' and lease_until < now()",
        processor,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("delete from reconciliation where started_at < now() - interval '400 days'").execute(conn).await?;
    Ok(())
}

/// Begins a run, unless another process runs one. With `only_if_due` that is a day after the last complete run, and an
/// hour after an incomplete one.
pub async fn begin_run(
    conn: &mut PgConnection,
    processor: &str,
    window: TimeDelta,
    lease: TimeDelta,
    only_if_due: bool,
) -> Result<Option<Begun>, sqlx::Error> {
    tidy_runs(conn, processor).await?;
    sqlx::query_as!(
        Begun,
        r#"insert into reconciliation (id, processor, since, state, lease_until)
           select $1, $2, now() - $3::interval, 'running', now() + $4::interval
           where not $5 or not exists (select from reconciliation where processor = $2
                and ((state = 'complete' and started_at > now() - interval '1 day')
                    or started_at > now() - interval '1 hour'))
           on conflict (processor) where state = 'running' do nothing
           returning id as "id: RunId", since, started_at"#,
        RunId::fresh().0,
        processor,
        interval(window),
        interval(lease),
        only_if_due,
    )
    .fetch_optional(conn)
    .await
}

/// False when the run is not ours any more.
pub async fn renew_run(conn: &mut PgConnection, id: RunId, lease: TimeDelta) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update reconciliation set lease_until = now() + $2::interval where id = $1 and state = 'running'",
        id.0,
        interval(lease),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a run: complete without a failure. One that was taken over stays as it is.
pub async fn end_run(conn: &mut PgConnection, id: RunId, totals: &RunTotals, failure: &str) -> Result<(), sqlx::Error> {
    let failure: String = failure.chars().take(500).collect();
    sqlx::query!(
        "update reconciliation set state = case when $7 = '' then 'complete' else 'incomplete' end, ended_at = now(),
            payments = $2, foreign_payments = $3, compared = $4, told = $5, booked = $6, failure = $7, missing = $8,
            fees = $9
         where id = $1 and state = 'running'",
        id.0,
        totals.payments,
        totals.foreign,
        totals.compared,
        totals.told.amount(),
        totals.booked.amount(),
        failure,
        totals.missing,
        totals.fees.amount(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn insert_finding(
    conn: &mut PgConnection,
    run: RunId,
    number: i32,
    finding: &Finding,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into reconciliation_finding (run_id, number, kind, needs_person, topup_id, reference, detail)
         values ($1, $2, $3, $4, $5, $6, $7)",
        run.0,
        number,
        finding.kind.as_str(),
        finding.kind.needs_person(),
        finding.topup.map(|id| id.0),
        finding.reference,
        finding.detail,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// # Errors
/// `RowNotFound` for an unknown run.
pub async fn reconciliation(conn: &mut PgConnection, id: RunId) -> Result<Run, sqlx::Error> {
    sqlx::query_as!(
        Run,
        r#"select id as "id: RunId", processor, since, state, started_at, ended_at, failure, payments,
            foreign_payments, missing, compared, told as "told: Usd", booked as "booked: Usd", fees as "fees: Usd",
            (select count(*) from reconciliation_finding f where f.run_id = r.id and f.needs_person) as "open!"
           from reconciliation r where id = $1"#,
        id.0,
    )
    .fetch_one(conn)
    .await
}

/// The last run of each processor that has ended.
pub async fn last_runs(conn: &mut PgConnection) -> Result<Vec<LastRun>, sqlx::Error> {
    let last = sqlx::query!(
        r#"select distinct on (processor) id as "id: RunId", (select max(c.started_at) from reconciliation c
                where c.processor = r.processor and c.state = 'complete') as complete_at
           from reconciliation r where state <> 'running' order by processor, started_at desc"#,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut runs = Vec::with_capacity(last.len());
    for row in last {
        runs.push(LastRun { run: reconciliation(conn, row.id).await?, complete_at: row.complete_at });
    }
    Ok(runs)
}

/// What a run found, in the order in which it did.
///
/// # Errors
/// Database errors only.
pub async fn findings(conn: &mut PgConnection, run: RunId, limit: i64) -> Result<Vec<Finding>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select kind, topup_id as "topup: TopUpId", reference, detail from reconciliation_finding
           where run_id = $1 order by number limit $2"#,
        run.0,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let finding = |kind: &str, topup, reference, detail| {
        Some(Finding { kind: FindingKind::parse(kind)?, topup, reference, detail })
    };
    Ok(rows.into_iter().filter_map(|row| finding(&row.kind, row.topup, row.reference, row.detail)).collect())
}

/// Purchases that were credited in a window, and those with refunds or disputes that are undecided, however old.
/// In the order of their ids.
pub async fn to_compare(
    conn: &mut PgConnection,
    processor: &str,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
    after: Option<TopUpId>,
    limit: i64,
) -> Result<Vec<TopUp>, sqlx::Error> {
    read_topups!(
        "",
        "where t.processor = $1 and t.state in ('paid', 'refunded', 'disputed') and ($4::uuid is null or t.id > $4)
            -- What came in later is compared with the purchase that it belongs to.
            and t.more_of is null
            and ((t.paid_at >= $2 and t.paid_at < $3)
                or exists (select from topup m where m.org_id = t.org_id and m.more_of = t.id
                    and m.paid_at >= $2 and m.paid_at < $3)
                or exists (select from dispute d where d.org_id = t.org_id and d.topup_id = t.id
                    and d.state in ('inquiry', 'open'))
                or exists (select from refund r where r.org_id = t.org_id and r.topup_id = t.id and r.state = 'pending'))
         order by t.id limit $5",
        processor,
        since,
        until,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The last run of each processor, and those that run now, newest first.
///
/// # Errors
/// Database errors only.
pub async fn latest(conn: &mut PgConnection) -> Result<Vec<Run>, sqlx::Error> {
    Ok(last_runs(conn).await?.into_iter().map(|last| last.run).collect())
}

/// Runs, newest first.
///
/// # Errors
/// Database errors only.
pub async fn runs(conn: &mut PgConnection, before: Option<RunId>, most: i64) -> Result<Vec<Run>, sqlx::Error> {
    sqlx::query_as!(
        Run,
        r#"select id as "id: RunId", processor, since, state, started_at, ended_at, failure, payments,
            foreign_payments, missing, compared, told as "told: Usd", booked as "booked: Usd", fees as "fees: Usd",
            (select count(*) from reconciliation_finding f where f.run_id = r.id and f.needs_person) as "open!"
           from reconciliation r where $1::uuid is null or id < $1 order by id desc limit $2"#,
        before.map(|id| id.0),
        most,
    )
    .fetch_all(conn)
    .await
}
