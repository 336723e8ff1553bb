//! What the API tells without making a call: the models, and what a key, its organization and a past call came to.
//!
//! The shapes are those that clients of this kind of API parse, some of them strictly: a list that lacks one field
//! of one model is dropped whole. Amounts are JSON numbers with exactly the digits of the books.

mod account;
mod generation;
mod models;
pub mod presets;

use std::sync::{Arc, Mutex, PoisonError};

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
use crate::web::api::{Data, ErrorBody, answered, private, to_bytes};

pub use account::{CreditsBody, KeyBody};
pub use generation::GenerationBody;
pub use models::{CountBody, EndpointsBody, ModelQuery, ModelsBody, ProvidersBody};

/// Models in one answer, and left out before it.
const MAX_LIMIT: usize = 1_000;
const MAX_OFFSET: usize = 1_000_000;

/// What the handlers of this file read. Cloning it is cheap.
#[derive(Clone)]
pub struct QueryApi(Arc<Inner>);

struct Inner {
    pool: PgPool,
    shelf: Shelf,
    memory: Memory,
    /// For presets that name no model, where the organization names none either.
    default_model: Option<String>,
    /// The list of models as bytes, made once per catalog.
    listed: Mutex<Option<Arc<Listed>>>,
}

impl QueryApi {
    #[must_use]
    pub fn new(pool: PgPool, shelf: Shelf, memory: Memory, default_model: Option<String>) -> QueryApi {
        QueryApi(Arc::new(Inner { pool, shelf, memory, default_model, listed: Mutex::default() }))
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
    #[must_use]
    pub fn models(&self, query: &ModelQuery) -> Bytes {
        self.listed().page(query, None, &[])
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
        Ok(self.listed().page(query, allowed, &presets.collect::<Vec<_>>()))
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
        to_bytes(&Data { data: found.ok_or_else(ApiError::not_found)? })
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
        ("q" = Option<String>, Query, description = "Only models whose id or name has this text"),
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
    let query = query.map_err(|_| ApiError::invalid("The query of the address could not be read."))?;
    let fits = query.limit.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit))
        && query.offset.is_none_or(|offset| offset <= MAX_OFFSET);
    if !fits {
        return Err(ApiError::invalid(format!(
            "`limit` must be from 1 to {MAX_LIMIT}, `offset` at most {MAX_OFFSET}."
        )));
    }
    // The list is for everybody, so a wrong key is no reason to refuse it.
    match authenticate(&request).await {
        Ok(caller) => Ok(private(api.models_of(caller.caller(), &query).await?)),
        Err(_) => Ok(public(api.models(&query))),
    }
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
    Ok(public(to_bytes(&EndpointsBody::of(model))?))
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
