//! Reading calls.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::detail::{Detail, PriceLines};
use super::super::export::ExportRow;
use super::super::filter::{Ids, LogFilter};
use super::super::log::LogRow;
use super::super::usage::Extra;
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, OrgId, PersonId, TransferId};
use crate::catalog::{Price, UnitPrice};

/// The calls that fit among the newest so many of an organization, or of one of its keys. What bounds the ids bounds the
/// walk along the index, however the statement is planned: page one thousand costs what page one costs.
macro_rules! log_rows {
    ($key:tt, $conn:expr, $org:expr, $filter:expr, $ids:expr, $scan:expr, $limit:expr) => {
        sqlx::query_as!(
            LogRow,
            r#"select id as "call!: CallId", created_at as "created_at!", key_id as "key!: KeyId",
                member_id as "member: PersonId", app as "app!", model_asked as "model_asked!", model as "model!",
                provider as "provider!", streamed as "streamed!", status as "status!", cancelled as "cancelled!",
                http_status as "http_status!", finish_reason as "finish_reason!", prompt_tokens as "prompt_tokens!",
                completion_tokens as "completion_tokens!", cached_tokens as "cached_tokens!",
                reasoning_tokens as "reasoning_tokens!", cost as "cost!: Usd", is_byok as "is_byok!",
                upstream_cost as "upstream_cost!: Usd", first_token_ms, duration_ms as "duration_ms!"
               from (
                  select * from usage where org_id = $1 and id >= $2 and id < $3 and "#
                + $key
                + r#"
                  order by id desc limit $5
               ) newest
               where ($6::text is null or model = $6) and ($7::uuid is null or member_id = $7)
                and ($8::text is null or provider = $8) and ($9::text is null or app = $9)
                and ($10::text is null or status = $10) and ($11::timestamptz is null or created_at >= $11)
                and ($12::timestamptz is null or created_at < $12) and ($13::text is null or model_asked = $13)
                and ($14::numeric is null or cost >= $14) and ($15::numeric is null or cost <= $15)
                and ($16::text is null or finish_reason = $16) and ($17::boolean is null or is_byok = $17)
               order by id desc limit $18"#,
            $org.0,
            $ids.from.0,
            $ids.to.0,
            $filter.key.map(|key| key.0),
            $scan,
            $filter.model.as_deref(),
            $filter.member.map(|member| member.0),
            $filter.provider.as_deref(),
            $filter.app.as_deref(),
            $filter.status,
            $filter.from,
            $filter.to,
            $filter.asked.as_deref(),
            $filter.min.map(Usd::amount),
            $filter.max.map(Usd::amount),
            $filter.finish,
            $filter.own,
            $limit,
        )
        .fetch_all($conn)
        .await
    };
}

/// `(scan, limit)`: among how many calls to look, and how many to return.
pub async fn log_rows(
    conn: &mut PgConnection,
    org: OrgId,
    filter: &LogFilter,
    ids: Ids,
    (scan, limit): (i64, i64),
) -> Result<Vec<LogRow>, sqlx::Error> {
    if filter.key.is_some() {
        log_rows!("key_id = $4", conn, org, filter, ids, scan, limit)
    } else {
        log_rows!("$4::uuid is null", conn, org, filter, ids, scan, limit)
    }
}

/// As [`log_rows`], with what files tell of a call: those that fit of the newest `scan`.
pub async fn export_rows(
    conn: &mut PgConnection,
    org: OrgId,
    filter: &LogFilter,
    ids: Ids,
    scan: i64,
) -> Result<Vec<ExportRow>, sqlx::Error> {
    sqlx::query_as!(
        ExportRow,
        r#"select id as "call!: CallId", created_at as "created_at!", key_id as "key!: KeyId",
            member_id as "member: PersonId", app as "app!", request_id as "request_id!",
            model_asked as "model_asked!", model as "model!", provider as "provider!", streamed as "streamed!",
            status as "status!", cancelled as "cancelled!", http_status as "http_status!", error as "error!",
            finish_reason as "finish_reason!", prompt_tokens as "prompt_tokens!",
            completion_tokens as "completion_tokens!", cached_tokens as "cached_tokens!",
            cache_write_tokens as "cache_write_tokens!", reasoning_tokens as "reasoning_tokens!",
            counted_by as "counted_by!", cost as "cost!: Usd", overrun as "overrun!: Usd", hold as "hold!: Usd",
            transfer_id as "transfer: TransferId", is_byok as "is_byok!", upstream_cost as "upstream_cost!: Usd",
            byok_free as "byok_free!: Usd", byok_rate as "byok_rate!", discount as "discount!: Usd", first_token_ms,
            duration_ms as "duration_ms!", images, audio_tokens, audio_output_tokens, search_units
           from (
              select * from usage where org_id = $1 and id >= $2 and id < $3 and ($4::uuid is null or key_id = $4)
              order by id desc limit $5
           ) newest
           where ($6::text is null or model = $6) and ($7::uuid is null or member_id = $7)
            and ($8::text is null or provider = $8) and ($9::text is null or app = $9)
            and ($10::text is null or status = $10) and ($11::timestamptz is null or created_at >= $11)
            and ($12::timestamptz is null or created_at < $12) and ($13::text is null or model_asked = $13)
            and ($14::numeric is null or cost >= $14) and ($15::numeric is null or cost <= $15)
            and ($16::text is null or finish_reason = $16) and ($17::boolean is null or is_byok = $17)
           order by id desc"#,
        org.0,
        ids.from.0,
        ids.to.0,
        filter.key.map(|key| key.0),
        scan,
        filter.model.as_deref(),
        filter.member.map(|member| member.0),
        filter.provider.as_deref(),
        filter.app.as_deref(),
        filter.status,
        filter.from,
        filter.to,
        filter.asked.as_deref(),
        filter.min.map(Usd::amount),
        filter.max.map(Usd::amount),
        filter.finish,
        filter.own,
    )
    .fetch_all(conn)
    .await
}

