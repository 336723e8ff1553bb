//! Who may answer a call.

use std::sync::Arc;
use std::time::Instant;

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::order::order;
use super::preferences::MaxPrice;
use super::{Health, Mode, OwnKey, Policy, Preferences, Sort, Why};
use crate::base::Usd;
use crate::catalog::{Catalog, EndpointId, ListedModel, Modality, Offer};

/// Endpoints of one call.
const MAX_CANDIDATES: usize = 32;

/// One endpoint that may answer. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Candidate {
    model: Arc<ListedModel>,
    index: usize,
    /// With a key of the organization's own instead of the operator's.
    own: Option<Arc<OwnKey>>,
}

impl Candidate {
    /// `None` where the model has no such offer.
    #[must_use]
    pub fn new(model: Arc<ListedModel>, index: usize) -> Option<Candidate> {
        model.offers.get(index)?;
        Some(Candidate { model, index, own: None })
    }

    /// The key of the organization's own with which it is asked.
    #[must_use]
    pub fn own(&self) -> Option<&OwnKey> {
        self.own.as_deref()
    }

    pub(super) fn is_last_resort(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.mode == Mode::Fallback)
    }

    /// What a call at this list price is charged here, before any allowance. US dollars.
    #[must_use]
    pub fn charge(&self, list: Usd) -> Usd {
        self.own().map_or(list, |own| Usd::new(list.amount() * own.fee.rate))
    }

    #[expect(clippy::indexing_slicing, reason = "the constructor has looked, and the list never changes")]
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.model.offers[self.index]
    }

    /// Where its offer stands in the model's list.
    #[must_use]
    pub fn place(&self) -> usize {
        self.index
    }

    #[must_use]
    pub fn model(&self) -> &str {
        self.model.model.slug.as_str()
    }

    #[must_use]
    pub fn provider_slug(&self) -> &str {
        self.offer().provider.provider.slug.as_str()
    }
}

/// What a call asks of its route.
pub struct Asked<'a> {
    pub models: &'a [String],
    /// Those of the call, with what its presets add.
    pub preferences: &'a Preferences,
    pub policy: &'a Policy,
    /// The fields that the upstream will see; their names are the parameters in use.
    pub body: &'a Map<String, Value>,
    pub has_cap: bool,
    /// Who answered this conversation a moment ago, and has the beginning of it in its cache.
    pub last: Option<EndpointId>,
}

impl Asked<'_> {
    /// How endpoints are sorted where the variant of the model does not say.
    pub(super) fn sort(&self) -> Option<Sort> {
        self.preferences.sort.or(self.policy.sort)
    }
}

/// Why a call has nobody to go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoRoute {
    /// No such model; its name as it was asked for.
    Unknown(String),
    /// The model has no endpoint in use.
    NobodyServes,
    /// The conditions leave nobody, and why: each provider of the named models.
    NobodyAllowed(Vec<(String, Why)>),
}

/// The endpoints that may answer, in the order in which they are asked. `draw(n)` is a random number below `n`.
///
/// # Errors
/// See [`NoRoute`].
pub fn candidates(
    catalog: &Catalog,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Result<Vec<Candidate>, NoRoute> {
    let models: Vec<_> = asked.models.iter().filter_map(|name| find(catalog, name)).collect();
    let mut found = pooled(models.clone(), asked, health, now, draw);
    if found.is_empty() {
        return Err(nobody(asked, models));
    }
    found.truncate(if asked.preferences.one_try() { 1 } else { MAX_CANDIDATES });
    Ok(found)
}

/// The endpoints of several models, one model after the other unless the sort counts across them.
pub(super) fn pooled(
    models: Vec<(&Arc<ListedModel>, Variant)>,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    if asked.preferences.across_models {
        let pool = models.into_iter().flat_map(|(listed, variant)| allowed(listed, variant, asked)).collect();
        return order(pool, asked.sort().unwrap_or_default(), asked, health, now, draw);
    }
    let mut found = Vec::new();
    for (listed, variant) in models {
        found.extend(of_model(listed, variant, asked, health, now, draw));
    }
    found
}

fn nobody(asked: &Asked<'_>, models: Vec<(&Arc<ListedModel>, Variant)>) -> NoRoute {
    let (mut known, mut served, mut why) = (false, false, Vec::new());
    for (listed, variant) in models {
        known = true;
        served |= listed.is_open() || every(listed, asked).any(|candidate| candidate.own.is_some());
        why.extend(
            left_out(listed, variant, asked)
                .into_iter()
                .map(|(candidate, why)| (candidate.provider_slug().to_owned(), why)),
        );
    }
    match (known, served) {
        (false, _) => NoRoute::Unknown(asked.models.first().cloned().unwrap_or_default()),
        (true, false) => NoRoute::NobodyServes,
        (true, true) => NoRoute::NobodyAllowed(why),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Standard,
    Free,
    Sorted(Sort),
}

/// A model by its id, alias, or id with a variant behind a colon.
pub(super) fn find<'a>(catalog: &'a Catalog, name: &str) -> Option<(&'a Arc<ListedModel>, Variant)> {
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

/// The model that a name in a request means, also an alias or one with a variant behind a colon.
#[must_use]
pub fn model_of<'a>(catalog: &'a Catalog, name: &str) -> Option<&'a Arc<ListedModel>> {
    find(catalog, name).map(|(listed, _)| listed)
}

