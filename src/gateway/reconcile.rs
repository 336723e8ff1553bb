//! The books against the log: what the ledger moved is what the calls cost, to the last digit.

mod auditor;
mod recent;
mod store;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

pub use self::auditor::{Audited, Pace, audit, start_auditor};
pub(super) use self::recent::{is_late, note_late};
use crate::base::Usd;
use crate::ledger::{self, Drift, Report};
use crate::topups;

/// No statement of an audit runs longer, and none takes more than one core from the calls.
const BEGIN: &str = "begin isolation level repeatable read read only; set local statement_timeout = '60s'; \
                     set local max_parallel_workers_per_gather = 0";
/// Findings of a kind.
const MAX_FINDINGS: i64 = 100;

/// Checks the invariants of the ledger and that the log of calls agrees with it. Run it in one repeatable-read
/// transaction, so that all sums see the same moment; [`verify_now`] does.
///
/// # Errors
/// Database errors only; books that do not agree are a finding, not an error.
pub async fn verify(conn: &mut PgConnection) -> Result<Report, sqlx::Error> {
    let mut report = ledger::verify(conn).await?;
    let checks = [
        ("usage transfer = sum of its calls", transfers(conn).await?),
        ("spent of a meter = sum of the calls charged to it", meters(conn).await?),
        ("what providers took on a meter = sum of the calls on it", provider_bills(conn).await?),
        ("sums per hour = sums of the calls", hours(conn, None).await?),
        ("list price per hour = list prices of the calls", provider_hours(conn, None).await?),
        ("sums of all organizations = sums per hour", house_hours(conn, None).await?),
        ("month of an organization = list prices of its calls", months(conn).await?),
        ("operator loss = overrun of the call", overruns(conn).await?),
        ("sums of hours whose calls are gone = what is kept of them", closed(conn).await?),
    ];
    report.drifts.extend(checks.into_iter().flat_map(|(rule, differences)| drifts(rule, differences)));
    report.drifts.extend(topups::drifted_codes(conn).await?);
    Ok(report)
}

/// Every rule that [`verify`] checks, in its order: how many accounts, meters, hours or whatever it is about there are, and what
/// those come to that have an amount. In the transaction of [`verify`] it says how much was compared.
///
/// # Errors
/// Database errors only.
pub async fn compared(conn: &mut PgConnection) -> Result<Vec<(&'static str, i64, Usd)>, sqlx::Error> {
    let all = sqlx::query!(
        r#"select c.credits as "credits!", c.posted as "posted!: Usd", c.held as "held!: Usd",
            m.meters as "meters!", m.held as "meters_held!: Usd", m.held_byok as "meters_byok!: Usd",
            m.spent as "spent!: Usd", m.byok as "byok!: Usd",
            t.transfers as "transfers!", t.moved as "moved!: Usd", t.usages as "usages!", t.used as "used!: Usd",
            t.overruns as "overruns!", t.overrun as "overrun!: Usd", t.redeems as "redeems!", t.redeemed as "redeemed!: Usd",
            h.hours as "hours!", h.cost as "hours_cost!: Usd", h.own as "own_hours!", h.upstream as "own_cost!: Usd",
            a.hours as "house_hours!", a.cost as "house_cost!: Usd",
            o.months as "months!", o.used as "months_used!: Usd", k.gone as "gone!", k.cost as "gone_cost!: Usd",
            (select count(*) from hold) as "holds!", (select count(*) from ledger_account) as "accounts!",
            (select count(*) from redemption_code) as "codes!"
           from (select count(*) as credits, coalesce(sum(posted), 0) as posted, coalesce(sum(held), 0) as held from credit) c
           cross join (
              select count(*) as meters, coalesce(sum(held), 0) as held, coalesce(sum(held_byok), 0) as held_byok,
                 coalesce(sum(spent_total), 0) as spent, coalesce(sum(byok_total), 0) as byok from meter
           ) m
           cross join (
              select count(*) as transfers, coalesce(sum(amount), 0) as moved,
                 count(*) filter (where code = 'usage') as usages,
                 coalesce(sum(amount) filter (where code = 'usage'), 0) as used,
                 count(*) filter (where code = 'overrun') as overruns,
                 coalesce(sum(amount) filter (where code = 'overrun'), 0) as overrun,
                 count(*) filter (where code = 'redeem') as redeems,
                 coalesce(sum(amount) filter (where code = 'redeem'), 0) as redeemed from transfer
           ) t
           cross join (
              select count(*) as hours, coalesce(sum(cost), 0) as cost, count(*) filter (where upstream_cost > 0) as own,
                 coalesce(sum(upstream_cost), 0) as upstream from usage_hour
           ) h
           cross join (select count(*) as hours, coalesce(sum(cost + aside), 0) as cost from house_hour) a
           cross join (select count(*) as months, coalesce(sum(used), 0) as used from own_month) o
           cross join (select count(*) as gone, coalesce(sum(cost), 0) as cost from usage_closed_until) k"#
    )
    .fetch_one(conn)
    .await?;
    Ok(vec![
        ("posted = sum of transfers", all.credits, all.posted),
        ("held = sum of open holds", all.credits, all.held),
        ("held of a meter = sum of its open holds", all.meters, all.meters_held),
        ("held for providers = sum of its open holds", all.meters, all.meters_byok),
        ("every transfer names known accounts", all.transfers, all.moved),
        ("no hold outlives its time by 60 s", all.holds, all.held),
        ("sum over all accounts = 0", all.accounts, Usd::ZERO),
        ("usage transfer = sum of its calls", all.usages, all.used),
        ("spent of a meter = sum of the calls charged to it", all.meters, all.spent),
        ("what providers took on a meter = sum of the calls on it", all.meters, all.byok),
        ("sums per hour = sums of the calls", all.hours, all.hours_cost),
        ("list price per hour = list prices of the calls", all.own_hours, all.own_cost),
        ("sums of all organizations = sums per hour", all.house_hours, all.house_cost),
        ("month of an organization = list prices of its calls", all.months, all.months_used),
        ("operator loss = overrun of the call", all.overruns, all.overrun),
        ("sums of hours whose calls are gone = what is kept of them", all.gone, all.gone_cost),
        ("uses of a code = its redemptions", all.codes, Usd::ZERO),
        ("redeem transfer = redemption", all.redeems, all.redeemed),
    ])
}

