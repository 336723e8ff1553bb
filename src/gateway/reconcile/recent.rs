//! What came since the last audit, so that one does not get longer as the books grow.
//!
//! [`remember`] keeps what everything before a moment adds up to, [`verify`] adds what is there since, [`add`] moves the moment on. All
//! go by the ids of transfers and calls, which tell when those were begun. A call that is settled when its id is already of
//! before that moment (from a spool, an hour later) is noted when it is settled, and [`count_late`] adds it to the sums that are
//! kept.
//!
//! Calls are found by their organization first and then by their id, so each query goes from organization to organization and reads the
//! end of each one's calls, and not all calls of the month; and it goes from one late call to the next. What it costs grows with
//! what is new, and with the number of organizations and meters.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::{Difference, Hours, MAX_FINDINGS, drifts, hours, house_hours, provider_hours, store};
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId};
use crate::ledger::{self, Drift};

/// The youngest that is kept in sums is so old: a call takes a quarter of an hour at most, and its hold some minutes more.
pub const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(30);
/// A call that is settled so long after it was begun is noted for the auditor. Before [`SETTLED_AFTER`] by more than clocks differ.
const LATE: TimeDelta = TimeDelta::minutes(20);
/// Sums of the house are compared so far back: an hour is summed when it is over for three.
const HOUSE_HOURS: TimeDelta = TimeDelta::hours(24);

/// Notes those of the calls that are settled late by `now`, in the transaction that writes their rows.
///
/// # Errors
/// Database errors only.
pub async fn note_late(
    conn: &mut PgConnection,
    calls: impl Iterator<Item = (OrgId, CallId)>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let late: Vec<_> = calls.filter(|(_, call)| is_late(*call, now)).collect();
    if late.is_empty() { Ok(()) } else { store::note_late(conn, &late).await }
}

/// Whether a call is settled late by `now`.
#[must_use]
pub fn is_late(call: CallId, now: DateTime<Utc>) -> bool {
    call < CallId::floor(now - LATE)
}

/// Up to when everything was found right.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    pub until: DateTime<Utc>,
    /// And up to when transfers were compared with their calls.
    pub transfers: DateTime<Utc>,
    /// Those to compare with their calls.
    pub hours: Option<Hours>,
}

/// Checks what [`super::verify`] checks, but for what was kept and for codes: in one repeatable-read transaction. An hour is
/// compared with its calls once, when it is over.
///
/// # Errors
/// Database errors only.
pub async fn verify(conn: &mut PgConnection, since: Since) -> Result<Vec<Drift>, sqlx::Error> {
    let Since { until, transfers: compared, hours: over } = since;
    let mut found = ledger::verify_since(conn, until).await?;
    found.extend(drifts("usage transfer = sum of its calls", transfers(conn, compared).await?));
    found.extend(drifts("meter = sum of the calls on it", meters(conn, until).await?));
    found.extend(drifts("month of an organization = list prices of its calls", months(conn, until).await?));
    found.extend(drifts("operator loss = overrun of the call", overruns(conn, until).await?));
    if over.is_some() {
        found.extend(drifts("sums per hour = sums of the calls", hours(conn, over).await?));
        found.extend(drifts("list price per hour = list prices of the calls", provider_hours(conn, over).await?));
    }
    let house = house_hours(conn, Some(until - HOUSE_HOURS)).await?;
    found.extend(drifts("sums of all organizations = sums per hour", house));
    Ok(found)
}

/// Keeps the sums of everything before `until`, instead of what was kept: what there is now, without what is younger. Only after
/// [`super::verify`] found nothing, in its transaction.
///
/// # Errors
/// Database errors only.
pub async fn remember(conn: &mut PgConnection, until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from audited").execute(&mut *conn).await?;
    ledger::keep_audited(conn).await?;
    sqlx::query!(
        "insert into audited (org_id, kind, id, amount, own)
         select org_id, 'meter', id, spent_total, byok_total from meter
         union all
         select org_id, 'month', org_id, 0, sum(used) from own_month group by org_id",
    )
    .execute(&mut *conn)
    .await?;
    shift(conn, until, None, -1).await?;
    store::late_are_counted(conn, until).await
}

/// Adds what is from `from` to `until` to the sums that are kept. Only after [`verify`] found nothing since `from`, in its
/// transaction.
///
/// # Errors
/// Database errors only.
pub async fn add(conn: &mut PgConnection, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    shift(conn, from, Some(until), 1).await?;
    store::late_are_counted(conn, until).await
}

/// Adds to the sums that are kept, which are of before `until`, the calls of that time that were settled since.
///
/// # Errors
/// Database errors only.
pub async fn count_late(conn: &mut PgConnection, until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with calls as materialized (
            select u.* from audited_late l cross join lateral (
               select org_id, meters, cost, upstream_cost from usage o where o.org_id = l.org_id and o.id = l.id offset 0
            ) u where not l.counted and l.id < call_floor($1)
         )
         insert into audited (org_id, kind, id, amount, own)
         select org_id, 'meter', unnest(meters) as id, sum(cost), sum(upstream_cost) from calls
         where cost > 0 or upstream_cost > 0 group by 1, 3
         union all
         select org_id, 'month', org_id, 0, sum(upstream_cost) from calls where upstream_cost > 0 group by 1
         on conflict (org_id, kind, id) do update set
            amount = audited.amount + excluded.amount, own = audited.own + excluded.own",
        until,
    )
    .execute(&mut *conn)
    .await?;
    store::late_are_counted(conn, until).await
}