pub(super) fn of_model(
    listed: &Arc<ListedModel>,
    variant: Variant,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    order(allowed(listed, variant, asked), sort_of(variant, asked), asked, health, now, draw)
}

pub(super) fn sort_of(variant: Variant, asked: &Asked<'_>) -> Sort {
    match variant {
        Variant::Sorted(sort) => sort,
        Variant::Standard | Variant::Free => asked.sort().unwrap_or_default(),
    }
}

/// The endpoints of a model that may answer, cheapest first.
pub(super) fn allowed(listed: &Arc<ListedModel>, variant: Variant, asked: &Asked<'_>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> =
        every(listed, asked).filter(|candidate| refusal(candidate, variant, asked).is_none()).collect();
    if uses_tools(asked.body) && found.iter().any(knows_tools) {
        found.retain(knows_tools);
    }
    found
}

/// Who may answer a call to a model that asks for nothing else, cheapest first. Where there is nobody, such a call is refused.
#[must_use]
pub fn who_may(listed: &Arc<ListedModel>, policy: &Policy) -> Vec<Candidate> {
    let (preferences, body) = (Preferences::default(), Map::new());
    let asked = Asked { models: &[], preferences: &preferences, policy, body: &body, has_cap: false, last: None };
    allowed(listed, Variant::Standard, &asked)
}

/// The other endpoints of a model, and the first condition that leaves each out.
pub(super) fn left_out(listed: &Arc<ListedModel>, variant: Variant, asked: &Asked<'_>) -> Vec<(Candidate, Why)> {
    let may = allowed(listed, variant, asked);
    let others = every(listed, asked)
        .filter(|candidate| candidate.own.is_none() && !may.iter().any(|other| other.index == candidate.index));
    let why = |candidate: Candidate| {
        let why = refusal(&candidate, variant, asked).unwrap_or(Why::NoTools);
        (candidate, why)
    };
    others.map(why).collect()
}

/// On the operator's account, and on the organization's own where it has one.
fn every(listed: &Arc<ListedModel>, asked: &Asked<'_>) -> impl Iterator<Item = Candidate> {
    let shared = (0..listed.offers.len()).filter_map(|index| Candidate::new(Arc::clone(listed), index));
    shared.flat_map(|shared| {
        let own = own_of(&shared, asked).map(|own| Candidate { own: Some(Arc::clone(own)), ..shared.clone() });
        own.into_iter().chain([shared])
    })
}

fn own_of<'a>(candidate: &Candidate, asked: &Asked<'a>) -> Option<&'a Arc<OwnKey>> {
    let own = &asked.policy.own;
    if own.usable.is_empty() {
        return None;
    }
    let base_url = candidate.offer().provider.provider.base_url.as_deref();
    own.of(candidate.provider_slug(), candidate.model(), base_url)
}

