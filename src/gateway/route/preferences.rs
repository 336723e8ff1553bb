//! A caller's conditions on who answers.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::gateway::error::ApiError;

/// How the endpoints of a model are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sort {
    /// At random, weighted by the inverse square of the price.
    #[default]
    Balanced,
    Price,
    Throughput,
    Latency,
}

impl Sort {
    /// `None` for a word that is no order.
    #[must_use]
    pub fn parse(word: &str) -> Option<Sort> {
        match word {
            "balanced" => Some(Sort::Balanced),
            "price" => Some(Sort::Price),
            "throughput" | "exacto" => Some(Sort::Throughput),
            "latency" => Some(Sort::Latency),
            _ => None,
        }
    }
}

/// The most that a caller wants to pay: dollars per million tokens, per request, per image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MaxPrice {
    pub prompt: Option<Decimal>,
    pub completion: Option<Decimal>,
    pub request: Option<Decimal>,
    pub image: Option<Decimal>,
}

/// Conditions on who answers. The default has none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    pub order: Vec<String>,
    /// Empty: all.
    pub only: Vec<String>,
    pub ignore: Vec<String>,
    pub quantizations: Vec<String>,
    pub sort: Option<Sort>,
    pub max_price: MaxPrice,
    /// Exactly one try.
    pub no_fallbacks: bool,
    pub require_parameters: bool,
    /// Nobody who may train on what they are sent.
    pub deny_data_collection: bool,
    /// Nobody who keeps what they are sent.
    pub zero_retention: bool,
}

impl Preferences {
    /// Reads the `provider` object of a request. What it does not know it ignores; what it knows must make sense,
    /// because a condition that is silently dropped is worse than none.
    ///
    /// # Errors
    /// 400 where a field has the wrong type.
    pub fn parse(value: Option<&Value>) -> Result<Preferences, ApiError> {
        let map = match value {
            None | Some(Value::Null) => return Ok(Preferences::default()),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(ApiError::invalid("provider is not an object.")),
        };
        let deny = match map.get("data_collection") {
            None | Some(Value::Null) => false,
            Some(Value::String(word)) if word == "allow" => false,
            Some(Value::String(word)) if word == "deny" => true,
            Some(_) => return Err(ApiError::invalid("provider.data_collection is neither allow nor deny.")),
        };
        Ok(Preferences {
            order: names(map, "order")?,
            only: names(map, "only")?,
            ignore: names(map, "ignore")?,
            quantizations: names(map, "quantizations")?,
            sort: sort(map)?,
            max_price: max_price(map)?,
            no_fallbacks: flag(map, "allow_fallbacks")? == Some(false),
            require_parameters: flag(map, "require_parameters")? == Some(true),
            deny_data_collection: deny,
            zero_retention: flag(map, "zdr")? == Some(true),
        })
    }
}

fn names(map: &Map<String, Value>, field: &'static str) -> Result<Vec<String>, ApiError> {
    let wrong = || ApiError::invalid(format!("provider.{field} is not an array of strings."));
    match map.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_ascii_lowercase).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn flag(map: &Map<String, Value>, field: &'static str) -> Result<Option<bool>, ApiError> {
    match map.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(ApiError::invalid(format!("provider.{field} is not true or false."))),
    }
}

fn sort(map: &Map<String, Value>) -> Result<Option<Sort>, ApiError> {
    let wrong = || ApiError::invalid("provider.sort is not price, throughput or latency.");
    let word = match map.get("sort") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => map.get("by"),
        word => word,
    };
    word.and_then(Value::as_str).and_then(Sort::parse).map(Some).ok_or_else(wrong)
}

fn max_price(map: &Map<String, Value>) -> Result<MaxPrice, ApiError> {
    let wrong = || ApiError::invalid("provider.max_price is not an object of prices.");
    let map = match map.get("max_price") {
        None | Some(Value::Null) => return Ok(MaxPrice::default()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(wrong()),
    };
    let price = |field: &str| match map.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => decimal(&number.to_string()).map(Some).ok_or_else(wrong),
        Some(Value::String(text)) => decimal(text).map(Some).ok_or_else(wrong),
        Some(_) => Err(wrong()),
    };
    Ok(MaxPrice {
        prompt: price("prompt")?,
        completion: price("completion")?,
        request: price("request")?,
        image: price("image")?,
    })
}

fn decimal(text: &str) -> Option<Decimal> {
    text.parse().ok().or_else(|| Decimal::from_scientific(text).ok())
}
