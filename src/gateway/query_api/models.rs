//! The models, where they run, and who runs them.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::filter::ModelQuery;
use crate::catalog::{Catalog, ListedModel, Modality, Price};
use crate::gateway::error::ApiError;
use crate::keys::Models;
use crate::presets::Ready;
use crate::routing::Health;

/// Models on a page that only says where it begins.
const DEFAULT_LIMIT: usize = 500;

/// A preset as programs see it that only know models: with the limits and prices of the model that it asks first.
/// `None` where that cannot be called, or not with this key.
pub fn of_preset(preset: &Ready, catalog: &Catalog, default: Option<&str>, allowed: Option<&Models>) -> Option<Line> {
    let name = preset.models.first().map(String::as_str).or(default)?;
    let base = name.rsplit_once(':').map_or(name, |(base, _)| base);
    let listed = catalog.model(base).filter(|listed| listed.is_open())?;
    let slug = listed.model.slug.to_string();
    if allowed.is_some_and(|allowed| !allowed.allow(&slug)) {
        return None;
    }
    let id = format!("@preset/{}", preset.slug);
    let description = match preset.description.as_str() {
        // Clients drop a model without one.
        "" => format!("A preset that asks {name} first."),
        text => text.to_owned(),
    };
    let info = ModelInfo {
        name: preset.name.clone(),
        owned_by: "preset".to_owned(),
        created: preset.created,
        description,
        canonical_slug: id.clone(),
        id,
        ..ModelInfo::of(listed)?
    };
    let searched = format!("{}\n{}", info.id, info.name).to_lowercase();
    Some(Line { listed: Arc::clone(listed), searched, json: serde_json::to_vec(&info).ok()? })
}

/// The list of models of one catalog, as bytes.
pub struct Listed {
    catalog: Catalog,
    models: Vec<Line>,
    whole: Bytes,
}

/// One model of the list.
pub struct Line {
    listed: Arc<ListedModel>,
    /// What is searched, in lower case.
    searched: String,
    json: Vec<u8>,
}

impl Line {
    fn slug(&self) -> &str {
        self.listed.model.slug.as_str()
    }
}

impl Listed {
    pub fn of(catalog: Catalog) -> Listed {
        let open = catalog.open_models().filter_map(|listed| {
            // Only strings and numbers: this cannot fail, and a model that did would be missed less than the list.
            let json = serde_json::to_vec(&ModelInfo::of(listed)?).ok()?;
            let searched = format!("{}\n{}", listed.model.slug, listed.model.name).to_lowercase();
            Some(Line { listed: Arc::clone(listed), searched, json })
        });
        let models: Vec<_> = open.collect();
        let plain = models.iter().filter(|line| line.listed.model.output_modalities.contains(&Modality::Text));
        let plain: Vec<_> = plain.map(|line| line.json.as_slice()).collect();
        let whole = body(plain.iter().copied(), plain.len(), None);
        Listed { catalog, models, whole }
    }

    /// Whether it lists this very copy. The copy that is listed is kept, so its address is no other's.
    pub fn is_of(&self, catalog: &Catalog) -> bool {
        std::ptr::eq(self.catalog.models(), catalog.models())
    }

    /// What `query` asks for: `presets`, then the models that `may` lets through; all of them without it.
    ///
    /// # Errors
    /// 400 for a number that makes no sense.
    pub fn page(
        &self,
        query: &ModelQuery,
        may: Option<&dyn Fn(&str) -> bool>,
        presets: &[Line],
        health: &Health,
    ) -> Result<Bytes, ApiError> {
        let filter = query.filter()?;
        if query.is_plain() && may.is_none() && presets.is_empty() {
            return Ok(self.whole.clone());
        }
        let mut found: Vec<&Line> = presets
            .iter()
            .chain(self.models.iter().filter(|line| may.is_none_or(|may| may(line.slug()))))
            .filter(|line| filter.lets_through(&line.listed, &line.searched))
            .collect();
        filter.sort(&mut found, |line| line.listed.as_ref(), health, Instant::now());
        let jsons = || found.iter().map(|line| line.json.as_slice());
        if query.limit.is_none() && query.offset.is_none() {
            return Ok(body(jsons(), found.len(), None));
        }
        let offset = query.offset.unwrap_or(0).min(found.len());
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        let next = offset + limit;
        let more = (next < found.len()).then(|| self::next(query, limit, next));
        Ok(body(jsons().skip(offset).take(limit), found.len(), more))
    }
}

fn next(query: &ModelQuery, limit: usize, offset: usize) -> String {
    let query = ModelQuery { limit: Some(limit), offset: Some(offset), ..query.clone() };
    format!("/api/v1/models?{}", serde_urlencoded::to_string(query).unwrap_or_default())
}

