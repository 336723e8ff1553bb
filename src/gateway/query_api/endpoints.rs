//! Where models run, and how it goes there.

use serde::Serialize;
use utoipa::ToSchema;

use super::models::{Architecture, Pricing};
use super::seen::Seen;
use crate::catalog::{Catalog, Endpoint, ListedModel, Offer};
use crate::routing::Percentiles;

/// The answer of `GET /models/{author}/{slug}/endpoints`.
#[derive(Serialize, ToSchema)]
pub struct EndpointsBody {
    pub data: ModelEndpoints,
}

#[derive(Serialize, ToSchema)]
pub struct ModelEndpoints {
    pub id: String,
    pub name: String,
    pub created: i64,
    pub description: String,
    pub architecture: Architecture,
    /// The cheapest first.
    pub endpoints: Vec<EndpointInfo>,
}

/// A model at one provider.
#[derive(Serialize, ToSchema)]
pub struct EndpointInfo {
    pub name: String,
    pub model_id: String,
    pub model_name: String,
    pub provider_name: String,
    /// The provider's slug, for `provider.order` and the like.
    pub tag: String,
    pub context_length: u32,
    pub max_prompt_tokens: Option<u32>,
    pub max_completion_tokens: Option<u32>,
    pub pricing: Pricing,
    pub quantization: Option<String>,
    pub supported_parameters: Vec<String>,
    pub supports_implicit_caching: bool,
    /// Which values of `tool_choice` are understood: all of them where the parameter is.
    pub supports_tool_choice: ToolChoiceSupport,
    pub supports_voice_cloning: bool,
    /// 0: in use.
    pub status: i32,
    /// Per cent of the calls that were answered, on all nodes; `null` where none was made. The day is that of the pages.
    pub uptime_last_5m: Option<f64>,
    pub uptime_last_30m: Option<f64>,
    pub uptime_last_1d: Option<f64>,
    /// Milliseconds to the first token of streams, to within a sixteenth.
    pub latency_last_30m: Option<PercentileStats>,
    /// Tokens a second, to within a sixteenth.
    pub throughput_last_30m: Option<PercentileStats>,
}

#[derive(Serialize, ToSchema)]
pub struct ToolChoiceSupport {
    pub auto: bool,
    pub function: bool,
    pub none: bool,
    pub required: bool,
}

impl ToolChoiceSupport {
    fn of(endpoint: &Endpoint) -> ToolChoiceSupport {
        let knows = endpoint.supported_parameters.iter().any(|name| name == "tool_choice");
        ToolChoiceSupport { auto: knows, function: knows, none: knows, required: knows }
    }
}

/// Half of the answers were below the first, and so on.
#[derive(Serialize, ToSchema)]
pub struct PercentileStats {
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p99: f64,
}

impl PercentileStats {
    /// In units of which each sample has so many.
    fn of(samples: Percentiles, parts: u32) -> PercentileStats {
        let share = |sample: u64| f64::from(u32::try_from(sample).unwrap_or(u32::MAX)) / f64::from(parts);
        PercentileStats {
            p50: share(samples.p50),
            p75: share(samples.p75),
            p90: share(samples.p90),
            p99: share(samples.p99),
        }
    }
}

impl EndpointsBody {
    pub fn of<'a>(listed: &ListedModel, offers: impl Iterator<Item = &'a Offer>, seen: &Seen) -> EndpointsBody {
        let model = &listed.model;
        EndpointsBody {
            data: ModelEndpoints {
                id: model.slug.to_string(),
                name: model.name.clone(),
                created: model.created,
                description: model.description.clone(),
                architecture: Architecture::of(listed),
                endpoints: offers.map(|offer| EndpointInfo::of(listed, offer, seen)).collect(),
            },
        }
    }
}

impl EndpointInfo {
    fn of(listed: &ListedModel, offer: &Offer, seen: &Seen) -> EndpointInfo {
        let (recent, day) = (seen.recent(offer.id), seen.day(offer.id));
        let per_cent =
            |thousandths: Option<u64>| thousandths.map(|share| f64::from(u32::try_from(share).unwrap_or(1_000)) / 10.0);
        let provider = &offer.provider.provider;
        let endpoint = &offer.endpoint;
        EndpointInfo {
            name: format!("{} | {}", provider.name, listed.model.slug),
            model_id: listed.model.slug.to_string(),
            model_name: listed.model.name.clone(),
            provider_name: provider.name.clone(),
            tag: provider.slug.to_string(),
            context_length: endpoint.context_length,
            max_prompt_tokens: None,
            max_completion_tokens: endpoint.max_output,
            pricing: Pricing::of(&endpoint.price),
            quantization: endpoint.quantization.clone(),
            supported_parameters: endpoint.supported_parameters.clone(),
            supports_implicit_caching: endpoint.price.cache_read.is_some(),
            supports_tool_choice: ToolChoiceSupport::of(endpoint),
            supports_voice_cloning: false,
            status: 0,
            uptime_last_5m: per_cent(recent.well_5m),
            uptime_last_30m: per_cent(recent.well_30m),
            uptime_last_1d: per_cent(day.answered_of_1000()),
            latency_last_30m: recent.first_token_ms.map(|samples| PercentileStats::of(samples, 1)),
            throughput_last_30m: recent.tokens_per_1000s.map(|samples| PercentileStats::of(samples, 1_000)),
        }
    }
}

/// The answer of `GET /endpoints/zdr`.
#[derive(Serialize, ToSchema)]
pub struct EndpointListBody {
    pub data: Vec<EndpointInfo>,
}

impl EndpointListBody {
    /// Those that keep nothing of what they are sent.
    pub fn without_retention(catalog: &Catalog, seen: &Seen) -> EndpointListBody {
        let open = catalog.open_models().flat_map(|listed| listed.open_offers().map(move |offer| (listed, offer)));
        let silent = open.filter(|(_, offer)| !offer.provider.provider.retains_logs);
        EndpointListBody { data: silent.map(|(listed, offer)| EndpointInfo::of(listed, offer, seen)).collect() }
    }
}
