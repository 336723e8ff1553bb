//! Sums for figures and charts.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::super::chart::{Group, Metric, Slice};
use super::super::span::Span;
use super::super::spend::Totals;
use crate::base::Usd;
use crate::base::ids::{KeyId, OrgId};

/// Groups that a table of sums lists.
const MAX_GROUPS: i64 = 100;

/// Sums as Postgres makes them.
#[derive(Clone, Copy)]
pub struct SumRow {
    pub requests: Decimal,
    pub failed: Decimal,
    pub prompt: Decimal,
    pub completion: Decimal,
    pub reasoning: Decimal,
    pub cached: Decimal,
    pub cost: Usd,
}

impl From<SumRow> for Totals {
    fn from(row: SumRow) -> Totals {
        let count = |sum: Decimal| u64::try_from(sum).unwrap_or_default();
        Totals {
            requests: count(row.requests),
            failed: count(row.failed),
            prompt_tokens: count(row.prompt),
            completion_tokens: count(row.completion),
            reasoning_tokens: count(row.reasoning),
            cached_tokens: count(row.cached),
            cost: row.cost,
        }
    }
}

pub struct GroupRow {
    pub name: String,
    pub sums: SumRow,
}

/// One bucket of one series; no name is the rest.
pub struct CellRow {
    pub name: Option<String>,
    pub bucket: i32,
    pub value: Decimal,
}

pub struct ChartQuery<'a> {
    pub org: OrgId,
    pub edges: &'a [DateTime<Utc>],
    pub group: Group,
    pub metric: Metric,
    pub slice: &'a Slice,
    pub top: i64,
}

/// From the sums of hours where the span has whole ones, else from the rows.
pub async fn hour_sums(conn: &mut PgConnection, org: OrgId, span: Span, slice: &Slice) -> Result<SumRow, sqlx::Error> {
    if !span.is_whole_hours() {
        return row_sums(conn, org, span, slice).await;
    }
    sqlx::query_as!(
        SumRow,
        r#"select coalesce(sum(requests), 0) as "requests!", coalesce(sum(failed), 0) as "failed!",
            coalesce(sum(prompt_tokens), 0) as "prompt!", coalesce(sum(completion_tokens), 0) as "completion!",
            coalesce(sum(reasoning_tokens), 0) as "reasoning!", coalesce(sum(cached_tokens), 0) as "cached!",
            coalesce(sum(cost), 0) as "cost!: Usd"
           from usage_hour
           where org_id = $1 and hour >= $2 and hour < $3
            and ($4::text is null or model = $4) and ($5::text is null or provider = $5)
            and ($6::text is null or app = $6) and ($7::uuid is null or key_id = $7)
            and ($8::uuid is null or member_id = $8)"#,
        org.0,
        span.from,
        span.to,
        slice.model.as_deref(),
        slice.provider.as_deref(),
        slice.app.as_deref(),
        slice.key_uuid(),
        slice.member_uuid(),
    )
    .fetch_one(conn)
    .await
}

async fn row_sums(conn: &mut PgConnection, org: OrgId, span: Span, slice: &Slice) -> Result<SumRow, sqlx::Error> {
    sqlx::query_as!(
        SumRow,
        r#"select count(*)::numeric as "requests!", count(*) filter (where status <> 'success')::numeric as "failed!",
            coalesce(sum(prompt_tokens), 0) as "prompt!", coalesce(sum(completion_tokens), 0) as "completion!",
            coalesce(sum(reasoning_tokens), 0) as "reasoning!", coalesce(sum(cached_tokens), 0) as "cached!",
            coalesce(sum(cost), 0) as "cost!: Usd"
           from usage
           where org_id = $1 and created_at >= $2 and created_at < $3
            and ($4::text is null or model = $4) and ($5::text is null or provider = $5)
            and ($6::text is null or app = $6) and ($7::uuid is null or key_id = $7)
            and ($8::uuid is null or member_id = $8)"#,
        org.0,
        span.from,
        span.to,
        slice.model.as_deref(),
        slice.provider.as_deref(),
        slice.app.as_deref(),
        slice.key_uuid(),
        slice.member_uuid(),
    )
    .fetch_one(conn)
    .await
}

