//! What one call came to.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::activity::{self, Detail};
use crate::base::Usd;
use crate::base::ids::CallId;
use crate::catalog::{Catalog, Task, UnitPrice};
use crate::keys::Caller;
use crate::keys::management::activity::workspace_of;
use crate::orgs::{self, Permission};
use crate::presets;
use crate::web::api::Number;

/// The answer of `GET /generation`.
#[derive(Serialize, ToSchema)]
pub struct GenerationBody {
    pub data: GenerationInfo,
}

/// A call. Amounts are US dollars, durations milliseconds.
#[derive(Serialize, ToSchema)]
pub struct GenerationInfo {
    pub id: String,
    pub upstream_id: Option<String>,
    pub request_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub model: String,
    pub provider_name: Option<String>,
    /// The preset that it was made with, the one that it named before the one that its key is bound to.
    pub preset_id: Option<String>,
    /// Always `null`: it tells conversations apart while they run, and is not kept.
    pub session_id: Option<String>,
    /// The organization.
    pub workspace_id: String,
    /// Always `global`.
    pub data_region: &'static str,
    /// Always `null`: apps have names here and no numbers.
    pub app_id: Option<i64>,
    /// What the call said that it comes from.
    pub app_name: Option<String>,
    pub origin: String,
    pub http_referer: Option<String>,
    pub user_agent: Option<String>,
    /// Always `null`: who asks, to the provider, is not kept.
    pub external_user: Option<String>,
    pub api_type: &'static str,
    /// Always `null`, like `service_tier`: there is one way to a provider and one class of service.
    pub router: Option<String>,
    pub service_tier: Option<String>,
    /// `success`, `failed`, `rejected` or `abandoned`.
    pub status: String,
    pub streamed: bool,
    /// The client left before the end.
    pub cancelled: bool,
    pub finish_reason: Option<String>,
    pub native_finish_reason: Option<String>,
    pub tokens_prompt: i64,
    pub tokens_completion: i64,
    pub native_tokens_prompt: i64,
    pub native_tokens_completion: i64,
    pub native_tokens_reasoning: i64,
    pub native_tokens_cached: i64,
    /// Always `null`, like every other number of images, sounds and searches: the bill of a call tells those that have a price.
    pub native_tokens_completion_images: Option<i64>,
    pub num_media_prompt: Option<i64>,
    pub num_media_completion: Option<i64>,
    pub num_input_audio_prompt: Option<i64>,
    pub num_search_results: Option<i64>,
    pub num_fetches: Option<i64>,
    pub web_search_engine: Option<String>,
    /// Who counted the tokens: `upstream`, `here` or `nobody`.
    pub tokens_counted_by: String,
    /// To the first token.
    pub latency: Option<i32>,
    /// Always `null`: nothing is moderated here.
    pub moderation_latency: Option<i32>,
    /// From the first token to the end.
    pub generation_time: Option<i32>,
    /// What the organization paid.
    #[schema(value_type = f64)]
    pub usage: Number,
    #[schema(value_type = f64)]
    pub total_cost: Number,
    pub is_byok: bool,
    #[schema(value_type = Option<f64>)]
    pub upstream_inference_cost: Option<Number>,
    /// What was charged here for a call with a key of the organization's own; `null` for others.
    #[schema(value_type = Option<f64>)]
    pub byok_fee: Option<Number>,
    /// What was taken off already, because the texts of calls are kept.
    #[schema(value_type = Option<f64>)]
    pub data_discount: Option<Number>,
    /// What a cache saved: below zero where writing to it cost more than reading from it saved.
    #[schema(value_type = Option<f64>)]
    pub cache_discount: Option<Number>,
    /// What each upstream that was asked answered.
    pub provider_responses: Vec<ProviderResponse>,
}

/// One upstream's answer.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ProviderResponse {
    #[serde(rename(deserialize = "provider"))]
    pub provider_name: String,
    #[serde(rename(deserialize = "model"))]
    pub model_permaslug: String,
    /// Its HTTP status; `null` when it did not answer.
    pub status: Option<u16>,
    #[serde(rename(deserialize = "duration_ms"))]
    pub latency: u32,
    /// With a key of the organization's own.
    #[serde(default, rename(deserialize = "own"))]
    pub is_byok: bool,
}

pub async fn generation_info(
    conn: &mut PgConnection,
    caller: &Caller,
    id: CallId,
) -> Result<Option<GenerationInfo>, sqlx::Error> {
    let Some(detail) = visible(conn, caller, id).await? else { return Ok(None) };
    let named = detail.attempts.pointer("/0/presets/0").and_then(Value::as_str).map(str::to_owned);
    let preset = match named {
        Some(slug) => presets::find_by_slug(conn, caller.org, &slug).await?.map(|preset| preset.id.to_string()),
        None => None,
    };
    let workspace_id = workspace_of(caller.org);
    Ok(Some(GenerationInfo { preset_id: preset, workspace_id, ..GenerationInfo::from(detail) }))
}

