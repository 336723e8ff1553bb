//! The models, where they run, and who runs them.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::filter::ModelQuery;
use super::seen::Seen;
use crate::catalog::{Catalog, ListedModel, Modality, Offer, Price};
use crate::gateway::error::ApiError;
use crate::presets::Ready;

/// Models on a page that only says where it begins.
const DEFAULT_LIMIT: usize = 500;

/// The list of models of one catalog, as bytes.
pub struct Listed {
    catalog: Catalog,
    /// Those that can be called on the operator's account.
    open: Vec<Line>,
    whole: Bytes,
}

/// One model of a list, and who may answer it. Cloning it is cheap.
#[derive(Clone)]
pub struct Line {
    listed: Arc<ListedModel>,
    /// Where its offers stand in the model's list, the one whose price stands for it first.
    offers: Arc<[usize]>,
    /// What is searched, in lower case.
    searched: Arc<str>,
    json: Bytes,
}

impl Line {
    /// `None` for a model that nobody may answer.
    fn of(listed: &Arc<ListedModel>, offers: Vec<usize>) -> Option<Line> {
        let info = ModelInfo::of(listed, listed.offers.get(*offers.first()?)?);
        Line::told(listed, offers, &info)
    }

    fn told(listed: &Arc<ListedModel>, offers: Vec<usize>, info: &ModelInfo) -> Option<Line> {
        let searched = format!("{}\n{}", info.id, info.name).to_lowercase().into();
        // Only strings and numbers: this cannot fail, and a model that did would be missed less than the list.
        let json = serde_json::to_vec(info).ok()?.into();
        Some(Line { listed: Arc::clone(listed), offers: offers.into(), searched, json })
    }

    /// A preset as programs see it that only know models: with the limits and prices of the model that it asks first.
    pub fn of_preset(&self, preset: &Ready) -> Option<Line> {
        let id = format!("@preset/{}", preset.slug);
        let description = match preset.description.as_str() {
            // Clients drop a model without one.
            "" => format!("A preset that asks {} first.", self.slug()),
            text => text.to_owned(),
        };
        let info = ModelInfo {
            name: preset.name.clone(),
            owned_by: "preset".to_owned(),
            created: preset.created,
            description,
            canonical_slug: id.clone(),
            id,
            ..ModelInfo::of(&self.listed, self.lead()?)
        };
        Line::told(&self.listed, self.offers.to_vec(), &info)
    }

    /// The same with those offers alone that cost nothing; `None` where none does.
    pub fn free(&self) -> Option<Line> {
        let is_free = |place: &usize| self.listed.offers.get(*place).is_some_and(|one| one.endpoint.price.is_free());
        let offers: Vec<usize> = self.offers.iter().copied().filter(is_free).collect();
        let lead = self.listed.offers.get(*offers.first()?)?;
        let info = ModelInfo { id: format!("{}:free", self.slug()), ..ModelInfo::of(&self.listed, lead) };
        Line::told(&self.listed, offers, &info)
    }

    /// As it stands in the list.
    pub fn plain(&self) -> Bytes {
        self.json.clone()
    }

    /// As an answer by itself.
    pub fn alone(&self) -> Bytes {
        [br#"{"data":"#.as_slice(), &self.json, b"}"].concat().into()
    }

    pub fn slug(&self) -> &str {
        self.listed.model.slug.as_str()
    }

    pub fn listed(&self) -> &ListedModel {
        &self.listed
    }

    pub fn searched(&self) -> &str {
        &self.searched
    }

    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.iter().filter_map(|place| self.listed.offers.get(*place))
    }

    /// The one whose price stands for the model.
    pub fn lead(&self) -> Option<&Offer> {
        self.offers().next()
    }

    /// Whether it is listed where nobody asks for anything else.
    pub fn writes(&self) -> bool {
        self.listed.model.output_modalities.contains(&Modality::Text)
    }
}

