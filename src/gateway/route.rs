//! Who may answer a call, and in which order they are asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::catalog::{Catalog, EndpointId, ListedModel, Offer, Price};

/// An endpoint that failed is asked last for so long.
const OUTAGE: Duration = Duration::from_secs(30);
/// Speed is measured over this many minutes.
const WINDOW_MINUTES: u64 = 5;
/// Endpoints of one call.
const MAX_CANDIDATES: usize = 32;

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

/// One endpoint that may answer. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    model: Arc<ListedModel>,
    index: usize,
}

impl Candidate {
    pub(super) fn new(model: Arc<ListedModel>, index: usize) -> Option<Candidate> {
        model.offers.get(index)?;
        Some(Candidate { model, index })
    }

    #[expect(clippy::indexing_slicing, reason = "the constructor has looked, and the list never changes")]
    pub(super) fn offer(&self) -> &Offer {
        &self.model.offers[self.index]
    }

    pub(super) fn model(&self) -> &str {
        self.model.model.slug.as_str()
    }

    pub(super) fn provider_slug(&self) -> &str {
        self.offer().provider.provider.slug.as_str()
    }
}

/// What a call asks of its route.
pub(super) struct Asked<'a> {
    pub models: &'a [String],
    pub preferences: &'a Preferences,
    /// The fields that the upstream will see; their names are the parameters in use.
    pub body: &'a Map<String, Value>,
    pub has_cap: bool,
}

/// The endpoints that may answer, in the order in which they are asked. `draw(n)` is a random number below `n`.
///
/// # Errors
/// 404 where no model is known or the conditions leave nobody; 503 where a model has no endpoint in use.
pub(super) fn candidates(
    catalog: &Catalog,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Result<Vec<Candidate>, ApiError> {
    let (mut found, mut known, mut served) = (Vec::new(), false, false);
    for name in asked.models {
        let Some((listed, variant)) = find(catalog, name) else { continue };
        known = true;
        served |= listed.is_open();
        found.extend(of_model(listed, variant, asked, health, now, draw));
    }
    if found.is_empty() {
        return Err(match (known, served) {
            (false, _) => ApiError::model_not_found(asked.models.first().map_or("", String::as_str)),
            (true, false) => ApiError::nobody_serves(),
            (true, true) => ApiError::no_allowed_provider(),
        });
    }
    found.truncate(if asked.preferences.no_fallbacks { 1 } else { MAX_CANDIDATES });
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Standard,
    Free,
    Sorted(Sort),
}

/// A model by its id, alias, or id with a variant behind a colon.
fn find<'a>(catalog: &'a Catalog, name: &str) -> Option<(&'a Arc<ListedModel>, Variant)> {
    let (base, variant) = match name.rsplit_once(':') {
        None => (name, Variant::Standard),
        Some((base, "free")) => (base, Variant::Free),
        Some((base, "nitro")) => (base, Variant::Sorted(Sort::Throughput)),
        Some((base, "floor")) => (base, Variant::Sorted(Sort::Price)),
        // Spellings of other routers that change nothing here.
        Some((base, "online" | "thinking" | "extended" | "exacto")) => (base, Variant::Standard),
        Some(_) => return None,
    };
    catalog.model(base).map(|listed| (listed, variant))
}

fn of_model(
    listed: &Arc<ListedModel>,
    variant: Variant,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    let allowed = |candidate: &Candidate| {
        let offer = candidate.offer();
        offer.provider.is_open() && is_allowed(offer, asked) && (variant != Variant::Free || is_free(&offer.endpoint.price))
    };
    let all = (0..listed.offers.len()).filter_map(|index| Candidate::new(Arc::clone(listed), index));
    let mut found: Vec<Candidate> = all.filter(allowed).collect();
    let with_tools = |candidate: &Candidate| supports(candidate.offer(), "tools");
    if uses_tools(asked.body) && found.iter().any(with_tools) {
        found.retain(with_tools);
    }
    let sort = match variant {
        Variant::Sorted(sort) => sort,
        _ => asked.preferences.sort.unwrap_or_default(),
    };
    if found.len() > 1 {
        found = order(found, sort, &asked.preferences.order, health, now, draw);
    }
    found
}

