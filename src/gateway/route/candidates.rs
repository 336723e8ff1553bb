//! Who may answer a call.

use std::sync::Arc;
use std::time::Instant;

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::order::order;
use super::preferences::MaxPrice;
use super::{Health, Preferences, Sort};
use crate::catalog::{Catalog, ListedModel, Offer, Price};
use crate::gateway::error::ApiError;
use crate::keys::Models;

/// Endpoints of one call.
const MAX_CANDIDATES: usize = 32;

/// One endpoint that may answer. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    model: Arc<ListedModel>,
    index: usize,
}

impl Candidate {
    pub(crate) fn new(model: Arc<ListedModel>, index: usize) -> Option<Candidate> {
        model.offers.get(index)?;
        Some(Candidate { model, index })
    }

    #[expect(clippy::indexing_slicing, reason = "the constructor has looked, and the list never changes")]
    pub(crate) fn offer(&self) -> &Offer {
        &self.model.offers[self.index]
    }

    pub(crate) fn model(&self) -> &str {
        self.model.model.slug.as_str()
    }

    pub(crate) fn provider_slug(&self) -> &str {
        self.offer().provider.provider.slug.as_str()
    }
}

/// What a call asks of its route.
pub(crate) struct Asked<'a> {
    pub models: &'a [String],
    pub preferences: &'a Preferences,
    /// The fields that the upstream will see; their names are the parameters in use.
    pub body: &'a Map<String, Value>,
    pub has_cap: bool,
    /// The only models that the key may call; `None`: any.
    pub allowed: Option<&'a Models>,
}

/// The endpoints that may answer, in the order in which they are asked. `draw(n)` is a random number below `n`.
///
/// # Errors
/// 403 where the key may call none of the models; 404 where no model is known or the conditions leave nobody; 503 where a model has no endpoint in use.
pub(crate) fn candidates(
    catalog: &Catalog,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Result<Vec<Candidate>, ApiError> {
    let (mut found, mut known, mut served) = (Vec::new(), false, false);
    let mut barred = None;
    for name in asked.models {
        let Some((listed, variant)) = find(catalog, name) else { continue };
        if asked.allowed.is_some_and(|allowed| !allowed.allow(listed.model.slug.as_str())) {
            barred = barred.or(Some(name));
            continue;
        }
        known = true;
        served |= listed.is_open();
        found.extend(of_model(listed, variant, asked, health, now, draw));
    }
    if found.is_empty() {
        return Err(match (known, served) {
            (false, _) if barred.is_some() => ApiError::model_not_allowed(barred.map_or("", String::as_str)),
            (false, _) => ApiError::model_not_found(asked.models.first().map_or("", String::as_str)),
            (true, false) => ApiError::nobody_serves(),
            (true, true) => ApiError::no_allowed_provider(),
        });
    }
    found.truncate(if asked.preferences.no_fallbacks { 1 } else { MAX_CANDIDATES });
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
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

pub(super) fn of_model(
    listed: &Arc<ListedModel>,
    variant: Variant,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    let allowed = |candidate: &Candidate| {
        let offer = candidate.offer();
        offer.provider.is_open()
            && is_allowed(offer, asked)
            && (variant != Variant::Free || is_free(&offer.endpoint.price))
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
pub(super) fn is_named(offer: &Offer, name: &str) -> bool {
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
