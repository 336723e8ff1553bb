//! A caller's conditions on who answers.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

/// Names in one list. A list of everybody is shorter.
const MAX_NAMES: usize = 200;

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
    pub const ALL: [Sort; 4] = [Sort::Balanced, Sort::Price, Sort::Throughput, Sort::Latency];

    /// `None` for a word that is no order.
    #[must_use]
    pub fn parse(word: &str) -> Option<Sort> {
        // Another router's word for what tool calls need most.
        let word = if word == "exacto" { "throughput" } else { word };
        Sort::ALL.into_iter().find(|sort| sort.as_str() == word)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Sort::Balanced => "balanced",
            Sort::Price => "price",
            Sort::Throughput => "throughput",
            Sort::Latency => "latency",
        }
    }
}

/// Why conditions make no sense; says which field and what it must be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadPreference(pub String);

/// The most that a caller wants to pay: dollars per million tokens, per request, per image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MaxPrice {
    pub prompt: Option<Decimal>,
    pub completion: Option<Decimal>,
    pub request: Option<Decimal>,
    pub image: Option<Decimal>,
}

/// Conditions on who answers. The default has none; `None` leaves a question to whoever decides next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    pub order: Vec<String>,
    /// Empty: all.
    pub only: Vec<String>,
    pub ignore: Vec<String>,
    pub quantizations: Vec<String>,
    pub sort: Option<Sort>,
    /// The sort counts across all named models.
    pub across_models: bool,
    pub max_price: MaxPrice,
    /// `false`: exactly one try.
    pub allow_fallbacks: Option<bool>,
    pub require_parameters: Option<bool>,
    /// Nobody who may train on what they are sent.
    pub deny_data_collection: Option<bool>,
    /// Nobody who keeps what they are sent.
    pub zero_retention: Option<bool>,
    /// Slower endpoints are asked later: tokens in a thousand seconds.
    pub min_throughput: Option<u64>,
    /// And those that take longer to begin: milliseconds.
    pub max_latency: Option<u64>,
}

impl Preferences {
    /// Reads the `provider` object of a request. What it does not know it ignores; what it knows must make sense,
    /// because a condition that is silently dropped is worse than none.
    ///
    /// # Errors
    /// Where a field has the wrong type, or is too long.
    pub fn parse(value: Option<&Value>) -> Result<Preferences, BadPreference> {
        let map = match value {
            None | Some(Value::Null) => return Ok(Preferences::default()),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(bad("provider is not an object.")),
        };
        let deny = match map.get("data_collection") {
            None | Some(Value::Null) => None,
            Some(Value::String(word)) if word == "allow" => Some(false),
            Some(Value::String(word)) if word == "deny" => Some(true),
            Some(_) => return Err(bad("provider.data_collection is neither allow nor deny.")),
        };
        let (sort, across_models) = sort(map)?;
        Ok(Preferences {
            order: names(map, "order")?,
            only: names(map, "only")?,
            ignore: names(map, "ignore")?,
            quantizations: names(map, "quantizations")?,
            sort,
            across_models,
            max_price: max_price(map)?,
            allow_fallbacks: flag(map, "allow_fallbacks")?,
            require_parameters: flag(map, "require_parameters")?,
            deny_data_collection: deny,
            zero_retention: flag(map, "zdr")?,
            min_throughput: thousandths(map, "preferred_min_throughput")?,
            max_latency: thousandths(map, "preferred_max_latency")?,
        })
    }

