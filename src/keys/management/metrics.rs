//! What can be asked of the sums of calls, by name.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::analytics::Column;
use crate::activity::{AnalyzedRow, Dimension, Granularity};
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
    /// Only calls tell it, and not the sums of hours.
    pub is_of_calls: bool,
    /// `None` where no call has it.
    pub value: fn(&AnalyzedRow) -> Option<Decimal>,
}

type Value = fn(&AnalyzedRow) -> Option<Decimal>;

const fn metric_of(name: &'static str, label: &'static str, format: &'static str, value: Value) -> Metric {
    Metric { name, label, format, is_rate: false, is_of_calls: false, value }
}

const fn counted(name: &'static str, label: &'static str, value: Value) -> Metric {
    metric_of(name, label, "number", value)
}

const fn paid(name: &'static str, label: &'static str, value: Value) -> Metric {
    metric_of(name, label, "currency", value)
}

const fn share(name: &'static str, label: &'static str, value: Value) -> Metric {
    Metric { is_rate: true, ..metric_of(name, label, "percent", value) }
}

const fn of_calls(metric: Metric) -> Metric {
    Metric { is_of_calls: true, ..metric }
}

/// Milliseconds to the first token.
const fn latency(name: &'static str, label: &'static str, value: Value) -> Metric {
    Metric { is_rate: true, ..of_calls(metric_of(name, label, "latency", value)) }
}

/// Tokens a second.
const fn throughput(name: &'static str, label: &'static str, value: Value) -> Metric {
    Metric { is_rate: true, ..of_calls(metric_of(name, label, "throughput", value)) }
}

fn ratio(part: u64, whole: u64) -> Decimal {
    Decimal::from(part).checked_div(Decimal::from(whole)).unwrap_or_default().round_dp(6)
}

pub static METRICS: [Metric; 23] = [
    counted("request_count", "Request count", |row| Some(row.totals.requests.into())),
    counted("failed_request_count", "Requests that did not succeed", |row| Some(row.totals.failed.into())),
    of_calls(counted("byok_request_count", "Requests with own provider keys", |row| Some(row.calls.byok.into()))),
    counted("tokens_total", "Tokens", |row| Some(row.totals.tokens().into())),
    counted("tokens_prompt", "Prompt tokens", |row| Some(row.totals.prompt_tokens.into())),
    counted("tokens_completion", "Completion tokens", |row| Some(row.totals.completion_tokens.into())),
    counted("reasoning_tokens", "Reasoning tokens", |row| Some(row.totals.reasoning_tokens.into())),
    counted("cached_tokens", "Cached tokens", |row| Some(row.totals.cached_tokens.into())),
    paid("credits_usage", "Credits spent", |row| Some(row.totals.cost.amount())),
    paid("byok_usage", "Billed by providers to own accounts", |row| Some(row.totals.upstream_cost.amount())),
    paid("total_usage", "Spend, own accounts included", |row| {
        Some((row.totals.cost + row.totals.upstream_cost).amount())
    }),
    of_calls(paid("byok_fees", "Fees for own provider keys", |row| Some(row.calls.fees.amount()))),
    of_calls(paid("usage_data", "Discount for storing texts", |row| Some((-row.calls.discount).amount()))),
    share("cache_hit_rate", "Prompt tokens from cache", |row| {
        Some(ratio(row.totals.cached_tokens, row.totals.prompt_tokens))
    }),
    share("success_rate", "Requests that succeeded", |row| {
        Some(ratio(row.totals.requests.saturating_sub(row.totals.failed), row.totals.requests))
    }),
    latency("avg_latency", "First token, mean", |row| row.calls.latency.mean),
    latency("p50_latency", "First token, median", |row| row.calls.latency.p50),
    latency("p90_latency", "First token, 90th percentile", |row| row.calls.latency.p90),
    latency("p99_latency", "First token, 99th percentile", |row| row.calls.latency.p99),
    throughput("avg_throughput", "Tokens a second, mean", |row| row.calls.throughput.mean),
    throughput("p50_throughput", "Tokens a second, median", |row| row.calls.throughput.p50),
    throughput("p90_throughput", "Tokens a second, 90th percentile", |row| row.calls.throughput.p90),
    throughput("p99_throughput", "Tokens a second, 99th percentile", |row| row.calls.throughput.p99),
];

pub const DIMENSIONS: [(&str, &str, Column); 8] = [
    ("model", "Model", Column::Sums(Dimension::Model)),
    ("provider", "Provider", Column::Sums(Dimension::Provider)),
    ("app", "App", Column::Sums(Dimension::App)),
    ("api_key_id", "API key", Column::Sums(Dimension::Key)),
    ("user", "Member", Column::Sums(Dimension::Member)),
    ("finish_reason", "How the answer ended", Column::Sums(Dimension::Finish)),
    ("origin", "Site that called", Column::Sums(Dimension::Origin)),
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

/// A value with exactly its digits, or `null`.
#[must_use]
pub fn number(value: Option<Decimal>) -> Box<RawValue> {
    value.map_or_else(|| RawValue::NULL.to_owned(), |value| Usd::new(value.normalize()).to_json())
}