fn refusal(candidate: &Candidate, variant: Variant, asked: &Asked<'_>) -> Option<Why> {
    let offer = candidate.offer();
    let shared = candidate.own.is_none();
    let (preferences, policy) = (asked.preferences, asked.policy);
    let privacy = policy.privacy;
    let (provider, endpoint) = (&offer.provider.provider, &offer.endpoint);
    let named = |names: &[String]| names.iter().any(|name| is_named(offer, name));
    let quantization = endpoint.quantization.as_deref().unwrap_or("unknown");
    let wanted = &preferences.quantizations;
    let trains = |forbidden: bool| forbidden && provider.trains_on_inputs;
    let rules = [
        (shared && policy.own.is_alone(candidate.provider_slug()), Why::OwnAlone),
        (shared && !offer.provider.is_open(), Why::NoKey),
        (named(&policy.ignored), Why::Ignored),
        (policy.limits(preferences) && !named(&policy.allowed), Why::NotAllowed),
        (!preferences.only.is_empty() && !named(&preferences.only), Why::NotNamed),
        (named(&preferences.ignore), Why::Refused),
        (preferences.one_try() && !preferences.order.is_empty() && !named(&preferences.order), Why::NoFallback),
        (preferences.deny_data_collection == Some(true) && provider.trains_on_inputs, Why::Trains),
        (preferences.zero_retention == Some(true) && provider.retains_logs, Why::Retains),
        (privacy.zero_retention && provider.retains_logs, Why::NoRetention),
        (trains(privacy.no_paid_training) && !endpoint.price.is_free(), Why::NoTraining { free: false }),
        (trains(privacy.no_free_training) && endpoint.price.is_free(), Why::NoTraining { free: true }),
        (!wanted.is_empty() && !wanted.iter().any(|name| name == quantization), Why::Quantization),
        (!is_within(candidate, &preferences.max_price), Why::Price),
        (variant == Variant::Free && !endpoint.price.is_free(), Why::NotFree),
    ];
    let broken = rules.into_iter().find_map(|(broken, why)| broken.then_some(why));
    broken.or_else(|| {
        (preferences.require_parameters == Some(true))
            .then(|| parameters(asked).filter(|name| !supports(offer, name)).map(str::to_owned).collect::<Vec<_>>())
            .filter(|unknown| !unknown.is_empty())
            .map(Why::Parameters)
    })
}

/// By slug, or by name as some clients send it. `slug/fp8` means the endpoints of that quantization.
pub(super) fn is_named(offer: &Offer, name: &str) -> bool {
    let provider = &offer.provider.provider;
    let (base, variant) = name.split_once('/').map_or((name, None), |(base, variant)| (base, Some(variant)));
    let is_variant =
        |wanted: &str| offer.endpoint.quantization.as_deref().is_some_and(|q| q.eq_ignore_ascii_case(wanted));
    (provider.slug.as_str() == base && variant.is_none_or(is_variant)) || provider.name.eq_ignore_ascii_case(name)
}

fn is_within(candidate: &Candidate, max: &MaxPrice) -> bool {
    let price = &candidate.offer().endpoint.price;
    let fits = |price: Decimal, max: Option<Decimal>| max.is_none_or(|max| price <= max);
    // Sound costs as text does where it has no price of its own, and nothing where it cannot be sent.
    let hears = candidate.model.model.input_modalities.contains(&Modality::Audio);
    let audio = price.audio.or(hears.then_some(price.prompt)).unwrap_or_default();
    fits(price.prompt.per_million(), max.prompt)
        && fits(price.completion.per_million(), max.completion)
        && fits(price.request.unwrap_or_default().amount(), max.request)
        && fits(price.image.unwrap_or_default().amount(), max.image)
        && fits(audio.per_million(), max.audio)
}

fn supports(offer: &Offer, parameter: &str) -> bool {
    offer.endpoint.supported_parameters.iter().any(|known| known == parameter)
}

fn knows_tools(candidate: &Candidate) -> bool {
    supports(candidate.offer(), "tools")
}

fn uses_tools(body: &Map<String, Value>) -> bool {
    body.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty())
}

/// The parameters in use, in the catalog's words.
fn parameters<'a>(asked: &'a Asked<'_>) -> impl Iterator<Item = &'a str> {
    let cap = asked.has_cap.then_some("max_tokens");
    let used = asked.body.iter().filter(|(_, value)| !value.is_null()).filter_map(|(name, _)| match name.as_str() {
        "input" | "dimensions" | "query" | "documents" | "top_n" | "encoding_format" | "input_type" => None,
        "messages" | "user" | "metadata" | "n" | "store" | "service_tier" | "prompt_cache_key" => None,
        // Wishes that are no conditions.
        "cache_control" | "prompt_cache_retention" => None,
        "reasoning_effort" => Some("reasoning"),
        "functions" => Some("tools"),
        "function_call" => Some("tool_choice"),
        name => Some(name),
    });
    cap.into_iter().chain(used)
}
