//! What the API tells without making a call: the models, and what a key, its organization and a past call came to.
//!
//! The shapes are those that clients of this kind of API parse, some of them strictly: a list that lacks one field
//! of one model is dropped whole. Amounts are JSON numbers with exactly the digits of the books.

mod account;
mod endpoints;
mod filter;
mod generation;
mod models;
pub mod presets;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use sqlx::{PgPool, Postgres, Transaction};

use self::models::Listed;
use super::error::ApiError;
use crate::base::ids::CallId;
use crate::catalog::{Catalog, Shelf};
use crate::db;
use crate::keys::extract::authenticate;
use crate::keys::management::extract::AnyCaller;
use crate::keys::{Caller, Models};
use crate::presets::Memory;
use crate::routing::{Asked, Health, Preferences, candidates};
use crate::web::api::{Data, ErrorBody, answered, private, to_bytes};

pub use account::{CreditsBody, KeyBody};
pub use endpoints::{EndpointListBody, EndpointsBody};
pub use filter::ModelQuery;
pub use generation::GenerationBody;
pub use models::{CountBody, ModelsBody, ProvidersBody};

/// What the handlers of this file read. Cloning it is cheap.
#[derive(Clone)]
pub struct QueryApi(Arc<Inner>);

struct Inner {
    pool: PgPool,
    shelf: Shelf,
    memory: Memory,
    /// How endpoints did of late.
    health: Health,
    /// For presets that name no model, where the organization names none either.
    default_model: Option<String>,
    /// The list of models as bytes, made once per catalog.
    listed: Mutex<Option<Arc<Listed>>>,
}

impl QueryApi {
    #[must_use]
    pub fn new(pool: PgPool, shelf: Shelf, memory: Memory, health: Health, default_model: Option<String>) -> QueryApi {
        QueryApi(Arc::new(Inner { pool, shelf, memory, health, default_model, listed: Mutex::default() }))
    }

    fn catalog(&self) -> Catalog {
        self.0.shelf.current()
    }

    fn listed(&self) -> Arc<Listed> {
        let catalog = self.catalog();
        let mut cached = self.0.listed.lock().unwrap_or_else(PoisonError::into_inner);
        match cached.as_ref() {
            Some(listed) if listed.is_of(&catalog) => Arc::clone(listed),
            _ => Arc::clone(cached.insert(Arc::new(Listed::of(catalog)))),
        }
    }

    /// The list of models as JSON.
    ///
    /// # Errors
    /// 400 for a number that makes no sense.
    pub fn models(&self, query: &ModelQuery) -> Result<Bytes, ApiError> {
        self.listed().page(query, None, &[], &self.0.health)
    }

    /// The same for a key: only those that it may call, and before them the presets that it may.
    ///
    /// # Errors
    /// 503 while the database is away.
    pub async fn models_of(&self, caller: &Caller, query: &ModelQuery) -> Result<Bytes, ApiError> {
        let defaults = answered(self.0.memory.of(caller.org)).await?;
        let (catalog, instance) = (self.catalog(), self.0.default_model.as_deref());
        let model = defaults.default_model.as_deref().or(instance);
        let allowed: Option<&Models> = caller.rules.models.as_ref();
        let presets = defaults.presets().filter_map(|preset| models::of_preset(preset, &catalog, model, allowed));
        let may = |slug: &str| allowed.is_none_or(|allowed| allowed.allow(slug));
        let may = allowed.is_some().then_some(&may as &dyn Fn(&str) -> bool);
        self.listed().page(query, may, &presets.collect::<Vec<_>>(), &self.0.health)
    }

    /// The models that somebody may answer for a key: what it may call, at providers that its organization lets answer.
    ///
    /// # Errors
    /// 400 for a number that makes no sense, 503 while the database is away.
    pub async fn models_for(&self, caller: &Caller, query: &ModelQuery) -> Result<Bytes, ApiError> {
        let defaults = answered(self.0.memory.of(caller.org)).await?;
        let (catalog, now) = (self.catalog(), Instant::now());
        let (preferences, body) = (Preferences::default(), serde_json::Map::new());
        let may = |slug: &str| {
            let asked = Asked {
                models: &[slug.to_owned()],
                preferences: &preferences,
                policy: &defaults.policy,
                body: &body,
                has_cap: false,
                last: None,
            };
            caller.rules.models.as_ref().is_none_or(|allowed| allowed.allow(slug))
                && candidates(&catalog, &asked, &self.0.health, now, &mut |_| 0).is_ok()
        };
        self.listed().page(query, Some(&may), &[], &self.0.health)
    }

    /// A key's limits and spending as JSON.
    ///
    /// # Errors
    /// 503 while the database is away.
    pub async fn key(&self, caller: &Caller) -> Result<Bytes, ApiError> {
        let mut conn = self.tenant(caller).await?;
        to_bytes(&Data { data: answered(account::key_info(&mut conn, caller)).await? })
    }

