//! Writing calls and the sums of hours.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::span::hour_of;
use super::super::usage::UsageRow;
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, MeterId, OrgId, PersonId, TransferId};
use crate::db::row_type;

/// A row of `usage` on its way to the database.
#[derive(Debug, sqlx::Encode)]
pub struct UsageLine<'a> {
    org: OrgId,
    call: CallId,
    created_at: DateTime<Utc>,
    key: KeyId,
    member: Option<PersonId>,
    app: &'a str,
    referer: &'a str,
    user_agent: &'a str,
    request_id: &'a str,
    model_asked: &'a str,
    model: &'a str,
    provider: &'a str,
    upstream_model: &'a str,
    upstream_id: &'a str,
    streamed: bool,
    status: &'a str,
    cancelled: bool,
    http_status: i16,
    error: &'a str,
    finish_reason: &'a str,
    native_finish: &'a str,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    cache_write_tokens: i64,
    reasoning_tokens: i64,
    counted_by: &'a str,
    price_version: Option<Uuid>,
    cost: Usd,
    overrun: Usd,
    hold: Usd,
    transfer: Option<TransferId>,
    meters: &'a [MeterId],
    first_token_ms: Option<i32>,
    duration_ms: i32,
    attempts: &'a serde_json::Value,
}
row_type!(UsageLine<'a>, "usage_line");

impl<'a> UsageLine<'a> {
    pub fn of(row: &'a UsageRow) -> UsageLine<'a> {
        UsageLine {
            org: row.org,
            call: row.call,
            created_at: row.created_at,
            key: row.key,
            member: row.member,
            app: &row.app,
            referer: &row.referer,
            user_agent: &row.user_agent,
            request_id: &row.request_id,
            model_asked: &row.model_asked,
            model: &row.model,
            provider: &row.provider,
            upstream_model: &row.upstream_model,
            upstream_id: &row.upstream_id,
            streamed: row.streamed,
            status: row.status,
            cancelled: row.cancelled,
            http_status: i16::try_from(row.http_status).unwrap_or(i16::MAX),
            error: &row.error,
            finish_reason: &row.finish_reason,
            native_finish: &row.native_finish,
            prompt_tokens: whole(row.prompt_tokens),
            completion_tokens: whole(row.completion_tokens),
            cached_tokens: whole(row.cached_tokens),
            cache_write_tokens: whole(row.cache_write_tokens),
            reasoning_tokens: whole(row.reasoning_tokens),
            counted_by: row.counted_by,
            price_version: row.price_version,
            cost: row.cost,
            overrun: row.overrun,
            hold: row.hold,
            transfer: row.transfer,
            meters: &row.meters,
            first_token_ms: row.first_token_ms.map(milliseconds),
            duration_ms: milliseconds(row.duration_ms),
            attempts: &row.attempts,
        }
    }
}

/// What is added to a row of `usage_hour`.
#[derive(Clone, Debug, sqlx::Encode)]
pub struct HourLine<'a> {
    pub org: OrgId,
    pub hour: DateTime<Utc>,
    pub key: KeyId,
    pub model: &'a str,
    pub provider: &'a str,
    pub app: &'a str,
    /// The nil UUID for nobody in particular.
    pub member: Uuid,
    pub requests: i64,
    pub failed: i64,
    pub prompt: i64,
    pub completion: i64,
    pub reasoning: i64,
    pub cached: i64,
    pub cost: Usd,
}
row_type!(HourLine<'a>, "hour_line");

impl<'a> HourLine<'a> {
    pub fn of(row: &'a UsageRow) -> HourLine<'a> {
        let (org, hour, key, model, provider, app, member) = place_of(row);
        HourLine {
            org,
            hour,
            key,
            model,
            provider,
            app,
            member,
            requests: 1,
            failed: i64::from(row.status != "success"),
            prompt: whole(row.prompt_tokens),
            completion: whole(row.completion_tokens),
            reasoning: whole(row.reasoning_tokens),
            cached: whole(row.cached_tokens),
            cost: row.cost,
        }
    }

    fn add(&mut self, other: &HourLine<'_>) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.prompt += other.prompt;
        self.completion += other.completion;
        self.reasoning += other.reasoning;
        self.cached += other.cached;
        self.cost += other.cost;
    }
}

/// The primary key of `usage_hour`, in the order of its index.
type Place<'a> = (OrgId, DateTime<Utc>, KeyId, &'a str, &'a str, &'a str, Uuid);

fn place_of(row: &UsageRow) -> Place<'_> {
    let member = row.member.map_or(Uuid::nil(), |member| member.0);
    (row.org, hour_of(row.created_at), row.key, &row.model, &row.provider, &row.app, member)
}

/// What these calls add to each row of `usage_hour`, in the order in which everybody locks them.
pub fn by_place<'a, T>(
    rows: impl Iterator<Item = &'a UsageRow>,
    of: impl Fn(&'a UsageRow) -> T,
    add: impl Fn(&mut T, &T),
) -> Vec<(Place<'a>, T)> {
    let mut parts: Vec<(Place<'a>, T)> = rows.map(|row| (place_of(row), of(row))).collect();
    parts.sort_by(|one, other| one.0.cmp(&other.0));
    let mut sums: Vec<(Place<'a>, T)> = Vec::with_capacity(parts.len());
    for (place, part) in parts {
        match sums.last_mut() {
            Some((last, sum)) if *last == place => add(sum, &part),
            _ => sums.push((place, part)),
        }
    }
    sums
}

/// One line for each row of `usage_hour` that these calls count in, in the order in which everybody locks them.
pub fn hours<'a>(rows: impl Iterator<Item = &'a UsageRow>) -> Vec<HourLine<'a>> {
    by_place(rows, HourLine::of, HourLine::add).into_iter().map(|(_, line)| line).collect()
}

/// Inserts the rows of calls that have none yet, and returns which they are.
pub async fn insert_usage(conn: &mut PgConnection, lines: &[UsageLine<'_>]) -> Result<Vec<CallId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"insert into usage (org_id, id, created_at, key_id, member_id, app, referer, user_agent, request_id,
            model_asked, model, provider, upstream_model, upstream_id, streamed, status, cancelled, http_status, error,
            finish_reason, native_finish, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens,
            reasoning_tokens, counted_by, price_version, cost, overrun, hold, transfer_id, meters, first_token_ms,
            duration_ms, attempts)
           select * from unnest($1::usage_line[])
           on conflict (org_id, id) do nothing
           returning id as "id: CallId""#,
        lines as &[UsageLine<'_>],
    )
    .fetch_all(conn)
    .await
}

/// Adds to the sums of hours, in the order of the lines.
pub async fn add_hours(conn: &mut PgConnection, lines: &[HourLine<'_>]) -> Result<(), sqlx::Error> {
    if lines.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into usage_hour as h (org_id, hour, key_id, model, provider, app, member_id, requests, failed,
            prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cost)
         select * from unnest($1::hour_line[])
         on conflict (org_id, hour, key_id, model, provider, app, member_id) do update set
            requests = h.requests + excluded.requests,
            failed = h.failed + excluded.failed,
            prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = h.completion_tokens + excluded.completion_tokens,
            reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
            cached_tokens = h.cached_tokens + excluded.cached_tokens,
            cost = h.cost + excluded.cost",
        lines as &[HourLine<'_>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where a call was counted.
pub struct Counted {
    pub created_at: DateTime<Utc>,
    pub key: KeyId,
    pub model: String,
    pub provider: String,
    pub app: String,
    pub member: Option<Uuid>,
}

/// Deletes the row of a call that says `abandoned` and returns where it was counted.
pub async fn delete_abandoned(
    conn: &mut PgConnection,
    org: OrgId,
    call: CallId,
) -> Result<Option<Counted>, sqlx::Error> {
    sqlx::query_as!(
        Counted,
        r#"delete from usage where org_id = $1 and id = $2 and status = 'abandoned'
           returning created_at, key_id as "key: KeyId", model, provider, app, member_id as member"#,
        org.0,
        call.0,
    )
    .fetch_optional(conn)
    .await
}

/// Beyond this a count is nonsense; cutting it keeps the sums from overflowing.
const MAX_COUNT: u64 = 1_000_000_000_000;

pub fn whole(count: u64) -> i64 {
    i64::try_from(count.min(MAX_COUNT)).unwrap_or_default()
}

fn milliseconds(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