/// The last of the newest `scan` calls; `None` where there are fewer.
pub async fn scan_end(
    conn: &mut PgConnection,
    org: OrgId,
    key: Option<KeyId>,
    ids: Ids,
    scan: i64,
) -> Result<Option<CallId>, sqlx::Error> {
    match key {
        Some(key) => {
            sqlx::query_scalar!(
                r#"select id as "id: CallId" from usage where org_id = $1 and id >= $2 and id < $3 and key_id = $4
                   order by id desc offset $5 limit 1"#,
                org.0,
                ids.from.0,
                ids.to.0,
                key.0,
                scan - 1,
            )
            .fetch_optional(conn)
            .await
        }
        None => {
            sqlx::query_scalar!(
                r#"select id as "id: CallId" from usage where org_id = $1 and id >= $2 and id < $3
                   order by id desc offset $4 limit 1"#,
                org.0,
                ids.from.0,
                ids.to.0,
                scan - 1,
            )
            .fetch_optional(conn)
            .await
        }
    }
}

/// The newest hour whose sums say that it may have calls that fit.
pub async fn newest_hour(
    conn: &mut PgConnection,
    org: OrgId,
    filter: &LogFilter,
    ids: Ids,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "select hour from usage_hour
         where org_id = $1 and hour >= $2::timestamptz - interval '1 hour' and hour <= $3
            and ($4::text is null or model = $4) and ($5::text is null or provider = $5)
            and ($6::text is null or app = $6) and ($7::uuid is null or key_id = $7)
            and ($8::uuid is null or member_id = $8)
            and case $9::text when 'success' then requests > failed else $9 is null or failed > 0 end
         order by hour desc limit 1",
        org.0,
        ids.earliest(),
        ids.latest(),
        filter.model.as_deref(),
        filter.provider.as_deref(),
        filter.app.as_deref(),
        filter.key.map(|key| key.0),
        filter.member.map(|member| member.0),
        filter.status,
    )
    .fetch_optional(conn)
    .await
}

pub async fn count_of_key(conn: &mut PgConnection, org: OrgId, key: KeyId, most: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
              select from usage where org_id = $1 and key_id = $2 limit $3
           ) calls"#,
        org.0,
        key.0,
        most,
    )
    .fetch_one(conn)
    .await
}

/// How many of the newest `scan` calls fit, at most `most`.
pub async fn count_calls(
    conn: &mut PgConnection,
    org: OrgId,
    filter: &LogFilter,
    ids: Ids,
    (scan, most): (i64, i64),
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
              select from (
                 select * from usage where org_id = $1 and id >= $2 and id < $3 order by id desc limit $4
              ) newest
              where ($5::text is null or model = $5) and ($6::uuid is null or member_id = $6)
               and ($7::text is null or provider = $7) and ($8::text is null or app = $8)
               and ($9::text is null or status = $9) and ($10::timestamptz is null or created_at >= $10)
               and ($11::timestamptz is null or created_at < $11) and ($12::text is null or model_asked = $12)
               and ($13::numeric is null or cost >= $13) and ($14::numeric is null or cost <= $14)
               and ($15::uuid is null or key_id = $15) and ($16::text is null or finish_reason = $16)
               and ($17::boolean is null or is_byok = $17)
              limit $18
           ) calls"#,
        org.0,
        ids.from.0,
        ids.to.0,
        scan,
        filter.model.as_deref(),
        filter.member.map(|member| member.0),
        filter.provider.as_deref(),
        filter.app.as_deref(),
        filter.status,
        filter.from,
        filter.to,
        filter.asked.as_deref(),
        filter.min.map(Usd::amount),
        filter.max.map(Usd::amount),
        filter.key.map(|key| key.0),
        filter.finish,
        filter.own,
        most,
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
