//! One call, explained to the last digit.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::store;
use super::usage::Extra;
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, OrgId, PersonId, TransferId};
use crate::catalog::{self, CostLine, Price};

/// Everything that is known about a call.
#[derive(Clone, Debug)]
pub struct Detail {
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
    /// What the organization paid.
    pub cost: Usd,
    /// What the operator bore.
    pub overrun: Usd,
    pub hold: Usd,
    pub transfer: Option<TransferId>,
    pub is_byok: bool,
    pub first_token_ms: Option<i32>,
    pub duration_ms: i32,
    /// As the gateway wrote them: `provider`, `model`, `status`, `error`, `duration_ms`.
    pub attempts: serde_json::Value,
    /// `None` where no price was pinned.
    pub price: Option<PriceLines>,
    pub extra: Extra,
}

/// The price that was pinned for a call, and the cost computed from it once more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceLines {
    pub version: i32,
    pub since: DateTime<Utc>,
    pub price: Price,
    pub lines: Vec<PriceLine>,
}

/// Lines add up to the list price of the call, before discounts and what the operator bears: [`Detail::bill`] goes on from there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PriceLine {
    Priced(CostLine),
    /// What the counts do not explain: of images, audio and search units of calls from before these were kept; may be negative.
    Other(Usd),
}

impl PriceLine {
    #[must_use]
    pub fn amount(&self) -> Usd {
        match self {
            PriceLine::Priced(line) => line.amount,
            PriceLine::Other(amount) => *amount,
        }
    }
}

/// Reads one call of an organization; `None` when it has no such call.
///
/// # Errors
/// Database errors only.
pub async fn detail(conn: &mut PgConnection, org: OrgId, call: CallId) -> Result<Option<Detail>, sqlx::Error> {
    let Some(row) = store::detail_row(conn, org, call).await? else { return Ok(None) };
    let extra = store::extra_of(conn, org, call).await?;
    let price = match row.price_version {
        Some(version) => store::price_row(conn, version).await?.map(|price| explain(&row, &extra, &price)),
        None => None,
    };
    Ok(Some(row.into_detail(price, extra)))
}

fn explain(row: &store::DetailRow, extra: &Extra, price: &store::PriceRow) -> PriceLines {
    let billed = if extra.is_byok { extra.upstream_cost } else { row.cost + row.overrun + extra.discount };
    let count = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
    let usage = catalog::Usage {
        prompt_tokens: count(row.prompt_tokens),
        completion_tokens: count(row.completion_tokens),
        cached_tokens: count(row.cached_tokens),
        cache_write_tokens: count(row.cache_write_tokens),
        reasoning_tokens: count(row.reasoning_tokens),
        images: extra.units.images,
        audio_tokens: extra.units.audio,
        audio_output_tokens: extra.units.audio_output,
        // A call that cost nothing was not charged for as a call either.
        requests: extra.units.search.unwrap_or_else(|| u64::from(billed.is_positive())),
    };
    let mut explained = if billed.is_zero() { Vec::new() } else { lines(&usage, &price.price) };
    if extra.units.search.is_some() {
        for line in &mut explained {
            if let PriceLine::Priced(line) = line {
                line.name_search_units();
            }
        }
    }
    let sum: Usd = explained.iter().map(PriceLine::amount).sum();
    let rest = billed - sum;
    let lines = explained.into_iter().chain((!rest.is_zero()).then_some(PriceLine::Other(rest))).collect();
    PriceLines { version: price.version, since: price.since, price: price.price, lines }
}

fn lines(usage: &catalog::Usage, price: &Price) -> Vec<PriceLine> {
    // An implausible count was never billed by tokens, so there are no lines to show for it.
    let cost = catalog::cost(usage, price);
    cost.map(|cost| cost.lines.into_iter().map(PriceLine::Priced).collect()).unwrap_or_default()
}