/// The same at one moment, whatever is going on.
///
/// # Errors
/// As for [`verify`].
pub async fn verify_now(pool: &PgPool) -> Result<Report, sqlx::Error> {
    let mut tx = pool.begin_with(BEGIN).await?;
    let report = verify(&mut tx).await?;
    tx.rollback().await?;
    Ok(report)
}

/// A sum of the log beside what the books say.
struct Difference {
    subject: String,
    expected: Usd,
    found: Usd,
}

fn drifts(rule: &'static str, differences: Vec<Difference>) -> impl Iterator<Item = Drift> {
    differences.into_iter().map(move |one| Drift::of(rule, one.subject, one.expected, one.found))
}

/// From the first of these hours to before the second.
type Hours = (DateTime<Utc>, DateTime<Utc>);

async fn transfers(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'usage transfer ' || coalesce(t.id, u.id) as "subject!", coalesce(u.cost, 0) as "expected!: Usd",
            coalesce(t.amount, 0) as "found!: Usd"
           from (select id, amount from transfer where code = 'usage') t
           full join (
              select transfer_id as id, sum(cost) as cost from (
                 select transfer_id, cost from usage where transfer_id is not null
                 union all
                 select transfer_id, cost from usage_closed where transfer_id is not null
              ) calls group by 1
           ) u on u.id = t.id
           where t.amount is distinct from u.cost
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

async fn meters(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select coalesce(m.kind, 'unknown') || ' meter ' || coalesce(m.id, u.id) as "subject!",
            coalesce(u.cost, 0) as "expected!: Usd", coalesce(m.spent_total, 0) as "found!: Usd"
           from meter m
           full join (
              select org_id, unnest(meters) as id, sum(cost) as cost from (
                 select org_id, meters, cost from usage where cost > 0
                 union all
                 select org_id, meters, cost from usage_closed where cost > 0
              ) calls group by 1, 2
           ) u on u.org_id = m.org_id and u.id = m.id
           where coalesce(m.spent_total, 0) <> coalesce(u.cost, 0)
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

/// What was charged with keys of the organization's own.
async fn provider_bills(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select coalesce(m.kind, 'unknown') || ' meter ' || coalesce(m.id, u.id) as "subject!",
            coalesce(u.cost, 0) as "expected!: Usd", coalesce(m.byok_total, 0) as "found!: Usd"
           from meter m
           full join (
              select org_id, unnest(meters) as id, sum(upstream_cost) as cost from (
                 select org_id, meters, upstream_cost from usage where upstream_cost > 0
                 union all
                 select org_id, meters, upstream_cost from usage_closed where upstream_cost > 0
              ) calls group by 1, 2
           ) u on u.org_id = m.org_id and u.id = m.id
           where coalesce(m.byok_total, 0) <> coalesce(u.cost, 0)
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

/// Of hours whose calls are all there; the sum of the others is compared as a whole. A call's id is of the time at which it was
/// begun, give or take what two clocks differ by.
async fn provider_hours(conn: &mut PgConnection, of: Option<Hours>) -> Result<Vec<Difference>, sqlx::Error> {
    let (from, until) = of.unzip();
    sqlx::query_as!(
        Difference,
        r#"select 'hour ' || coalesce(h.hour, u.hour) || ' of ' || coalesce(h.org_id, u.org_id) as "subject!",
            coalesce(u.cost, 0) as "expected!: Usd", coalesce(h.cost, 0) as "found!: Usd"
           from (
              select org_id, hour, sum(upstream_cost) as cost from usage_hour s where upstream_cost > 0
                 and hour >= coalesce($2::timestamptz, '-infinity') and hour < coalesce($3::timestamptz, 'infinity')
                 and not exists (select from usage_closed_until c where c.org_id = s.org_id and s.hour < c.until)
              group by 1, 2
           ) h
           full join (
              select org_id, date_trunc('hour', created_at, 'UTC') as hour, sum(upstream_cost) as cost from usage s
              where upstream_cost > 0
                 and created_at >= coalesce($2::timestamptz, '-infinity') and created_at < coalesce($3::timestamptz, 'infinity')
                 and id >= call_floor(coalesce($2 - interval '5 minutes', 'epoch'))
                 and ($3 is null or id < call_floor($3 + interval '5 minutes'))
                 and not exists (select from usage_closed_until c where c.org_id = s.org_id and s.created_at < c.until)
              group by 1, 2
           ) u using (org_id, hour)
           where h.cost is distinct from u.cost
           limit $1"#,
        MAX_FINDINGS,
        from,
        until,
    )
    .fetch_all(conn)
    .await
}

/// Of hours that are summed for the house and were not counted in since; the others are read from the sums per hour.
async fn house_hours(conn: &mut PgConnection, since: Option<DateTime<Utc>>) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"with summed as (
              select hour, model, provider, sum(requests) as requests, sum(failed) as failed,
                 sum(prompt_tokens) filter (where upstream_cost = 0) as prompt,
                 sum(completion_tokens) filter (where upstream_cost = 0) as completion,
                 sum(cached_tokens) filter (where upstream_cost = 0) as cached, sum(cost) as cost,
                 sum(cost) filter (where upstream_cost > 0) as aside
              from usage_hour where hour < (select until from house_until) and hour >= coalesce($2::timestamptz, '-infinity')
              group by 1, 2, 3
           )
           select 'hour ' || hour || ' of ' || model || ' at ' || provider as "subject!",
            coalesce(s.cost, 0) as "expected!: Usd", coalesce(h.cost + h.aside, 0) as "found!: Usd"
           from (select * from house_hour where hour >= coalesce($2::timestamptz, '-infinity')) h
           full join summed s using (hour, model, provider)
           where (coalesce(h.requests, 0), coalesce(h.failed, 0), coalesce(h.prompt_tokens, 0),
                coalesce(h.completion_tokens, 0), coalesce(h.cached_tokens, 0), coalesce(h.cost + h.aside, 0),
                coalesce(h.aside, 0))
            is distinct from (coalesce(s.requests, 0), coalesce(s.failed, 0), coalesce(s.prompt, 0),
                coalesce(s.completion, 0), coalesce(s.cached, 0), coalesce(s.cost, 0), coalesce(s.aside, 0))
            and hour not in (select hour from house_late)
           limit $1"#,
        MAX_FINDINGS,
        since,
    )
    .fetch_all(conn)
    .await
}