fn body<'a>(models: impl Iterator<Item = &'a [u8]>, total: usize, next: Option<String>) -> Bytes {
    let mut out = br#"{"object":"list","data":["#.to_vec();
    for (at, json) in models.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(json);
    }
    let next = serde_json::Value::from(next);
    out.extend_from_slice(format!(r#"],"links":{{"next":{next}}},"total_count":{total}}}"#).as_bytes());
    Bytes::from(out)
}

/// The answer of `GET /models`.
#[derive(Serialize, ToSchema)]
pub struct ModelsBody {
    /// `list`
    pub object: String,
    pub data: Vec<ModelInfo>,
    pub links: ListLinks,
    pub total_count: usize,
}

#[derive(Serialize, ToSchema)]
pub struct ListLinks {
    /// The address of the next page.
    pub next: Option<String>,
}

/// A model with every field that clients demand.
#[derive(Serialize, ToSchema)]
pub struct ModelInfo {
    pub id: String,
    pub object: &'static str,
    pub owned_by: String,
    pub canonical_slug: String,
    pub name: String,
    /// Unix seconds.
    pub created: i64,
    pub description: String,
    pub context_length: u32,
    pub architecture: Architecture,
    pub pricing: Pricing,
    pub top_provider: TopProvider,
    pub per_request_limits: Option<Empty>,
    pub supported_parameters: Vec<String>,
    pub default_parameters: Empty,
    pub supported_voices: Option<Vec<String>>,
    pub knowledge_cutoff: Option<String>,
    pub links: ModelLinks,
}

/// An object without fields.
#[derive(Serialize, ToSchema)]
pub struct Empty {}

#[derive(Serialize, ToSchema)]
pub struct Architecture {
    /// Such as `text+image->text`.
    pub modality: String,
    pub input_modalities: Vec<&'static str>,
    pub output_modalities: Vec<&'static str>,
    pub tokenizer: String,
    pub instruct_type: Option<String>,
}

/// US dollars per token, call or image, as plain decimals. What has no price of its own is left out.
#[derive(Serialize, ToSchema)]
pub struct Pricing {
    pub prompt: String,
    pub completion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_cache_read: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_cache_write: Option<String>,
}

/// The provider whose price stands for the model.
#[derive(Serialize, ToSchema)]
pub struct TopProvider {
    pub context_length: u32,
    pub max_completion_tokens: Option<u32>,
    pub is_moderated: bool,
}

#[derive(Serialize, ToSchema)]
pub struct ModelLinks {
    /// Where the model runs.
    pub details: String,
}

impl ModelInfo {
    /// `None` for a model that runs nowhere.
    fn of(listed: &ListedModel) -> Option<ModelInfo> {
        let lead = listed.lead_offer()?;
        let model = &listed.model;
        let id = model.slug.to_string();
        Some(ModelInfo {
            object: "model",
            owned_by: model.slug.author().to_owned(),
            canonical_slug: id.clone(),
            name: model.name.clone(),
            created: model.created,
            description: model.description.clone(),
            context_length: model.context_length,
            architecture: Architecture::of(listed),
            pricing: Pricing::of(&lead.endpoint.price),
            top_provider: TopProvider {
                context_length: lead.endpoint.context_length,
                max_completion_tokens: lead.endpoint.max_output,
                is_moderated: false,
            },
            per_request_limits: None,
            supported_parameters: model.supported_parameters.clone(),
            default_parameters: Empty {},
            supported_voices: None,
            knowledge_cutoff: model.knowledge_cutoff.map(|day| day.to_string()),
            links: ModelLinks { details: format!("/api/v1/models/{id}/endpoints") },
            id,
        })
    }
}

impl Architecture {
    pub(super) fn of(listed: &ListedModel) -> Architecture {
        let model = &listed.model;
        let words = |modalities: &[Modality]| modalities.iter().map(|one| one.as_str()).collect();
        Architecture {
            modality: model.modality(),
            input_modalities: words(&model.input_modalities),
            output_modalities: words(&model.output_modalities),
            tokenizer: model.tokenizer.clone(),
            instruct_type: None,
        }
    }
}

impl Pricing {
    pub(super) fn of(price: &Price) -> Pricing {
        Pricing {
            prompt: price.prompt.to_string(),
            completion: price.completion.to_string(),
            request: price.request.map(|unit| unit.to_string()),
            image: price.image.map(|unit| unit.to_string()),
            audio: price.audio.map(|unit| unit.to_string()),
            audio_output: price.audio_output.map(|unit| unit.to_string()),
            input_cache_read: price.cache_read.map(|unit| unit.to_string()),
            input_cache_write: price.cache_write.map(|unit| unit.to_string()),
        }
    }
}

/// The answer of `GET /models/count`.
#[derive(Serialize, ToSchema)]
pub struct CountBody {
    pub data: Count,
}

#[derive(Serialize, ToSchema)]
pub struct Count {
    pub count: usize,
}

impl CountBody {
    pub fn of(catalog: &Catalog, allowed: Option<&Models>) -> CountBody {
        let may = |slug: &str| allowed.is_none_or(|allowed| allowed.allow(slug));
        let count = catalog
            .open_models()
            .filter(|listed| listed.model.output_modalities.contains(&Modality::Text))
            .filter(|listed| may(listed.model.slug.as_str()))
            .count();
        CountBody { data: Count { count } }
    }
}

/// The answer of `GET /providers`.
#[derive(Serialize, ToSchema)]
pub struct ProvidersBody {
    pub data: Vec<ProviderInfo>,
}

#[derive(Serialize, ToSchema)]
pub struct ProviderInfo {
    pub name: String,
    pub slug: String,
    pub privacy_policy_url: Option<String>,
    pub terms_of_service_url: Option<String>,
    pub status_page_url: Option<String>,
    pub headquarters: Option<String>,
    pub datacenters: Option<Vec<String>>,
}

impl ProvidersBody {
    pub fn of(catalog: &Catalog) -> ProvidersBody {
        let open = catalog.providers().iter().filter(|listed| listed.is_open());
        let data = open.map(|listed| ProviderInfo {
            name: listed.provider.name.clone(),
            slug: listed.provider.slug.to_string(),
            privacy_policy_url: listed.provider.privacy_url.clone(),
            terms_of_service_url: listed.provider.terms_url.clone(),
            status_page_url: listed.provider.status_url.clone(),
            headquarters: listed.provider.headquarters.clone(),
            datacenters: None,
        });
        ProvidersBody { data: data.collect() }
    }
}
