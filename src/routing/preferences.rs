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

/// The most that a caller wants to pay: dollars per million tokens, per request, per image, per million tokens of sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MaxPrice {
    pub prompt: Option<Decimal>,
    pub completion: Option<Decimal>,
    pub request: Option<Decimal>,
    pub image: Option<Decimal>,
    /// Of sound in the prompt.
    pub audio: Option<Decimal>,
}

/// How fast answers should be: of a hundred, at least so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cutoff {
    pub of_100: u64,
    /// Tokens in a thousand seconds, or milliseconds.
    pub at: u64,
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
    /// Slower endpoints are asked later: tokens in a thousand seconds. All must hold; empty: any.
    pub min_throughput: Vec<Cutoff>,
    /// And those that take longer to begin: milliseconds.
    pub max_latency: Vec<Cutoff>,
}

impl Preferences {
    /// Reads the `provider` object of a request. What it does not know it ignores; what it knows must make sense and be
    /// obeyed, because a condition that is silently dropped is worse than none.
    ///
    /// # Errors
    /// Where a field has the wrong type, is too long, or asks for what nobody here can tell.
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
        no_more(map)?;
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
            min_throughput: cutoffs(map, "preferred_min_throughput")?,
            max_latency: cutoffs(map, "preferred_max_latency")?,
        })
    }

    /// Takes out of a `provider` object what an earlier version passed over and this one refuses, so that what was stored
    /// then goes on meaning what it meant.
    pub fn forgive(map: &mut Map<String, Value>) {
        map.remove("options");
        map.remove("enforce_distillable_text");
        if let Some(Value::Object(prices)) = map.get_mut("max_price") {
            prices.retain(|name, _| PRICED.contains(&name.as_str()));
        }
        for field in ["preferred_min_throughput", "preferred_max_latency"] {
            if let Some(Value::Object(cutoffs)) = map.get_mut(field) {
                // Only the first of them was read.
                cutoffs.retain(|name, value| value.is_null() || cutoff(name, value).is_some());
            }
        }
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
        price.audio = price.audio.or(other.audio);
        self.allow_fallbacks = self.allow_fallbacks.or(defaults.allow_fallbacks);
        self.require_parameters = self.require_parameters.or(defaults.require_parameters);
        self.deny_data_collection = self.deny_data_collection.or(defaults.deny_data_collection);
        self.zero_retention = self.zero_retention.or(defaults.zero_retention);
        for (speed, default) in
            [(&mut self.min_throughput, &defaults.min_throughput), (&mut self.max_latency, &defaults.max_latency)]
        {
            if speed.is_empty() {
                speed.clone_from(default);
            }
        }
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

/// Conditions that are known elsewhere and that nothing here could be checked by.
fn no_more(map: &Map<String, Value>) -> Result<(), BadPreference> {
    if flag(map, "enforce_distillable_text")? == Some(true) {
        return Err(bad(
            "provider.enforce_distillable_text cannot be true: this catalog does not know which models allow it.",
        ));
    }
    match map.get("options") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(options)) if options.is_empty() => Ok(()),
        Some(_) => Err(bad(
            "provider.options is not read here. Put the fields into the request itself: what is not known is passed on to \
             the provider.",
        )),
    }
}

/// What a highest price can be of.
const PRICED: [&str; 5] = ["prompt", "completion", "request", "image", "audio"];
/// Of a hundred answers so many.
const PERCENTILES: [(&str, u64); 4] = [("p50", 50), ("p75", 75), ("p90", 90), ("p99", 99)];

fn max_price(map: &Map<String, Value>) -> Result<MaxPrice, BadPreference> {
    let map = match map.get("max_price") {
        None | Some(Value::Null) => return Ok(MaxPrice::default()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(bad("provider.max_price is not an object of prices.")),
    };
    if map.keys().any(|name| !PRICED.contains(&name.as_str())) {
        return Err(bad(format!("provider.max_price can have {} and nothing else.", PRICED.join(", "))));
    }
    let price = |field: &str| match map.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let price = decimal(value).map(Some);
            price.ok_or_else(|| bad(format!("provider.max_price.{field} is not a price in dollars.")))
        }
    };
    Ok(MaxPrice {
        prompt: price("prompt")?,
        completion: price("completion")?,
        request: price("request")?,
        image: price("image")?,
        audio: price("audio")?,
    })
}

/// One of them; `None` for an unknown percentile and for what is no number of its kind.
fn cutoff(name: &str, value: &Value) -> Option<Cutoff> {
    use rust_decimal::prelude::ToPrimitive;
    let (_, of_100) = PERCENTILES.into_iter().find(|(known, _)| *known == name)?;
    let number = decimal(value).filter(Decimal::is_sign_positive)?;
    let at = number.checked_mul(Decimal::ONE_THOUSAND).and_then(|number| number.to_u64())?;
    Some(Cutoff { of_100, at })
}

/// A number, which is for half of the answers, or an object that says for how many of a hundred. In thousandths.
fn cutoffs(map: &Map<String, Value>, field: &'static str) -> Result<Vec<Cutoff>, BadPreference> {
    let wrong = || bad(format!("provider.{field} is not a positive number, or an object of p50, p75, p90 and p99."));
    let cutoff = |name: &str, value: &Value| cutoff(name, value).ok_or_else(wrong);
    match map.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(map)) => {
            let given = map.iter().filter(|(_, value)| !value.is_null());
            let found = given.map(|(name, value)| cutoff(name, value)).collect::<Result<Vec<_>, _>>()?;
            if found.is_empty() { Err(wrong()) } else { Ok(found) }
        }
        Some(value) => Ok(vec![cutoff("p50", value)?]),
    }
}

/// A number, also as text. One that is too small for a decimal is zero.
fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let is_tiny = value.is_number() && text.contains("e-");
    let read = text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok());
    let number = read.or_else(|| is_tiny.then_some(Decimal::ZERO))?;
    Some(if number.is_zero() { Decimal::ZERO } else { number })
}
