//! The row of a call.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, MeterId, OrgId, PersonId, TransferId};

/// How a call can have ended, in the words of the log.
pub const STATUSES: [&str; 4] = ["success", "failed", "rejected", "abandoned"];

/// Why an answer can have ended, in the words of the log.
pub const FINISHES: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "error"];

/// Texts that callers and upstreams choose are cut to so many bytes before they are stored.
const MAX_NAME: usize = 200;
const MAX_TEXT: usize = 1_000;

/// One call as the log keeps it. Amounts are US dollars, durations milliseconds.
#[derive(Clone, Debug)]
pub struct UsageRow {
    pub org: OrgId,
    pub call: CallId,
    pub created_at: DateTime<Utc>,
    pub key: KeyId,
    pub member: Option<PersonId>,
    pub app: String,
    pub referer: String,
    pub user_agent: String,
    pub request_id: String,
    pub model_asked: String,
    /// The model, provider and upstream name that answered; empty when none did.
    pub model: String,
    pub provider: String,
    pub upstream_model: String,
    pub upstream_id: String,
    pub streamed: bool,
    /// One of [`STATUSES`].
    pub status: &'static str,
    pub cancelled: bool,
    pub http_status: u16,
    pub error: String,
    pub finish_reason: String,
    pub native_finish: String,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cached_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
    /// `upstream`, `here` or `nobody`.
    pub counted_by: &'static str,
    pub price_version: Option<Uuid>,
    /// What the organization paid.
    pub cost: Usd,
    /// What the operator bore, because the call cost more than was held for it.
    pub overrun: Usd,
    pub hold: Usd,
    /// The usage transfer that the cost is part of; `None` exactly when nothing was charged.
    pub transfer: Option<TransferId>,
    /// The meters that were charged.
    pub meters: Vec<MeterId>,
    pub first_token_ms: Option<u32>,
    pub duration_ms: u32,
    /// What each upstream that was asked answered, as a JSON array.
    pub attempts: serde_json::Value,
    pub extra: Extra,
}

/// What only some calls have. Amounts are US dollars.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extra {
    /// It went to a provider account of the organization's own: what was paid here is a fee.
    pub is_byok: bool,
    /// What the provider takes for it, by its list price.
    pub upstream_cost: Usd,
    /// The part of that which the monthly allowance covered.
    pub byok_free: Usd,
    /// The fee, as a part of one, on the rest.
    pub byok_rate: rust_decimal::Decimal,
    /// Taken off already.
    pub discount: Usd,
    pub units: Units,
}

/// What a call is charged for besides tokens of text; zero where it has nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Units {
    /// Images in the prompt, where they have a price.
    pub images: u64,
    /// Of the tokens of the prompt: audio.
    pub audio: u64,
    /// Of the tokens of the answer: audio.
    pub audio_output: u64,
    /// Search units of a call that ranks documents; `None` for every other call.
    pub search: Option<u64>,
}

impl Units {
    /// The call has nothing of it.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Units::default()
    }
}

impl UsageRow {
    /// Makes every text storable: without NUL, which Postgres cannot keep, and bounded. What a caller sends in a
    /// header must not be able to sink the settlement of others.
    pub fn make_storable(&mut self) {
        for name in [&mut self.app, &mut self.request_id, &mut self.model_asked, &mut self.model, &mut self.provider] {
            clip(name, MAX_NAME);
        }
        for name in [&mut self.upstream_model, &mut self.upstream_id, &mut self.finish_reason, &mut self.native_finish]
        {
            clip(name, MAX_NAME);
        }
        for text in [&mut self.referer, &mut self.user_agent, &mut self.error] {
            clip(text, MAX_TEXT);
        }
        storable_json(&mut self.attempts);
    }
}

fn clip(text: &mut String, most: usize) {
    if text.contains('\0') {
        text.retain(|c| c != '\0');
    }
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
}

/// Makes every text in a value storable, in the same way as those of a row.
pub fn storable_json(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => clip(text, MAX_TEXT),
        serde_json::Value::Array(items) => items.iter_mut().for_each(storable_json),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(storable_json),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_break_a_row() {
        let mut text = format!("a\0b{}", "ü".repeat(200));
        clip(&mut text, MAX_NAME);
        assert!(text.starts_with("abü") && text.len() <= MAX_NAME && !text.contains('\0'));
        let mut json = serde_json::json!([{ "error": "x\0y" }]);
        storable_json(&mut json);
        assert_eq!(json, serde_json::json!([{ "error": "xy" }]));
    }
}