pub async fn group_sums(
    conn: &mut PgConnection,
    org: OrgId,
    span: Span,
    slice: &Slice,
    group: Group,
) -> Result<Vec<GroupRow>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select case $9 when 'key' then key_id::text when 'provider' then provider when 'app' then app
                when 'member' then member_id::text else model end as "name!",
            sum(requests) as "requests!", sum(failed) as "failed!", sum(prompt_tokens) as "prompt!",
            sum(completion_tokens) as "completion!", sum(reasoning_tokens) as "reasoning!",
            sum(cached_tokens) as "cached!", sum(cost) as "cost!: Usd"
           from usage_hour
           where org_id = $1 and hour >= $2 and hour < $3
            and ($4::text is null or model = $4) and ($5::text is null or provider = $5)
            and ($6::text is null or app = $6) and ($7::uuid is null or key_id = $7)
            and ($8::uuid is null or member_id = $8)
           group by 1 order by sum(cost) desc, 1 limit $10"#,
        org.0,
        span.from,
        span.to,
        slice.model.as_deref(),
        slice.provider.as_deref(),
        slice.app.as_deref(),
        slice.key_uuid(),
        slice.member_uuid(),
        group.as_str(),
        MAX_GROUPS,
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| GroupRow {
        name: row.name,
        sums: SumRow {
            requests: row.requests,
            failed: row.failed,
            prompt: row.prompt,
            completion: row.completion,
            reasoning: row.reasoning,
            cached: row.cached,
            cost: row.cost,
        },
    });
    Ok(rows.collect())
}

/// A UTC day of a model at a provider.
#[derive(Clone, Debug)]
pub struct DayRow {
    pub day: NaiveDate,
    pub model: String,
    pub provider: String,
    pub requests: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub reasoning_tokens: i64,
    pub cached_tokens: i64,
    pub cost: Usd,
    /// What providers took themselves, from accounts of the organization's own.
    pub upstream_cost: Usd,
}

/// The UTC days of a span by model and provider, the newest first. Calls that nobody answered are left out.
///
/// # Errors
/// Database errors only.
pub async fn days(
    conn: &mut PgConnection,
    org: OrgId,
    span: Span,
    slice: &Slice,
    limit: i64,
) -> Result<Vec<DayRow>, sqlx::Error> {
    sqlx::query_as!(
        DayRow,
        r#"select (hour at time zone 'UTC')::date as "day!", model, provider, sum(requests)::bigint as "requests!",
            sum(prompt_tokens)::bigint as "prompt_tokens!", sum(completion_tokens)::bigint as "completion_tokens!",
            sum(reasoning_tokens)::bigint as "reasoning_tokens!", sum(cached_tokens)::bigint as "cached_tokens!",
            sum(cost) as "cost!: Usd", sum(upstream_cost) as "upstream_cost!: Usd"
           from usage_hour
           where org_id = $1 and hour >= $2 and hour < $3 and provider <> ''
            and ($4::uuid is null or key_id = $4) and ($5::uuid is null or member_id = $5)
           group by 1, model, provider order by 1 desc, sum(cost) desc, model, provider limit $6"#,
        org.0,
        span.from,
        span.to,
        slice.key_uuid(),
        slice.member_uuid(),
        limit,
    )
    .fetch_all(conn)
    .await
}

pub async fn lifetime_cost(conn: &mut PgConnection, org: OrgId) -> Result<Usd, sqlx::Error> {
    sqlx::query_scalar!(r#"select coalesce(sum(cost), 0) as "cost!: Usd" from usage_hour where org_id = $1"#, org.0,)
        .fetch_one(conn)
        .await
}

/// Buckets of whole hours. Ranking in the database bounds what comes back, however many apps there are.
pub async fn chart_hours(conn: &mut PgConnection, query: &ChartQuery<'_>) -> Result<Vec<CellRow>, sqlx::Error> {
    sqlx::query_as!(
        CellRow,
        r#"with cells as (
              select case $3 when 'key' then key_id::text when 'provider' then provider when 'app' then app
                    when 'member' then member_id::text else model end as name,
                 width_bucket(hour, $2::timestamptz[]) as bucket,
                 sum(case $4 when 'spend' then cost when 'tokens' then prompt_tokens + completion_tokens
                    else requests end) as value
              from usage_hour
              where org_id = $1 and hour >= ($2::timestamptz[])[1]
                 and hour < ($2::timestamptz[])[cardinality($2::timestamptz[])]
                 and ($6::text is null or model = $6) and ($7::text is null or provider = $7)
                 and ($8::text is null or app = $8) and ($9::uuid is null or key_id = $9)
                 and ($10::uuid is null or member_id = $10)
              group by 1, 2
           ), ranked as (
              select name, row_number() over (order by sum(value) desc, name) as rank from cells group by name
           )
           select case when r.rank <= $5 then c.name end as name, c.bucket as "bucket!", sum(c.value) as "value!"
           from cells c join ranked r using (name)
           group by 1, 2"#,
        query.org.0,
        query.edges,
        query.group.as_str(),
        query.metric.as_str(),
        query.top,
        query.slice.model.as_deref(),
        query.slice.provider.as_deref(),
        query.slice.app.as_deref(),
        query.slice.key_uuid(),
        query.slice.member_uuid(),
    )
    .fetch_all(conn)
    .await
}

