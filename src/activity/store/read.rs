//! Reading calls.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::detail::{Detail, PriceLines};
use super::super::log::{LogFilter, LogRow};
use super::super::usage::Extra;
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, OrgId, PersonId, TransferId};
use crate::catalog::{Price, UnitPrice};

pub struct LogQuery<'a> {
    pub org: OrgId,
    pub filter: &'a LogFilter,
    pub limit: i64,
}

/// The place in the list is written so that it bounds the walk along the index, however the statement is planned:
/// page one thousand costs what page one costs.
pub async fn log_rows(conn: &mut PgConnection, query: &LogQuery<'_>) -> Result<Vec<LogRow>, sqlx::Error> {
    let filter = query.filter;
    sqlx::query_as!(
        LogRow,
        r#"select id as "call: CallId", created_at, key_id as "key: KeyId", member_id as "member: PersonId", app,
            model_asked, model, provider, streamed, status, cancelled, http_status, finish_reason, prompt_tokens,
            completion_tokens, cached_tokens, reasoning_tokens, cost as "cost: Usd", is_byok, first_token_ms,
            duration_ms
           from usage
           where org_id = $1
            and ($2::text is null or model = $2 or (model = '' and model_asked = $2))
            and ($3::uuid is null or key_id = $3) and ($4::uuid is null or member_id = $4)
            and ($5::text is null or provider = $5) and ($6::text is null or app = $6)
            and ($7::text is null or status = $7) and ($8::timestamptz is null or created_at >= $8)
            and ($9::timestamptz is null or created_at < $9)
            and id >= coalesce($10, '00000000-0000-0000-0000-000000000000'::uuid)
            and id <= coalesce($10, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
            and id < coalesce($11, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
           order by id desc limit $12"#,
        query.org.0,
        filter.model.as_deref(),
        filter.key.map(|key| key.0),
        filter.member.map(|member| member.0),
        filter.provider.as_deref(),
        filter.app.as_deref(),
        filter.status,
        filter.from,
        filter.to,
        filter.id.map(|id| id.0),
        filter.before.map(|id| id.0),
        query.limit,
    )
    .fetch_all(conn)
    .await
}

pub async fn count_log(conn: &mut PgConnection, query: &LogQuery<'_>) -> Result<i64, sqlx::Error> {
    let filter = query.filter;
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
              select 1 from usage
              where org_id = $1
               and ($2::text is null or model = $2 or (model = '' and model_asked = $2))
               and ($3::uuid is null or key_id = $3) and ($4::uuid is null or member_id = $4)
               and ($5::text is null or provider = $5) and ($6::text is null or app = $6)
               and ($7::text is null or status = $7) and ($8::timestamptz is null or created_at >= $8)
               and ($9::timestamptz is null or created_at < $9) and ($10::uuid is null or id = $10)
              limit $11
           ) matching"#,
        query.org.0,
        filter.model.as_deref(),
        filter.key.map(|key| key.0),
        filter.member.map(|member| member.0),
        filter.provider.as_deref(),
        filter.app.as_deref(),
        filter.status,
        filter.from,
        filter.to,
        filter.id.map(|id| id.0),
        query.limit,
    )
    .fetch_one(conn)
    .await
}

pub struct DetailRow {
    pub call: CallId,
    pub created_at: DateTime<Utc>,
    pub key: KeyId,
    pub member: Option<PersonId>,
    pub app: String,
    pub referer: String,
    pub user_agent: String,
    pub request_id: String,
    pub model_asked: String,
    pub model: String,
    pub provider: String,
    pub upstream_model: String,
    pub upstream_id: String,
    pub streamed: bool,
    pub status: String,
    pub cancelled: bool,
    pub http_status: i16,
    pub error: String,
    pub finish_reason: String,
    pub native_finish: String,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cached_tokens: i64,
    pub cache_write_tokens: i64,
    pub reasoning_tokens: i64,
    pub counted_by: String,
    pub price_version: Option<Uuid>,
    pub cost: Usd,
    pub overrun: Usd,
    pub hold: Usd,
    pub transfer: Option<TransferId>,
    pub is_byok: bool,
    pub first_token_ms: Option<i32>,
    pub duration_ms: i32,
    pub attempts: serde_json::Value,
}