fn is_allowed(offer: &Offer, asked: &Asked<'_>) -> bool {
    let preferences = asked.preferences;
    let provider = &offer.provider.provider;
    let named = |names: &[String]| names.iter().any(|name| is_named(offer, name));
    let endpoint = &offer.endpoint;
    let quantization = endpoint.quantization.as_deref().unwrap_or("unknown");
    (preferences.only.is_empty() || named(&preferences.only))
        && !named(&preferences.ignore)
        && !(preferences.deny_data_collection && provider.trains_on_inputs)
        && !(preferences.zero_retention && provider.retains_logs)
        && (preferences.quantizations.is_empty() || preferences.quantizations.iter().any(|name| name == quantization))
        && is_within(&endpoint.price, &preferences.max_price)
        && (!preferences.require_parameters || parameters(asked).all(|name| supports(offer, name)))
}

/// By slug, or by name as some clients send it.
fn is_named(offer: &Offer, name: &str) -> bool {
    let provider = &offer.provider.provider;
    provider.slug.as_str() == name || provider.name.eq_ignore_ascii_case(name)
}

fn is_within(price: &Price, max: &MaxPrice) -> bool {
    let fits = |price: Decimal, max: Option<Decimal>| max.is_none_or(|max| price <= max);
    fits(price.prompt.per_million(), max.prompt)
        && fits(price.completion.per_million(), max.completion)
        && fits(price.request.unwrap_or_default().amount(), max.request)
        && fits(price.image.unwrap_or_default().amount(), max.image)
}

fn is_free(price: &Price) -> bool {
    let parts = [Some(price.prompt), Some(price.completion), price.request, price.image];
    parts.into_iter().flatten().all(|part| part.is_zero())
}

fn supports(offer: &Offer, parameter: &str) -> bool {
    offer.endpoint.supported_parameters.iter().any(|known| known == parameter)
}

fn uses_tools(body: &Map<String, Value>) -> bool {
    body.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty())
}

/// The parameters in use, in the catalog's words.
fn parameters<'a>(asked: &'a Asked<'_>) -> impl Iterator<Item = &'a str> {
    let cap = asked.has_cap.then_some("max_tokens");
    let used = asked.body.iter().filter(|(_, value)| !value.is_null()).filter_map(|(name, _)| match name.as_str() {
        "messages" | "user" | "metadata" | "n" | "store" | "service_tier" | "prompt_cache_key" => None,
        "reasoning_effort" => Some("reasoning"),
        "functions" => Some("tools"),
        "function_call" => Some("tool_choice"),
        name => Some(name),
    });
    cap.into_iter().chain(used)
}

/// Named ones first as named, then the healthy ones as sorted, then those that failed a moment ago.
fn order(
    found: Vec<Candidate>,
    sort: Sort,
    named: &[String],
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    let position = |candidate: &Candidate| named.iter().position(|name| is_named(candidate.offer(), name));
    let (mut first, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|candidate| position(candidate).is_some());
    first.sort_by_key(|candidate| position(candidate));
    let (well, ill): (Vec<_>, Vec<_>) = rest.into_iter().partition(|candidate| health.is_well(candidate.offer().id, now));
    for group in [well, ill] {
        first.extend(sorted(group, sort, health, now, draw));
    }
    first
}

fn sorted(
    mut group: Vec<Candidate>,
    sort: Sort,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    match sort {
        Sort::Balanced => return balanced(group, draw),
        Sort::Price => group.sort_by_key(|candidate| weight_price(&candidate.offer().endpoint.price)),
        // Who was not measured comes after who was; the catalog's order, cheapest first, decides among equals.
        Sort::Throughput => {
            group.sort_by_key(|candidate| std::cmp::Reverse(health.speed(candidate.offer().id, now).map(|s| s.tokens_per_1000s)));
        }
        Sort::Latency => group.sort_by_key(|candidate| {
            health.speed(candidate.offer().id, now).map_or(u64::MAX, |speed| speed.first_token_ms)
        }),
    }
    group
}

/// Draws without putting back, each with a chance by the inverse square of its price.
fn balanced(mut group: Vec<Candidate>, draw: &mut dyn FnMut(u64) -> u64) -> Vec<Candidate> {
    let mut out = Vec::with_capacity(group.len());
    while group.len() > 1 {
        let weights = weights(&group);
        let mut ticket = draw(weights.iter().sum::<u64>().max(1));
        let chosen = weights.iter().position(|weight| {
            let hit = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            hit
        });
        out.push(group.remove(chosen.unwrap_or(0)));
    }
    out.extend(group);
    out
}