async fn shift(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    sign: i32,
) -> Result<(), sqlx::Error> {
    ledger::shift_audited(conn, from, until, sign).await?;
    sqlx::query!(
        "with calls as materialized (
            select u.* from credit c cross join lateral (
               select org_id, meters, cost, upstream_cost from usage o
               where o.org_id = c.org_id and o.id >= call_floor($1) and ($2::timestamptz is null or o.id < call_floor($2)) offset 0
            ) u where u.cost > 0 or u.upstream_cost > 0
         )
         insert into audited (org_id, kind, id, amount, own)
         select org_id, 'meter', unnest(meters) as id, sum(cost) * $3::int, sum(upstream_cost) * $3::int from calls group by 1, 3
         union all
         select org_id, 'month', org_id, 0, sum(upstream_cost) * $3::int from calls where upstream_cost > 0 group by 1
         on conflict (org_id, kind, id) do update set
            amount = audited.amount + excluded.amount, own = audited.own + excluded.own",
        from,
        until,
        sign,
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Both ways: a transfer and the calls that it is for, which were begun at most so long before it as a call takes or are noted as
/// late; and calls whose transfer is missing.
async fn transfers(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"with calls as materialized (
              select id, sum(cost) as cost from (
                 select u.transfer_id as id, u.cost from credit c cross join lateral (
                    select * from usage o where o.org_id = c.org_id and o.id >= call_floor($2) offset 0
                 ) u where u.transfer_id is not null
                 union all
                 select u.transfer_id, u.cost from audited_late l cross join lateral (
                    select * from usage o where o.org_id = l.org_id and o.id = l.id offset 0
                 ) u where l.id < call_floor($2) and u.transfer_id is not null
              ) both_ages group by 1
           )
           select 'usage transfer ' || t.id as "subject!", coalesce(u.cost, 0) as "expected!: Usd", t.amount as "found!: Usd"
           from transfer t left join calls u on u.id = t.id
           where t.code = 'usage' and t.id >= call_floor($1) and t.amount is distinct from u.cost
           union all
           (select 'usage transfer ' || u.id, u.cost, 0 from calls u left join transfer t on t.id = u.id and t.code = 'usage'
            where t.id is null)
           limit $3"#,
        since,
        since - SETTLED_AFTER,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

async fn meters(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"with calls as (
              select org_id, id, sum(cost) as cost, sum(own) as own from (
                 select u.org_id, unnest(u.meters) as id, u.cost, u.upstream_cost as own from credit c cross join lateral (
                    select * from usage o where o.org_id = c.org_id and o.id >= call_floor($1) offset 0
                 ) u where u.cost > 0 or u.upstream_cost > 0
                 union all
                 select org_id, id, amount, own from audited where kind = 'meter'
              ) both_times group by 1, 2
           ), compared as materialized (
              select coalesce(m.kind, 'unknown') || ' meter ' || coalesce(m.id, u.id) as subject,
                 coalesce(u.cost, 0) as cost, coalesce(m.spent_total, 0) as spent,
                 coalesce(u.own, 0) as own, coalesce(m.byok_total, 0) as byok
              from meter m full join calls u on u.org_id = m.org_id and u.id = m.id
              where coalesce(m.spent_total, 0) <> coalesce(u.cost, 0) or coalesce(m.byok_total, 0) <> coalesce(u.own, 0)
           )
           select subject as "subject!", cost as "expected!: Usd", spent as "found!: Usd" from compared where cost <> spent
           union all
           select 'providers on ' || subject, own, byok from compared where own <> byok
           limit $2"#,
        since,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

async fn months(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'months of ' || coalesce(o.org_id, u.org_id) as "subject!", coalesce(u.cost, 0) as "expected!: Usd",
            coalesce(o.used, 0) as "found!: Usd"
           from (select org_id, sum(used) as used from own_month group by 1) o
           full join (
              select org_id, sum(cost) as cost from (
                 select u.org_id, u.upstream_cost as cost from credit c cross join lateral (
                    select * from usage o where o.org_id = c.org_id and o.id >= call_floor($1) offset 0
                 ) u where u.upstream_cost > 0
                 union all
                 select org_id, own from audited where kind = 'month'
              ) both_times group by 1
           ) u using (org_id)
           where coalesce(o.used, 0) <> coalesce(u.cost, 0)
           limit $2"#,
        since,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

/// The reference of an overrun is the id of its call, whose text is in the order of time as the id is.
async fn overruns(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'overrun of ' || coalesce(t.reference, u.reference) as "subject!",
            coalesce(u.overrun, 0) as "expected!: Usd", coalesce(t.amount, 0) as "found!: Usd"
           from (
              select reference, amount from transfer
              where code = 'overrun' and reference >= 'gen-' || replace(call_floor($1)::text, '-', '')
           ) t
           full join (
              select 'gen-' || replace(u.id::text, '-', '') as reference, u.overrun from credit c cross join lateral (
                 select * from usage o where o.org_id = c.org_id and o.id >= call_floor($1) offset 0
              ) u where u.overrun > 0
           ) u on u.reference = t.reference
           where t.amount is distinct from u.overrun
           limit $2"#,
        since,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}