    /// These conditions, and `defaults` where they say nothing. Lists of whom to ignore add up.
    #[must_use]
    pub fn or(mut self, defaults: &Preferences) -> Preferences {
        for (list, default) in [
            (&mut self.order, &defaults.order),
            (&mut self.only, &defaults.only),
            (&mut self.quantizations, &defaults.quantizations),
        ] {
            if list.is_empty() {
                list.clone_from(default);
            }
        }
        self.ignore.extend(defaults.ignore.iter().cloned());
        if self.sort.is_none() {
            (self.sort, self.across_models) = (defaults.sort, defaults.across_models);
        }
        let (price, other) = (&mut self.max_price, &defaults.max_price);
        price.prompt = price.prompt.or(other.prompt);
        price.completion = price.completion.or(other.completion);
        price.request = price.request.or(other.request);
        price.image = price.image.or(other.image);
        self.allow_fallbacks = self.allow_fallbacks.or(defaults.allow_fallbacks);
        self.require_parameters = self.require_parameters.or(defaults.require_parameters);
        self.deny_data_collection = self.deny_data_collection.or(defaults.deny_data_collection);
        self.zero_retention = self.zero_retention.or(defaults.zero_retention);
        self.min_throughput = self.min_throughput.or(defaults.min_throughput);
        self.max_latency = self.max_latency.or(defaults.max_latency);
        self
    }

    /// Whether exactly one endpoint may be tried.
    #[must_use]
    pub fn one_try(&self) -> bool {
        self.allow_fallbacks == Some(false)
    }
}

fn bad(text: impl Into<String>) -> BadPreference {
    BadPreference(text.into())
}

fn names(map: &Map<String, Value>, field: &'static str) -> Result<Vec<String>, BadPreference> {
    let wrong = || bad(format!("provider.{field} is not an array of strings."));
    match map.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() > MAX_NAMES => {
            Err(bad(format!("provider.{field} has more than {MAX_NAMES} names.")))
        }
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_ascii_lowercase).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn flag(map: &Map<String, Value>, field: &'static str) -> Result<Option<bool>, BadPreference> {
    match map.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(bad(format!("provider.{field} is not true or false."))),
    }
}

/// A word, or an object that also says whether the models are kept apart.
fn sort(map: &Map<String, Value>) -> Result<(Option<Sort>, bool), BadPreference> {
    let wrong = || bad("provider.sort is not balanced, price, throughput or latency.");
    let (word, apart) = match map.get("sort") {
        None | Some(Value::Null) => return Ok((None, false)),
        Some(Value::Object(map)) => (map.get("by"), map.get("partition")),
        word => (word, None),
    };
    let across = match apart.map(Value::as_str) {
        None | Some(Some("model")) => false,
        Some(Some("none")) => true,
        Some(_) => return Err(bad("provider.sort.partition is neither model nor none.")),
    };
    let sort = word.and_then(Value::as_str).and_then(Sort::parse).ok_or_else(wrong)?;
    Ok((Some(sort), across))
}

fn max_price(map: &Map<String, Value>) -> Result<MaxPrice, BadPreference> {
    let wrong = || bad("provider.max_price is not an object of prices.");
    let map = match map.get("max_price") {
        None | Some(Value::Null) => return Ok(MaxPrice::default()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(wrong()),
    };
    let price = |field: &str| match map.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => decimal(value).map(Some).ok_or_else(wrong),
    };
    Ok(MaxPrice {
        prompt: price("prompt")?,
        completion: price("completion")?,
        request: price("request")?,
        image: price("image")?,
    })
}

/// A number, or an object of percentiles of which the first counts: here only averages are kept. In thousandths.
fn thousandths(map: &Map<String, Value>, field: &'static str) -> Result<Option<u64>, BadPreference> {
    use rust_decimal::prelude::ToPrimitive;
    let wrong = || bad(format!("provider.{field} is not a positive number, or an object of such."));
    let value = match map.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => ["p50", "p75", "p90", "p99"].into_iter().find_map(|name| map.get(name)),
        value => value,
    };
    let number = value.and_then(decimal).filter(Decimal::is_sign_positive).ok_or_else(wrong)?;
    number.checked_mul(Decimal::ONE_THOUSAND).and_then(|number| number.to_u64()).map(Some).ok_or_else(wrong)
}

/// A number, also as text.
fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}