/// A call that a key may know of.
pub async fn visible(conn: &mut PgConnection, caller: &Caller, id: CallId) -> Result<Option<Detail>, sqlx::Error> {
    let Some(detail) = activity::detail(conn, caller.org, id).await? else { return Ok(None) };
    if detail.key == caller.key {
        return Ok(Some(detail));
    }
    // Whoever holds a key that was handed on sees what was called with it, and nothing else.
    if caller.handed_on {
        return Ok(None);
    }
    // Other keys see what their makers may see: all calls of the organization, or only their own.
    if let Some(maker) = caller.created_by
        && detail.member != Some(maker)
    {
        let maker = orgs::member_row(conn, caller.org, maker).await?;
        if !maker.is_some_and(|maker| maker.role().may(Permission::SeeAllActivity)) {
            return Ok(None);
        }
    }
    Ok(Some(detail))
}

/// What the tokens from and to a cache would have cost as others of the prompt, less what they did. `None` for a call without
/// any, and for one that cost nothing.
fn cache_discount(detail: &Detail) -> Option<Usd> {
    let price = detail.price.as_ref().filter(|price| !price.lines.is_empty())?.price;
    let saved = |tokens: i64, unit: Option<UnitPrice>| {
        (price.prompt.amount() - unit.unwrap_or(price.prompt).amount()) * Decimal::from(tokens)
    };
    let any = detail.cached_tokens > 0 || detail.cache_write_tokens > 0;
    let sum = saved(detail.cached_tokens, price.cache_read) + saved(detail.cache_write_tokens, price.cache_write);
    any.then(|| Usd::new(sum.normalize()))
}

impl GenerationInfo {
    /// A model does one thing, so it says what the call was.
    #[must_use]
    pub fn of_kind(mut self, catalog: &Catalog) -> GenerationInfo {
        self.api_type = match catalog.model(&self.model).map(|listed| listed.model.task()) {
            Some(Task::Embed) => "embeddings",
            Some(Task::Rerank) => "rerank",
            Some(Task::Answer) | None => "completions",
        };
        self
    }
}

impl From<Detail> for GenerationInfo {
    fn from(detail: Detail) -> GenerationInfo {
        let some = |text: String| (!text.is_empty()).then_some(text);
        GenerationInfo {
            cache_discount: cache_discount(&detail).map(Number),
            preset_id: None,
            session_id: None,
            workspace_id: String::new(),
            data_region: "global",
            id: detail.call.to_string(),
            upstream_id: some(detail.upstream_id),
            request_id: some(detail.request_id),
            created_at: detail.created_at,
            model: if detail.model.is_empty() { detail.model_asked } else { detail.model },
            provider_name: some(detail.provider),
            app_id: None,
            app_name: some(detail.app),
            external_user: None,
            router: None,
            service_tier: None,
            native_tokens_completion_images: None,
            num_media_prompt: None,
            num_media_completion: None,
            num_input_audio_prompt: None,
            num_search_results: None,
            num_fetches: None,
            web_search_engine: None,
            moderation_latency: None,
            origin: detail.referer.clone(),
            http_referer: some(detail.referer),
            user_agent: some(detail.user_agent),
            api_type: "completions",
            status: detail.status,
            streamed: detail.streamed,
            cancelled: detail.cancelled,
            finish_reason: some(detail.finish_reason),
            native_finish_reason: some(detail.native_finish),
            tokens_prompt: detail.prompt_tokens,
            tokens_completion: detail.completion_tokens,
            native_tokens_prompt: detail.prompt_tokens,
            native_tokens_completion: detail.completion_tokens,
            native_tokens_reasoning: detail.reasoning_tokens,
            native_tokens_cached: detail.cached_tokens,
            tokens_counted_by: detail.counted_by,
            latency: detail.first_token_ms,
            generation_time: Some(detail.duration_ms - detail.first_token_ms.unwrap_or(0)),
            usage: Number(detail.cost),
            total_cost: Number(detail.cost),
            is_byok: detail.is_byok,
            upstream_inference_cost: detail.is_byok.then_some(Number(detail.extra.upstream_cost)),
            byok_fee: detail.is_byok.then_some(Number(detail.cost)),
            data_discount: detail.extra.discount.is_positive().then_some(Number(detail.extra.discount)),
            provider_responses: serde_json::from_value(detail.attempts).unwrap_or_default(),
        }
    }
}