impl DetailRow {
    pub fn into_detail(self, price: Option<PriceLines>, extra: Extra) -> Detail {
        Detail {
            call: self.call,
            created_at: self.created_at,
            key: self.key,
            member: self.member,
            app: self.app,
            referer: self.referer,
            user_agent: self.user_agent,
            request_id: self.request_id,
            model_asked: self.model_asked,
            model: self.model,
            provider: self.provider,
            upstream_model: self.upstream_model,
            upstream_id: self.upstream_id,
            streamed: self.streamed,
            status: self.status,
            cancelled: self.cancelled,
            http_status: self.http_status,
            error: self.error,
            finish_reason: self.finish_reason,
            native_finish: self.native_finish,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            cached_tokens: self.cached_tokens,
            cache_write_tokens: self.cache_write_tokens,
            reasoning_tokens: self.reasoning_tokens,
            counted_by: self.counted_by,
            cost: self.cost,
            overrun: self.overrun,
            hold: self.hold,
            transfer: self.transfer,
            is_byok: self.is_byok,
            first_token_ms: self.first_token_ms,
            duration_ms: self.duration_ms,
            attempts: self.attempts,
            price,
            extra,
        }
    }
}

pub async fn detail_row(conn: &mut PgConnection, org: OrgId, call: CallId) -> Result<Option<DetailRow>, sqlx::Error> {
    sqlx::query_as!(
        DetailRow,
        r#"select id as "call: CallId", created_at, key_id as "key: KeyId", member_id as "member: PersonId", app,
            referer, user_agent, request_id, model_asked, model, provider, upstream_model, upstream_id, streamed,
            status, cancelled, http_status, error, finish_reason, native_finish, prompt_tokens, completion_tokens,
            cached_tokens, cache_write_tokens, reasoning_tokens, counted_by, price_version, cost as "cost: Usd",
            overrun as "overrun: Usd", hold as "hold: Usd", transfer_id as "transfer: TransferId", is_byok,
            first_token_ms, duration_ms, attempts
           from usage where org_id = $1 and id = $2"#,
        org.0,
        call.0,
    )
    .fetch_optional(conn)
    .await
}

pub struct PriceRow {
    pub version: i32,
    pub since: DateTime<Utc>,
    pub price: Price,
}

/// The price that a call names. Versions are never changed or deleted, so it explains the call for all time.
pub async fn price_row(conn: &mut PgConnection, version: Uuid) -> Result<Option<PriceRow>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select version, created_at, prompt as "prompt: UnitPrice", completion as "completion: UnitPrice",
            cache_read as "cache_read: UnitPrice", cache_write as "cache_write: UnitPrice",
            request as "request: UnitPrice", image as "image: UnitPrice", audio as "audio: UnitPrice",
            audio_output as "audio_output: UnitPrice"
           from price_version where id = $1"#,
        version,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| PriceRow {
        version: row.version,
        since: row.created_at,
        price: Price {
            prompt: row.prompt,
            completion: row.completion,
            cache_read: row.cache_read,
            cache_write: row.cache_write,
            request: row.request,
            image: row.image,
            audio: row.audio,
            audio_output: row.audio_output,
        },
    }))
}

/// What the log says that a call came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettledUsage {
    pub status: String,
    pub cost: Usd,
    pub overrun: Usd,
}

/// What became of a call, or `None` while it has no row.
///
/// # Errors
/// Database errors only.
pub async fn settled_usage(
    conn: &mut PgConnection,
    org: OrgId,
    call: CallId,
) -> Result<Option<SettledUsage>, sqlx::Error> {
    sqlx::query_as!(
        SettledUsage,
        r#"select status, cost as "cost: Usd", overrun as "overrun: Usd" from usage where org_id = $1 and id = $2"#,
        org.0,
        call.0,
    )
    .fetch_optional(conn)
    .await
}
