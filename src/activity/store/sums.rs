//! Sums for figures and charts.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::super::chart::{Group, Metric, Slice};
use super::super::span::{Span, cut_hours, split_hours};
use super::super::spend::Totals;
use crate::base::Usd;
use crate::base::ids::{KeyId, OrgId, PersonId};

/// Groups that a table of sums lists.
const MAX_GROUPS: i64 = 100;

/// Sums as Postgres makes them.
#[derive(Clone, Copy, Debug)]
pub struct SumRow {
    pub requests: Decimal,
    pub failed: Decimal,
    pub prompt: Decimal,
    pub completion: Decimal,
    pub reasoning: Decimal,
    pub cached: Decimal,
    pub cost: Usd,
    /// What providers took themselves, from accounts of the organization's own.
    pub upstream: Usd,
}

/// The sums of a row of any query that names them so.
macro_rules! sum_row {
    ($row:expr) => {
        SumRow {
            requests: $row.requests,
            failed: $row.failed,
            prompt: $row.prompt,
            completion: $row.completion,
            reasoning: $row.reasoning,
            cached: $row.cached,
            cost: $row.cost,
            upstream: $row.upstream,
        }
    };
}
pub(super) use sum_row;

impl std::ops::AddAssign for SumRow {
    fn add_assign(&mut self, more: SumRow) {
        self.requests += more.requests;
        self.failed += more.failed;
        self.prompt += more.prompt;
        self.completion += more.completion;
        self.reasoning += more.reasoning;
        self.cached += more.cached;
        self.cost += more.cost;
        self.upstream += more.upstream;
    }
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
            upstream_cost: row.upstream,
        }
    }
}

pub struct GroupRow {
    pub name: String,
    pub sums: SumRow,
}

/// One bucket of one series; no name is the rest.
#[derive(Clone, Debug)]
pub struct CellRow {
    pub name: Option<String>,
    pub bucket: i32,
    pub sums: SumRow,
}

impl CellRow {
    pub fn value(&self, metric: Metric) -> Decimal {
        match metric {
            Metric::Spend => self.sums.cost.amount(),
            Metric::Own => self.sums.upstream.amount(),
            Metric::Tokens => self.sums.prompt + self.sums.completion,
            Metric::Requests => self.sums.requests,
        }
    }
}

pub struct MeasureQuery<'a> {
    pub org: OrgId,
    pub edges: &'a [DateTime<Utc>],
    pub group: Option<Group>,
    pub slice: &'a Slice,
    pub top: i64,
}

/// From the sums of hours, and from the calls of an hour that the span has a part of.
pub async fn span_sums(conn: &mut PgConnection, org: OrgId, span: Span, slice: &Slice) -> Result<SumRow, sqlx::Error> {
    sqlx::query_as!(
        SumRow,
        r#"select coalesce(sum(requests), 0) as "requests!", coalesce(sum(failed), 0) as "failed!",
            coalesce(sum(prompt_tokens), 0) as "prompt!", coalesce(sum(completion_tokens), 0) as "completion!",
            coalesce(sum(reasoning_tokens), 0) as "reasoning!", coalesce(sum(cached_tokens), 0) as "cached!",
            coalesce(sum(cost), 0) as "cost!: Usd", coalesce(sum(upstream_cost), 0) as "upstream!: Usd"
           from usage_tally($1, $2, $3, $4)
           where ($5::text is null or model = $5) and ($6::text is null or provider = $6)
            and ($7::text is null or app = $7) and ($8::uuid is null or key_id = $8)
            and ($9::uuid is null or member_id = $9)"#,
        org.0,
        span.from,
        span.to,
        &cut_hours(&[span.from, span.to]),
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
        r#"select case $10 when 'key' then key_id::text when 'provider' then provider when 'app' then app
                when 'member' then member_id::text else model end as "name!",
            sum(requests) as "requests!", sum(failed) as "failed!", sum(prompt_tokens) as "prompt!",
            sum(completion_tokens) as "completion!", sum(reasoning_tokens) as "reasoning!",
            sum(cached_tokens) as "cached!", sum(cost) as "cost!: Usd", sum(upstream_cost) as "upstream!: Usd"
           from usage_tally($1, $2, $3, $4)
           where ($5::text is null or model = $5) and ($6::text is null or provider = $6)
            and ($7::text is null or app = $7) and ($8::uuid is null or key_id = $8)
            and ($9::uuid is null or member_id = $9)
           group by 1 order by sum(cost) desc, 1 limit $11"#,
        org.0,
        span.from,
        span.to,
        &cut_hours(&[span.from, span.to]),
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
    let rows = rows.into_iter().map(|row| GroupRow { name: row.name, sums: sum_row!(row) });
    Ok(rows.collect())
}

/// Whether an organization, or one of its members, ever made a call, also one that is deleted by now.
pub async fn any_calls(conn: &mut PgConnection, org: OrgId, member: Option<PersonId>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (
              select from usage_hour where org_id = $1 and ($2::uuid is null or member_id = $2)
           ) as "any!""#,
        org.0,
        member.map(|member| member.0),
    )
    .fetch_one(conn)
    .await
}

/// One value of one dimension; the others are `None`.
pub struct SeenRow {
    pub model: Option<String>,
    pub provider: Option<String>,
    pub app: Option<String>,
    pub key: Option<KeyId>,
    pub member: Option<PersonId>,
}