impl Listed {
    pub fn of(catalog: Catalog) -> Listed {
        let open: Vec<Line> =
            catalog.models().iter().filter_map(|listed| Line::of(listed, open_places(listed))).collect();
        let plain: Vec<_> = open.iter().filter(|line| line.writes()).map(|line| line.json.as_ref()).collect();
        let whole = body(plain.iter().copied(), plain.len(), None);
        Listed { catalog, open, whole }
    }

    /// Whether it lists this very copy. The copy that is listed is kept, so its address is no other's.
    pub fn is_of(&self, catalog: &Catalog) -> bool {
        std::ptr::eq(self.catalog.models(), catalog.models())
    }

    pub fn open(&self) -> &[Line] {
        &self.open
    }

    /// The models that somebody may answer; `who` tells the places of their offers, the first one first.
    pub fn of_those(&self, who: impl Fn(&Arc<ListedModel>) -> Vec<usize>) -> Vec<Line> {
        let mut open = self.open.iter();
        let mut next = open.next();
        let mut found = Vec::new();
        // Both are in the catalog's order.
        for listed in self.catalog.models() {
            let usual = next.filter(|line| Arc::ptr_eq(&line.listed, listed));
            if usual.is_some() {
                next = open.next();
            }
            let offers = who(listed);
            match usual.filter(|line| line.offers.as_ref() == offers.as_slice()) {
                Some(line) => found.push(line.clone()),
                None => found.extend(Line::of(listed, offers)),
            }
        }
        found
    }

    /// The whole list for whoever asks for nothing else.
    ///
    /// # Errors
    /// 400 for a number that makes no sense.
    pub fn page(&self, query: &ModelQuery, seen: &Seen) -> Result<Bytes, ApiError> {
        if query.is_plain() { Ok(self.whole.clone()) } else { page(&self.open, query, seen) }
    }
}

/// Where the offers stand that can be called on the operator's account, cheapest first.
fn open_places(listed: &ListedModel) -> Vec<usize> {
    let open = listed.offers.iter().enumerate().filter(|(_, offer)| offer.provider.is_open());
    open.map(|(place, _)| place).collect()
}

/// Of `lines` what `query` asks for.
///
/// # Errors
/// 400 for a number that makes no sense.
pub fn page(lines: &[Line], query: &ModelQuery, seen: &Seen) -> Result<Bytes, ApiError> {
    let filter = query.filter()?;
    let mut found: Vec<&Line> = lines.iter().filter(|line| filter.lets_through(line)).collect();
    filter.sort(&mut found, seen);
    let jsons = || found.iter().map(|line| line.json.as_ref());
    if query.limit.is_none() && query.offset.is_none() {
        return Ok(body(jsons(), found.len(), None));
    }
    let offset = query.offset.unwrap_or(0).min(found.len());
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    let next = offset + limit;
    let more = (next < found.len()).then(|| self::next(query, limit, next));
    Ok(body(jsons().skip(offset).take(limit), found.len(), more))
}

fn next(query: &ModelQuery, limit: usize, offset: usize) -> String {
    let query = ModelQuery { limit: Some(limit), offset: Some(offset), ..query.clone() };
    let path = if query.path.is_empty() { "/api/v1/models" } else { &query.path };
    format!("{path}?{}", serde_urlencoded::to_string(&query).unwrap_or_default())
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

/// The answer of `GET /model/{author}/{slug}`.
#[derive(Serialize, ToSchema)]
pub struct ModelBody {
    pub data: ModelInfo,
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
    /// With the limits and the price of one of its offers.
    fn of(listed: &ListedModel, lead: &Offer) -> ModelInfo {
        let model = &listed.model;
        let id = model.slug.to_string();
        ModelInfo {
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
        }
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
    pub fn of(lines: &[Line]) -> CountBody {
        CountBody { data: Count { count: lines.iter().filter(|line| line.writes()).count() } }
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