/// Of all months, because a call counts in the one in which it settles and its row says when it began.
async fn months(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'months of ' || coalesce(o.org_id, u.org_id) as "subject!", coalesce(u.cost, 0) as "expected!: Usd",
            coalesce(o.used, 0) as "found!: Usd"
           from (select org_id, sum(used) as used from own_month group by 1) o
           full join (
              select org_id, sum(upstream_cost) as cost from (
                 select org_id, upstream_cost from usage where upstream_cost > 0
                 union all
                 select org_id, upstream_cost from usage_closed where upstream_cost > 0
              ) calls group by 1
           ) u using (org_id)
           where coalesce(o.used, 0) <> coalesce(u.cost, 0)
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

/// Every sum of the rollup whose calls are all there; the row of the report shows the costs.
async fn hours(conn: &mut PgConnection, of: Option<Hours>) -> Result<Vec<Difference>, sqlx::Error> {
    let (from, until) = of.unzip();
    sqlx::query_as!(
        Difference,
        r#"with rows as (
              select org_id, date_trunc('hour', created_at, 'UTC') as hour, key_id, model, provider, app,
                 coalesce(member_id, '00000000-0000-0000-0000-000000000000') as member_id,
                 count(*) as requests, count(*) filter (where status <> 'success') as failed,
                 sum(prompt_tokens) as prompt, sum(completion_tokens) as completion,
                 sum(reasoning_tokens) as reasoning, sum(cached_tokens) as cached, sum(cost) as cost
              from usage u
              where not exists (
                 select from usage_closed_until c where c.org_id = u.org_id and u.created_at < c.until
              )
              and created_at >= coalesce($2::timestamptz, '-infinity') and created_at < coalesce($3::timestamptz, 'infinity')
              and id >= call_floor(coalesce($2 - interval '5 minutes', 'epoch'))
              and ($3 is null or id < call_floor($3 + interval '5 minutes'))
              group by 1, 2, 3, 4, 5, 6, 7
           ), sums as (
              select * from usage_hour s
              where not exists (select from usage_closed_until c where c.org_id = s.org_id and s.hour < c.until)
                 and hour >= coalesce($2::timestamptz, '-infinity') and hour < coalesce($3::timestamptz, 'infinity')
           )
           select 'hour ' || coalesce(h.hour, r.hour) || ' of key ' || coalesce(h.key_id, r.key_id) as "subject!",
            coalesce(r.cost, 0) as "expected!: Usd", coalesce(h.cost, 0) as "found!: Usd"
           from sums h
           full join rows r using (org_id, hour, key_id, model, provider, app, member_id)
           where (coalesce(h.requests, 0), coalesce(h.failed, 0), coalesce(h.prompt_tokens, 0),
               coalesce(h.completion_tokens, 0), coalesce(h.reasoning_tokens, 0), coalesce(h.cached_tokens, 0),
               coalesce(h.cost, 0))
            is distinct from (coalesce(r.requests, 0), coalesce(r.failed, 0), coalesce(r.prompt, 0),
               coalesce(r.completion, 0), coalesce(r.reasoning, 0), coalesce(r.cached, 0), coalesce(r.cost, 0))
           limit $1"#,
        MAX_FINDINGS,
        from,
        until,
    )
    .fetch_all(conn)
    .await
}