/// The values of every dimension in the hours of a span, in one pass: those of the most calls, at most `limit` of each.
pub async fn seen_values(
    conn: &mut PgConnection,
    org: OrgId,
    span: Span,
    member: Option<PersonId>,
    limit: i64,
) -> Result<Vec<SeenRow>, sqlx::Error> {
    sqlx::query_as!(
        SeenRow,
        r#"select model as "model?", provider as "provider?", app as "app?", key_id as "key?: KeyId",
            member_id as "member?: PersonId"
           from (
              select model, provider, app, key_id, member_id, row_number() over (
                 partition by grouping(model, provider, app, key_id, member_id)
                 order by sum(requests) desc, model, provider, app, key_id, member_id) as place
              from usage_hour
              where org_id = $1 and hour > $2::timestamptz - interval '1 hour' and hour < $3
                and ($4::uuid is null or member_id = $4)
              group by grouping sets ((model), (provider), (app), (key_id), (member_id))
           ) seen
           where place <= $5"#,
        org.0,
        span.from,
        span.to,
        member.map(|person| person.0),
        limit,
    )
    .fetch_all(conn)
    .await
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

/// Buckets of any length. Ranking in the database bounds what comes back, however many apps there are.
pub async fn measure_cells(conn: &mut PgConnection, query: &MeasureQuery<'_>) -> Result<Vec<CellRow>, sqlx::Error> {
    let split = split_hours(query.edges);
    let rows = sqlx::query!(
        r#"with cells as (
              select * from usage_split_cells($1, $2, $3, $11, $12, $4, $5, $6, $7, $8, $9)
           ), ranked as (
              select name, least(row_number() over (order by sum(cost) desc, name),
                 row_number() over (order by sum(prompt + completion) desc, name),
                 row_number() over (order by sum(requests) desc, name),
                 row_number() over (order by sum(upstream) desc, name)) as rank
              from cells group by name
           )
           select case when r.rank <= $10 then c.name end as name, c.bucket as "bucket!",
            sum(c.requests) as "requests!", sum(c.failed) as "failed!", sum(c.prompt) as "prompt!",
            sum(c.completion) as "completion!", sum(c.reasoning) as "reasoning!", sum(c.cached) as "cached!",
            sum(c.cost) as "cost!: Usd", sum(c.upstream) as "upstream!: Usd"
           from cells c join ranked r using (name)
           group by 1, 2"#,
        query.org.0,
        query.edges,
        &split.several,
        query.group.map(Group::as_str),
        query.slice.model.as_deref(),
        query.slice.provider.as_deref(),
        query.slice.app.as_deref(),
        query.slice.key_uuid(),
        query.slice.member_uuid(),
        query.top,
        &split.single,
        &split.edges,
    )
    .fetch_all(conn)
    .await?;
    let cells = rows.into_iter().map(|row| CellRow { name: row.name, bucket: row.bucket, sums: sum_row!(row) });
    Ok(cells.collect())
}

/// What a key spent in one of the last two hours, and how that compares.
#[derive(Clone, Debug)]
pub struct HourOfKey {
    pub org: OrgId,
    pub key: KeyId,
    pub hour: DateTime<Utc>,
    /// What was charged here, and what providers bill to accounts of the organization's own.
    pub spent: Usd,
    /// The second highest of what the dearest hour of each day came to, over the days before.
    pub usual: Usd,
    /// Days with any spending among them.
    pub days: i64,
}

/// Keys of all organizations that spent at least `floor` in the running hour or the one before: those that come after one, in
/// the order of organization, key and hour, so that all are seen in pieces.
///
/// # Errors
/// Database errors only.
pub async fn dear_hours(
    conn: &mut PgConnection,
    floor: Usd,
    days: i32,
    after: Option<&HourOfKey>,
    most: i64,
) -> Result<Vec<HourOfKey>, sqlx::Error> {
    // Organization by organization, because that is how the sums are found.
    sqlx::query_as!(
        HourOfKey,
        r#"select h.org_id as "org!: OrgId", h.key_id as "key!: KeyId", h.hour as "hour!", h.spent as "spent!: Usd",
            coalesce(u.usual, 0) as "usual!: Usd", coalesce(u.days, 0) as "days!"
           from org o
           cross join lateral (
              select s.org_id, s.key_id, s.hour, sum(s.cost + s.upstream_cost) as spent from usage_hour s
              where s.org_id = o.id and s.hour >= date_trunc('hour', now(), 'UTC') - interval '1 hour'
              group by s.org_id, s.key_id, s.hour having sum(s.cost + s.upstream_cost) >= $1
           ) h
           cross join lateral (
              select (array_agg(p.peak order by p.peak desc))[2] as usual, count(*) as days from (
                 select max(b.spent) as peak from (
                    select s.hour, sum(s.cost + s.upstream_cost) as spent from usage_hour s
                    where s.org_id = h.org_id and s.key_id = h.key_id
                        and s.hour >= h.hour - make_interval(days => $2) and s.hour < h.hour
                    group by s.hour having sum(s.cost + s.upstream_cost) > 0
                 ) b
                 where b.hour < date_trunc('day', h.hour, 'UTC')
                 group by date_trunc('day', b.hour, 'UTC')
              ) p
           ) u
           where $4::uuid is null or (o.id >= $4 and (h.org_id, h.key_id, h.hour) > ($4, $5::uuid, $6::timestamptz))
           order by h.org_id, h.key_id, h.hour limit $3"#,
        floor as Usd,
        days,
        most,
        after.map(|one| one.org.0),
        after.map(|one| one.key.0),
        after.map(|one| one.hour),
    )
    .fetch_all(conn)
    .await
}