    /// What an organization bought and spent, as JSON.
    ///
    /// # Errors
    /// 503 while the database is away.
    pub async fn credits(&self, caller: &Caller) -> Result<Bytes, ApiError> {
        let mut moment = answered(db::tenant_snapshot(&self.0.pool, caller.org)).await?;
        to_bytes(&Data { data: answered(account::credits_info(&mut moment, caller)).await? })
    }

    /// One call of an organization as JSON. An id that cannot be read is the id of nothing.
    ///
    /// # Errors
    /// 404 for a call that the organization did not make, 503 while the database is away.
    pub async fn generation(&self, caller: &Caller, id: &str) -> Result<Bytes, ApiError> {
        let id: CallId = id.parse().map_err(|_| ApiError::not_found())?;
        let mut conn = self.tenant(caller).await?;
        let found = answered(generation::generation_info(&mut conn, caller, id)).await?;
        let data = found.ok_or_else(ApiError::not_found)?.of_kind(&self.catalog());
        to_bytes(&Data { data })
    }

    /// Nothing but what belongs to the caller's organization can be seen in it.
    async fn tenant(&self, caller: &Caller) -> Result<Transaction<'static, Postgres>, ApiError> {
        answered(db::tenant(&self.0.pool, caller.org)).await
    }
}

fn public(body: Bytes) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "application/json")).insert_header((CACHE_CONTROL, "public, max-age=60"));
    // A key may see less.
    response.insert_header((VARY, "authorization, x-api-key"));
    response.body(body)
}

/// Lists the models that can be called, newest first. Needs no key; with one, the presets that it may call come first,
/// and where it may call only some models, it lists those. Without `limit` and `offset` the list is whole.
///
/// # Errors
/// 400 for a number that cannot be read.
#[utoipa::path(
    get,
    path = "/api/v1/models",
    tag = "Models",
    security(()),
    params(
        ("supported_parameters" = Option<String>, Query, description = "Only models that understand all of these, separated by commas"),
        ("input_modalities" = Option<String>, Query, description = "Only models that take all of these, separated by commas: text, image, file, audio, video"),
        ("output_modalities" = Option<String>, Query, description = "Only models that give one of these: text, image, audio, embeddings, rerank; or all. Without it, text"),
        ("q" = Option<String>, Query, description = "Only models whose id or name has this text"),
        ("sort" = Option<String>, Query, description = "newest, pricing-low-to-high, pricing-high-to-low, context-high-to-low, throughput-high-to-low or latency-low-to-high; any other word leaves the order"),
        ("context" = Option<u32>, Query, minimum = 1, maximum = 1_000_000_000, description = "Only models that take at least so many tokens"),
        ("min_price" = Option<f64>, Query, minimum = 0, description = "Only models whose prompt costs at least so many dollars per million tokens"),
        ("max_price" = Option<f64>, Query, minimum = 0, description = "Only models whose prompt costs at most so much"),
        ("arch" = Option<String>, Query, description = "Only models with this tokenizer, such as GPT or Claude"),
        ("model_authors" = Option<String>, Query, description = "Only models of these authors, separated by commas"),
        ("providers" = Option<String>, Query, description = "Only models that one of these providers runs, by slug or name, separated by commas"),
        ("zdr" = Option<String>, Query, description = "`true`: only models that somebody runs without keeping what is sent"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many, up to 1000"),
        ("offset" = Option<u32>, Query, minimum = 0, maximum = 1_000_000, description = "Leave out so many"),
    ),
    responses((status = 200, body = ModelsBody), (status = 400, body = ErrorBody)),
)]
pub async fn list_models(
    request: HttpRequest,
    api: web::Data<QueryApi>,
    query: Result<web::Query<ModelQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let query = read(query)?;
    // The list is for everybody, so a wrong key is no reason to refuse it.
    match authenticate(&request).await {
        Ok(caller) => Ok(private(api.models_of(caller.caller(), &query).await?)),
        Err(_) => Ok(public(api.models(&query)?)),
    }
}

fn read(query: Result<web::Query<ModelQuery>, actix_web::Error>) -> Result<ModelQuery, ApiError> {
    let query = query.map_err(|_| ApiError::invalid("The query of the address could not be read."))?;
    Ok(query.into_inner())
}

/// Lists the models that the key can have answered: those that it may call, at providers that its organization lets answer.
/// It takes what `GET /models` takes.
///
/// # Errors
/// 400 for a number that cannot be read, 401 without a valid key, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/models/user",
    tag = "Models",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many, up to 1000"),
        ("offset" = Option<u32>, Query, minimum = 0, maximum = 1_000_000, description = "Leave out so many"),
    ),
    responses(
        (status = 200, body = ModelsBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn list_models_of_user(
    api: web::Data<QueryApi>,
    caller: AnyCaller,
    query: Result<web::Query<ModelQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    Ok(private(api.models_for(caller.get(), &read(query)?).await?))
}

/// Lists the models that make vectors of texts. Needs no key.
///
/// # Errors
/// 400 for a number that cannot be read.
#[utoipa::path(
    get,
    path = "/api/v1/embeddings/models",
    tag = "Models",
    security(()),
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "At most so many, up to 1000"),
        ("offset" = Option<u32>, Query, minimum = 0, maximum = 1_000_000, description = "Leave out so many"),
    ),
    responses((status = 200, body = ModelsBody), (status = 400, body = ErrorBody)),
)]
pub async fn list_embedding_models(
    api: web::Data<QueryApi>,
    query: Result<web::Query<ModelQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let query = ModelQuery { output_modalities: Some("embeddings".to_owned()), ..read(query)? };
    Ok(public(api.models(&query)?))
}