async fn overruns(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'overrun of ' || coalesce(t.reference, u.reference) as "subject!",
            coalesce(u.overrun, 0) as "expected!: Usd", coalesce(t.amount, 0) as "found!: Usd"
           from (select reference, amount from transfer where code = 'overrun') t
           full join (
              select 'gen-' || replace(id::text, '-', '') as reference, overrun from (
                 select id, overrun from usage where overrun > 0
                 union all
                 select id, overrun from usage_closed where overrun > 0
              ) calls
           ) u on u.reference = t.reference
           where t.amount is distinct from u.overrun
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

/// Where calls were deleted, all hours up to then together: their sums are what the deleted calls came to, and those that
/// are still there; and what is kept for the books is what the deleted calls cost.
async fn closed(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'closed hours of ' || c.org_id as "subject!", c.cost + coalesce(u.cost, 0) as "expected!: Usd",
            coalesce(h.cost, 0) as "found!: Usd"
           from usage_closed_until c
           left join lateral (
              select count(*) as requests, count(*) filter (where status <> 'success') as failed,
                 sum(prompt_tokens) as prompt, sum(completion_tokens) as completion, sum(reasoning_tokens) as reasoning,
                 sum(cached_tokens) as cached, sum(cost) as cost, sum(upstream_cost) as upstream
              from usage where org_id = c.org_id and id < call_floor(c.until + interval '5 minutes') and created_at < c.until
           ) u on true
           left join lateral (
              select sum(requests) as requests, sum(failed) as failed, sum(prompt_tokens) as prompt,
                 sum(completion_tokens) as completion, sum(reasoning_tokens) as reasoning, sum(cached_tokens) as cached,
                 sum(cost) as cost, sum(upstream_cost) as upstream
              from usage_hour where org_id = c.org_id and hour < c.until
           ) h on true
           left join lateral (select sum(cost) as cost from usage_closed where org_id = c.org_id) k on true
           where (coalesce(h.requests, 0), coalesce(h.failed, 0), coalesce(h.prompt, 0), coalesce(h.completion, 0),
               coalesce(h.reasoning, 0), coalesce(h.cached, 0), coalesce(h.cost, 0), coalesce(h.upstream, 0))
            is distinct from (c.requests + coalesce(u.requests, 0), c.failed + coalesce(u.failed, 0),
               c.prompt_tokens + coalesce(u.prompt, 0), c.completion_tokens + coalesce(u.completion, 0),
               c.reasoning_tokens + coalesce(u.reasoning, 0), c.cached_tokens + coalesce(u.cached, 0),
               c.cost + coalesce(u.cost, 0), c.upstream_cost + coalesce(u.upstream, 0))
            or coalesce(k.cost, 0) <> c.cost
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}
