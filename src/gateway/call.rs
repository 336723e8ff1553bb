//! A call from its admission to its end: the facts that the money side and the upstream side share.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::activity::Units;
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, MeterId, OrgId, PersonId};
use crate::routing::Fee;

/// Who calls, with what, and where from. Fixed before anything is held.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    pub id: CallId,
    pub org: OrgId,
    pub key: KeyId,
    pub member: Option<PersonId>,
    pub meters: Vec<Uuid>,
    pub request_id: String,
    /// The model as the request named it.
    pub model_asked: String,
    /// The slugs of the presets that it gets: the one that it names, then the one that its key is bound to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<String>,
    pub streamed: bool,
    /// `X-Title` or `X-OpenRouter-Title`, else the host of `HTTP-Referer`.
    pub app: String,
    pub referer: String,
    pub user_agent: String,
    pub created_at: DateTime<Utc>,
    /// How often it had passed through Farebox before; only for the way on.
    #[serde(skip)]
    pub hops: u8,
}

impl Call {
    #[must_use]
    pub fn meter_ids(&self) -> Vec<MeterId> {
        self.meters.iter().copied().map(MeterId).collect()
    }
}

/// How a call ended for the one who made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The upstream answered, in full or until the client left.
    Success,
    /// The upstream failed; costs nothing unless output was produced.
    Failed,
    /// Refused before any upstream was asked.
    Rejected,
    /// The process died and the hold was swept.
    Abandoned,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Failed => "failed",
            Status::Rejected => "rejected",
            Status::Abandoned => "abandoned",
        }
    }
}

/// Who counted the tokens that were billed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CountedBy {
    Upstream,
    /// The upstream did not say, so Farebox counted what it saw.
    Here,
    /// Nothing was produced.
    Nobody,
}

impl CountedBy {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            CountedBy::Upstream => "upstream",
            CountedBy::Here => "here",
            CountedBy::Nobody => "nobody",
        }
    }
}

/// Tokens of one call. `cached`, `cache_write` are parts of `prompt`; `reasoning` is part of `completion`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
    pub cached: u64,
    pub cache_write: u64,
    pub reasoning: u64,
}

/// One upstream that was asked, and what it answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub provider: String,
    pub model: String,
    /// The HTTP status of its answer; `None` when there was none.
    pub status: Option<u16>,
    /// In a few words; never the upstream's secret or the caller's content.
    pub error: String,
    pub duration_ms: u32,
    /// With a key of the organization's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// The language in which the call was made, as the last part of its address; empty for a chat.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api: String,
}

/// What decides, beside the price, what a call is charged. The default is the price and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Terms {
    /// It went to a provider account of the organization's own, which pays the price there; here it costs a fee.
    pub fee: Option<Fee>,
    /// The part of what would be charged that is not.
    pub discount: Decimal,
    /// What was held of the price for limits that count it.
    pub held_byok: Usd,
}

/// What a call comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Charge {
    /// What is to be paid, before the hold caps it.
    pub cost: Usd,
    pub discount: Usd,
    /// The part of the provider's price that the allowance covered.
    pub free: Usd,
}

impl Terms {
    fn are_usual(&self) -> bool {
        *self == Terms::default()
    }

    /// What a call at this price is charged, if `free` of it is covered by the allowance. Rounded once each, to the
    /// precision of the books: the fee, then the discount on it.
    #[must_use]
    pub fn charge(&self, price: Usd, free: Usd) -> Charge {
        let (gross, free) = match self.fee {
            None => (price, Usd::ZERO),
            Some(fee) => {
                let free = free.min(price);
                (Usd::new((price - free).amount() * fee.rate), free)
            }
        };
        let discount = Usd::new(gross.amount() * self.discount);
        Charge { cost: gross - discount, discount, free }
    }
}

/// What the upstream exchange came to. Everything that settlement needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ended {
    pub status: Status,
    /// What the client was told, or would have been.
    pub http_status: u16,
    pub error: String,
    /// The model, provider and upstream name that answered; empty when none did.
    pub model: String,
    pub provider: String,
    pub upstream_model: String,
    pub upstream_id: String,
    pub price_version: Option<Uuid>,
    pub finish_reason: String,
    pub native_finish: String,
    pub tokens: Tokens,
    pub counted_by: CountedBy,
    /// The client left before the end.
    pub cancelled: bool,
    /// At the pinned price, before the hold caps it.
    pub cost: Usd,
    #[serde(default, skip_serializing_if = "Units::is_none")]
    pub units: Units,
    /// What else decides what is charged.
    #[serde(default, skip_serializing_if = "Terms::are_usual")]
    pub terms: Terms,
    pub first_token_ms: Option<u32>,
    pub duration_ms: u32,
    pub attempts: Vec<Attempt>,
}

impl Ended {
    /// What the provider takes itself, where it does.
    #[must_use]
    pub fn byok(&self) -> Option<Usd> {
        self.terms.fee.map(|_| self.cost.max(Usd::ZERO))
    }

    /// An end of which nothing is known yet but how it is told: nothing was produced, and nothing is charged.
    #[must_use]
    pub fn blank(status: Status, http_status: u16, error: String) -> Ended {
        Ended {
            status,
            http_status,
            error,
            model: String::new(),
            provider: String::new(),
            upstream_model: String::new(),
            upstream_id: String::new(),
            price_version: None,
            finish_reason: String::new(),
            native_finish: String::new(),
            tokens: Tokens::default(),
            counted_by: CountedBy::Nobody,
            cancelled: false,
            cost: Usd::ZERO,
            units: Units::default(),
            terms: Terms::default(),
            first_token_ms: None,
            duration_ms: 0,
            attempts: Vec::new(),
        }
    }
}