/// Buckets shorter than an hour, from the rows.
pub async fn chart_minutes(conn: &mut PgConnection, query: &ChartQuery<'_>) -> Result<Vec<CellRow>, sqlx::Error> {
    sqlx::query_as!(
        CellRow,
        r#"with cells as (
              select case $3 when 'key' then key_id::text when 'provider' then provider when 'app' then app
                    when 'member' then coalesce(member_id, '00000000-0000-0000-0000-000000000000')::text
                    else model end as name,
                 width_bucket(created_at, $2::timestamptz[]) as bucket,
                 sum(case $4 when 'spend' then cost when 'tokens' then prompt_tokens + completion_tokens
                    else 1 end) as value
              from usage
              where org_id = $1 and created_at >= ($2::timestamptz[])[1]
                 and created_at < ($2::timestamptz[])[cardinality($2::timestamptz[])]
                 and ($6::text is null or model = $6) and ($7::text is null or provider = $7)
                 and ($8::text is null or app = $8) and ($9::uuid is null or key_id = $9)
                 and ($10::uuid is null or member_id = $10)
              group by 1, 2
           ), ranked as (
              select name, row_number() over (order by sum(value) desc, name) as rank from cells group by name
           )
           select case when r.rank <= $5 then c.name end as name, c.bucket as "bucket!", sum(c.value) as "value!"
           from cells c join ranked r using (name)
           group by 1, 2"#,
        query.org.0,
        query.edges,
        query.group.as_str(),
        query.metric.as_str(),
        query.top,
        query.slice.model.as_deref(),
        query.slice.provider.as_deref(),
        query.slice.app.as_deref(),
        query.slice.key_uuid(),
        query.slice.member_uuid(),
    )
    .fetch_all(conn)
    .await
}

/// What a key spent in one of the last two hours, and how that compares.
#[derive(Clone, Debug)]
pub struct HourOfKey {
    pub org: OrgId,
    pub key: KeyId,
    pub hour: DateTime<Utc>,
    pub spent: Usd,
    /// The second highest of what the dearest hour of each day came to, over the days before.
    pub usual: Usd,
    /// Days with any spending among them.
    pub days: i64,
}

/// Keys of all organizations that spent at least `floor` in the running hour or the one before, the dearest first.
///
/// # Errors
/// Database errors only.
pub async fn dear_hours(
    conn: &mut PgConnection,
    floor: Usd,
    days: i32,
    most: i64,
) -> Result<Vec<HourOfKey>, sqlx::Error> {
    // Organization by organization, because that is how the sums are found.
    sqlx::query_as!(
        HourOfKey,
        r#"select h.org_id as "org!: OrgId", h.key_id as "key!: KeyId", h.hour as "hour!", h.spent as "spent!: Usd",
            coalesce(u.usual, 0) as "usual!: Usd", coalesce(u.days, 0) as "days!"
           from org o
           cross join lateral (
              select s.org_id, s.key_id, s.hour, sum(s.cost) as spent from usage_hour s
              where s.org_id = o.id and s.hour >= date_trunc('hour', now(), 'UTC') - interval '1 hour'
              group by s.org_id, s.key_id, s.hour having sum(s.cost) >= $1
           ) h
           cross join lateral (
              select (array_agg(p.peak order by p.peak desc))[2] as usual, count(*) as days from (
                 select max(b.spent) as peak from (
                    select s.hour, sum(s.cost) as spent from usage_hour s
                    where s.org_id = h.org_id and s.key_id = h.key_id
                        and s.hour >= h.hour - make_interval(days => $2) and s.hour < h.hour
                    group by s.hour having sum(s.cost) > 0
                 ) b
                 where b.hour < date_trunc('day', h.hour, 'UTC')
                 group by date_trunc('day', b.hour, 'UTC')
              ) p
           ) u
           order by h.spent desc limit $3"#,
        floor as Usd,
        days,
        most,
    )
    .fetch_all(conn)
    .await
}
