//! Writing calls and the sums of hours.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::record::hour_of;
use super::super::usage::UsageRow;
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId};
use crate::db::uuid_array;

/// The primary key of `usage_hour`, with its columns in the order of the index.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HourKey {
    pub org: Uuid,
    pub hour: DateTime<Utc>,
    pub key: Uuid,
    pub model: String,
    pub provider: String,
    pub app: String,
    pub member: Uuid,
}

/// What is added to the sums of an hour.
#[derive(Clone, Copy, Default, Debug)]
pub struct HourSums {
    pub requests: i64,
    pub failed: i64,
    pub prompt: i64,
    pub completion: i64,
    pub reasoning: i64,
    pub cached: i64,
    pub cost: Usd,
}

/// Inserts the rows of calls that have none yet, adds them to the sums of their hours in the order of the primary
/// key, and returns which they are. One statement: each round trip less is one that the calls behind wait less.
pub async fn insert_usage(conn: &mut PgConnection, rows: &[&UsageRow]) -> Result<Vec<CallId>, sqlx::Error> {
    macro_rules! column {
        ($row:ident => $value:expr) => {
            &rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    sqlx::query_scalar!(
        r#"with inserted as (
           insert into usage (org_id, id, created_at, key_id, member_id, app, referer, user_agent, request_id,
            model_asked, model, provider, upstream_model, upstream_id, streamed, status, cancelled, http_status, error,
            finish_reason, native_finish, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens,
            reasoning_tokens, counted_by, price_version, cost, overrun, hold, transfer_id, meters, first_token_ms,
            duration_ms, attempts)
           select x.org_id, x.id, x.created_at, x.key_id, x.member_id, x.app, x.referer, x.user_agent, x.request_id,
            x.model_asked, x.model, x.provider, x.upstream_model, x.upstream_id, x.streamed, x.status, x.cancelled,
            x.http_status, x.error, x.finish_reason, x.native_finish, x.prompt_tokens, x.completion_tokens,
            x.cached_tokens, x.cache_write_tokens, x.reasoning_tokens, x.counted_by, x.price_version, x.cost,
            x.overrun, x.hold, x.transfer_id, x.meters::uuid[], x.first_token_ms, x.duration_ms, x.attempts
           from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bool[],
            $16::text[], $17::bool[], $18::smallint[], $19::text[], $20::text[], $21::text[], $22::bigint[],
            $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[], $27::text[], $28::uuid[], $29::numeric[],
            $30::numeric[], $31::numeric[], $32::uuid[], $33::text[], $34::integer[], $35::integer[], $36::jsonb[])
            as x (org_id, id, created_at, key_id, member_id, app, referer, user_agent, request_id, model_asked, model,
            provider, upstream_model, upstream_id, streamed, status, cancelled, http_status, error, finish_reason,
            native_finish, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,
            counted_by, price_version, cost, overrun, hold, transfer_id, meters, first_token_ms, duration_ms, attempts)
           on conflict (org_id, id) do nothing
           returning org_id, id, created_at, key_id, member_id, app, model, provider, status, prompt_tokens,
            completion_tokens, reasoning_tokens, cached_tokens, cost
         ), rolled as (
           insert into usage_hour as h (org_id, hour, key_id, model, provider, app, member_id, requests, failed,
            prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cost)
           select org_id, date_trunc('hour', created_at, 'UTC'), key_id, model, provider, app,
            coalesce(member_id, '00000000-0000-0000-0000-000000000000'), count(*),
            count(*) filter (where status <> 'success'), sum(prompt_tokens), sum(completion_tokens),
            sum(reasoning_tokens), sum(cached_tokens), sum(cost)
           from inserted
           group by 1, 2, 3, 4, 5, 6, 7
           order by 1, 2, 3, 4, 5, 6, 7
           on conflict (org_id, hour, key_id, model, provider, app, member_id) do update set
            requests = h.requests + excluded.requests,
            failed = h.failed + excluded.failed,
            prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = h.completion_tokens + excluded.completion_tokens,
            reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
            cached_tokens = h.cached_tokens + excluded.cached_tokens,
            cost = h.cost + excluded.cost
         )
         select id as "id: CallId" from inserted"#,
        column!(row => row.org.0),
        column!(row => row.call.0),
        column!(row => row.created_at),
        column!(row => row.key.0),
        column!(row => row.member.map(|member| member.0)) as &[Option<Uuid>],
        column!(row => row.app.as_str()) as &[&str],
        column!(row => row.referer.as_str()) as &[&str],
        column!(row => row.user_agent.as_str()) as &[&str],
        column!(row => row.request_id.as_str()) as &[&str],
        column!(row => row.model_asked.as_str()) as &[&str],
        column!(row => row.model.as_str()) as &[&str],
        column!(row => row.provider.as_str()) as &[&str],
        column!(row => row.upstream_model.as_str()) as &[&str],
        column!(row => row.upstream_id.as_str()) as &[&str],
        column!(row => row.streamed),
        column!(row => row.status) as &[&str],
        column!(row => row.cancelled),
        column!(row => i16::try_from(row.http_status).unwrap_or(i16::MAX)),
        column!(row => row.error.as_str()) as &[&str],
        column!(row => row.finish_reason.as_str()) as &[&str],
        column!(row => row.native_finish.as_str()) as &[&str],
        column!(row => whole(row.prompt_tokens)),
        column!(row => whole(row.completion_tokens)),
        column!(row => whole(row.cached_tokens)),
        column!(row => whole(row.cache_write_tokens)),
        column!(row => whole(row.reasoning_tokens)),
        column!(row => row.counted_by) as &[&str],
        column!(row => row.price_version) as &[Option<Uuid>],
        column!(row => row.cost) as &[Usd],
        column!(row => row.overrun) as &[Usd],
        column!(row => row.hold) as &[Usd],
        column!(row => row.transfer.map(|transfer| transfer.0)) as &[Option<Uuid>],
        column!(row => uuid_array(row.meters.iter().map(|meter| meter.0))),
        column!(row => row.first_token_ms.map(milliseconds)) as &[Option<i32>],
        column!(row => milliseconds(row.duration_ms)),
        column!(row => &row.attempts) as &[&serde_json::Value],
    )
    .fetch_all(conn)
    .await
}