/// Whole numbers: the cheapest has a million, one at ten times its price ten thousand.
fn weights(group: &[Candidate]) -> Vec<u64> {
    const SCALE: u64 = 1_000;
    let prices: Vec<Decimal> = group.iter().map(|candidate| weight_price(&candidate.offer().endpoint.price)).collect();
    let cheapest = prices.iter().min().copied().unwrap_or_default();
    let ratio = |price: Decimal| {
        if price == cheapest {
            return SCALE;
        }
        (cheapest * Decimal::from(SCALE)).checked_div(price).and_then(|ratio| ratio.to_u64()).unwrap_or(0)
    };
    prices.into_iter().map(|price| ratio(price).pow(2).max(1)).collect()
}

/// One number for a price. A flat price per call stands for a thousand tokens of each kind.
fn weight_price(price: &Price) -> Decimal {
    price.prompt.amount() + price.completion.amount() + price.request.unwrap_or_default().amount() / Decimal::ONE_THOUSAND
}

/// How endpoints did of late, as seen by this process.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    seen: Mutex<HashMap<EndpointId, Seen>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    failed_at: Option<Instant>,
    minutes: [Minute; WINDOW_MINUTES as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    calls: u64,
    first_token_ms: u64,
    tokens: u64,
    writing_ms: u64,
}

/// Averages over the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Speed {
    pub first_token_ms: u64,
    /// Tokens in a thousand seconds, so that a slow endpoint is still a whole number.
    pub tokens_per_1000s: u64,
}

impl Health {
    #[must_use]
    pub fn new(now: Instant) -> Health {
        Health { started: now, seen: Mutex::default() }
    }

    /// An endpoint did not answer as it should.
    pub fn failed(&self, endpoint: EndpointId, now: Instant) {
        self.with(endpoint, |seen| seen.failed_at = Some(now));
    }

    /// An endpoint answered. `writing_ms` is the time from the first token to the last.
    pub fn answered(&self, endpoint: EndpointId, now: Instant, first_token_ms: u64, writing_ms: u64, tokens: u64) {
        let number = self.minute(now);
        self.with(endpoint, |seen| {
            seen.failed_at = None;
            let slot = usize::try_from(number % WINDOW_MINUTES).unwrap_or(0);
            if let Some(minute) = seen.minutes.get_mut(slot) {
                if minute.number != number {
                    *minute = Minute { number, ..Minute::default() };
                }
                minute.calls += 1;
                minute.first_token_ms += first_token_ms;
                minute.tokens += tokens;
                minute.writing_ms += writing_ms;
            }
        });
    }

    #[must_use]
    pub fn is_well(&self, endpoint: EndpointId, now: Instant) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = seen.get(&endpoint).and_then(|seen| seen.failed_at);
        failed.is_none_or(|failed| now.saturating_duration_since(failed) > OUTAGE)
    }

    /// `None` where nothing was measured in the window.
    #[must_use]
    pub fn speed(&self, endpoint: EndpointId, now: Instant) -> Option<Speed> {
        let newest = self.minute(now);
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint)?;
        let recent = seen.minutes.into_iter().filter(|minute| minute.calls > 0 && minute.number + WINDOW_MINUTES > newest);
        let sum = recent.fold(Minute::default(), |sum, minute| Minute {
            number: 0,
            calls: sum.calls + minute.calls,
            first_token_ms: sum.first_token_ms + minute.first_token_ms,
            tokens: sum.tokens + minute.tokens,
            writing_ms: sum.writing_ms + minute.writing_ms,
        });
        (sum.calls > 0).then(|| Speed {
            first_token_ms: sum.first_token_ms / sum.calls,
            tokens_per_1000s: sum.tokens.saturating_mul(1_000_000) / sum.writing_ms.max(1),
        })
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() / 60
    }

    fn with(&self, endpoint: EndpointId, change: impl FnOnce(&mut Seen)) {
        change(self.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(endpoint).or_default());
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
pub(super) mod tests;
