//! What can be asked of the sums of calls, by name.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::analytics::Column;
use crate::activity::{Dimension, Granularity, Totals};
use crate::base::Usd;
use crate::web::api::ApiError;

/// Something that is counted.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub label: &'static str,
    pub format: &'static str,
    /// A share, not a sum.
    pub is_rate: bool,
    pub value: fn(&Totals) -> Decimal,
}

const fn counted(name: &'static str, label: &'static str, value: fn(&Totals) -> Decimal) -> Metric {
    Metric { name, label, format: "number", is_rate: false, value }
}

const fn paid(name: &'static str, label: &'static str, value: fn(&Totals) -> Decimal) -> Metric {
    Metric { name, label, format: "currency", is_rate: false, value }
}

const fn share(name: &'static str, label: &'static str, value: fn(&Totals) -> Decimal) -> Metric {
    Metric { name, label, format: "percent", is_rate: true, value }
}

fn ratio(part: u64, whole: u64) -> Decimal {
    Decimal::from(part).checked_div(Decimal::from(whole)).unwrap_or_default().round_dp(6)
}

pub static METRICS: [Metric; 11] = [
    counted("request_count", "Request count", |sum| sum.requests.into()),
    counted("failed_request_count", "Requests that did not succeed", |sum| sum.failed.into()),
    counted("tokens_total", "Tokens", |sum| sum.tokens().into()),
    counted("tokens_prompt", "Prompt tokens", |sum| sum.prompt_tokens.into()),
    counted("tokens_completion", "Completion tokens", |sum| sum.completion_tokens.into()),
    counted("reasoning_tokens", "Reasoning tokens", |sum| sum.reasoning_tokens.into()),
    counted("cached_tokens", "Cached tokens", |sum| sum.cached_tokens.into()),
    paid("credits_usage", "Credits spent", |sum| sum.cost.amount()),
    paid("total_usage", "Spend", |sum| sum.cost.amount()),
    share("cache_hit_rate", "Prompt tokens from cache", |sum| ratio(sum.cached_tokens, sum.prompt_tokens)),
    share("success_rate", "Requests that succeeded", |sum| {
        ratio(sum.requests.saturating_sub(sum.failed), sum.requests)
    }),
];

pub const DIMENSIONS: [(&str, &str, Column); 6] = [
    ("model", "Model", Column::Sums(Dimension::Model)),
    ("provider", "Provider", Column::Sums(Dimension::Provider)),
    ("app", "App", Column::Sums(Dimension::App)),
    ("api_key_id", "API key", Column::Sums(Dimension::Key)),
    ("user", "Member", Column::Sums(Dimension::Member)),
    ("workspace", "Workspace", Column::Workspace),
];

pub const GRANULARITIES: [(&str, &str, Granularity); 5] = [
    ("minute", "Minute", Granularity::Minute),
    ("hour", "Hour", Granularity::Hour),
    ("day", "Day", Granularity::Day),
    ("week", "Week", Granularity::Week),
    ("month", "Month", Granularity::Month),
];

/// Dimensions are names, so there is no greater and no smaller.
pub const OPERATORS: [(&str, &str); 4] = [("eq", "scalar"), ("neq", "scalar"), ("in", "array"), ("not_in", "array")];

fn unknown(name: &str) -> ApiError {
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    ApiError::invalid(format!("`{name}` is not known here; GET /analytics/meta lists what is."))
}

/// # Errors
/// 400 for a name that is none.
pub fn metric(name: &str) -> Result<&'static Metric, ApiError> {
    METRICS.iter().find(|metric| metric.name == name).ok_or_else(|| unknown(name))
}

/// # Errors
/// 400 for a name that is none.
pub fn dimension(name: &str) -> Result<(&'static str, Column), ApiError> {
    let found = DIMENSIONS.into_iter().find(|(known, ..)| *known == name);
    found.map(|(name, _, column)| (name, column)).ok_or_else(|| unknown(name))
}

/// # Errors
/// 400 for a name that is none.
pub fn granularity(name: &str) -> Result<Granularity, ApiError> {
    GRANULARITIES.into_iter().find(|(known, ..)| *known == name).map(|(_, _, found)| found).ok_or_else(|| unknown(name))
}

/// A value with exactly its digits.
#[must_use]
pub fn number(value: Decimal) -> Box<RawValue> {
    Usd::new(value.normalize()).to_json()
}