/// Adds to the sums of hours, in the order of the primary key.
pub async fn add_hours(conn: &mut PgConnection, hours: &BTreeMap<HourKey, HourSums>) -> Result<(), sqlx::Error> {
    if hours.is_empty() {
        return Ok(());
    }
    macro_rules! key {
        ($field:ident) => {
            &hours.keys().map(|key| key.$field.clone()).collect::<Vec<_>>()
        };
    }
    macro_rules! sum {
        ($field:ident) => {
            &hours.values().map(|sums| sums.$field).collect::<Vec<_>>()
        };
    }
    sqlx::query!(
        "insert into usage_hour as h (org_id, hour, key_id, model, provider, app, member_id, requests, failed,
            prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cost)
         select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[],
            $7::uuid[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
            $14::numeric[])
         on conflict (org_id, hour, key_id, model, provider, app, member_id) do update set
            requests = h.requests + excluded.requests,
            failed = h.failed + excluded.failed,
            prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = h.completion_tokens + excluded.completion_tokens,
            reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
            cached_tokens = h.cached_tokens + excluded.cached_tokens,
            cost = h.cost + excluded.cost",
        key!(org),
        key!(hour),
        key!(key),
        key!(model),
        key!(provider),
        key!(app),
        key!(member),
        sum!(requests),
        sum!(failed),
        sum!(prompt),
        sum!(completion),
        sum!(reasoning),
        sum!(cached),
        sum!(cost) as &[Usd],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes the row of a call that says `abandoned` and returns where it was counted.
pub async fn delete_abandoned(
    conn: &mut PgConnection,
    org: OrgId,
    call: CallId,
) -> Result<Option<HourKey>, sqlx::Error> {
    let row = sqlx::query!(
        "delete from usage where org_id = $1 and id = $2 and status = 'abandoned'
         returning created_at, key_id, model, provider, app, member_id",
        org.0,
        call.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| HourKey {
        org: org.0,
        hour: hour_of(row.created_at),
        key: row.key_id,
        model: row.model,
        provider: row.provider,
        app: row.app,
        member: row.member_id.unwrap_or_default(),
    }))
}

/// Beyond this a count is nonsense; cutting it keeps the sums from overflowing.
const MAX_COUNT: u64 = 1_000_000_000_000;

fn whole(count: u64) -> i64 {
    i64::try_from(count.min(MAX_COUNT)).unwrap_or_default()
}

fn milliseconds(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