/// Lists the endpoints that keep nothing of what they are sent. Needs no key.
///
/// # Errors
/// None of its own.
#[utoipa::path(
    get,
    path = "/api/v1/endpoints/zdr",
    tag = "Models",
    security(()),
    responses((status = 200, body = EndpointListBody)),
)]
pub async fn list_zdr_endpoints(api: web::Data<QueryApi>) -> Result<HttpResponse, ApiError> {
    Ok(public(to_bytes(&EndpointListBody::without_retention(&api.catalog(), &api.0.health))?))
}

/// Counts the models that can be called. Needs no key.
///
/// # Errors
/// None of its own.
#[utoipa::path(
    get,
    path = "/api/v1/models/count",
    tag = "Models",
    security(()),
    responses((status = 200, body = CountBody)),
)]
pub async fn count_models(api: web::Data<QueryApi>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let counted = |allowed: Option<&Models>| to_bytes(&CountBody::of(&api.catalog(), allowed));
    // As for the list, a wrong key is no reason to refuse it.
    match authenticate(&request).await {
        Ok(caller) => Ok(private(counted(caller.caller().rules.models.as_ref())?)),
        Err(_) => Ok(public(counted(None)?)),
    }
}

/// Lists where a model runs, with the limits and prices there. Needs no key.
///
/// # Errors
/// 404 for a model that is not in the catalog.
#[utoipa::path(
    get,
    path = "/api/v1/models/{author}/{slug}/endpoints",
    tag = "Models",
    security(()),
    params(("author" = String, Path, description = "The part of the id before the slash"), ("slug" = String, Path, description = "The part after it")),
    responses((status = 200, body = EndpointsBody), (status = 404, body = ErrorBody)),
)]
pub async fn model_endpoints(
    api: web::Data<QueryApi>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (author, slug) = path.into_inner();
    // What follows a colon is a variant, not part of the id.
    let name = slug.split_once(':').map_or(slug.as_str(), |(name, _)| name);
    let id = format!("{author}/{name}");
    let catalog = api.catalog();
    let model = catalog.model(&id).filter(|listed| listed.is_open()).ok_or_else(|| ApiError::model_not_found(&id))?;
    Ok(public(to_bytes(&EndpointsBody::of(model, &api.0.health))?))
}

/// Lists the providers in use. Needs no key.
///
/// # Errors
/// None of its own.
#[utoipa::path(
    get,
    path = "/api/v1/providers",
    tag = "Models",
    security(()),
    responses((status = 200, body = ProvidersBody)),
)]
pub async fn list_providers(api: web::Data<QueryApi>) -> Result<HttpResponse, ApiError> {
    Ok(public(to_bytes(&ProvidersBody::of(&api.catalog()))?))
}

/// Tells what the key of the request may spend and has spent. `GET /api/v1/auth/key` is the same.
///
/// # Errors
/// 401 without a valid key, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/key",
    tag = "Account",
    responses(
        (status = 200, body = KeyBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn current_key(api: web::Data<QueryApi>, caller: AnyCaller) -> Result<HttpResponse, ApiError> {
    Ok(private(api.key(caller.get()).await?))
}

/// Tells what the organization of the key bought and spent. Their difference is its balance.
///
/// # Errors
/// 401 without a valid key, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/credits",
    tag = "Account",
    responses(
        (status = 200, body = CreditsBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn credits(api: web::Data<QueryApi>, caller: AnyCaller) -> Result<HttpResponse, ApiError> {
    Ok(private(api.credits(caller.get()).await?))
}

#[derive(serde::Deserialize)]
pub struct GenerationQuery {
    id: String,
}

/// Tells what one call of the key's organization came to.
///
/// # Errors
/// 400 without an id, 401 without a valid key, 404 for a call that the organization did not make, 503 while the
/// database is away.
#[utoipa::path(
    get,
    path = "/api/v1/generation",
    tag = "Account",
    params(("id" = String, Query, description = "The id of the call, as in the answer and in `X-Generation-Id`")),
    responses(
        (status = 200, body = GenerationBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn generation(
    api: web::Data<QueryApi>,
    caller: AnyCaller,
    query: Result<web::Query<GenerationQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let query = query.map_err(|_| ApiError::invalid("The address must have an id."))?;
    Ok(private(api.generation(caller.get(), &query.id).await?))
}
