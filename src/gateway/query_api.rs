//! What the API tells without making a call: the models, and what a key, its organization and a past call came to.
//!
//! The shapes are those that clients of this kind of API parse, some of them strictly: a list that lacks one field
//! of one model is dropped whole. Amounts are JSON numbers with exactly the digits of the books.

mod account;
pub mod content;
mod endpoints;
mod filter;
mod generation;
pub mod model;
mod models;
pub mod presets;
mod seen;

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use sqlx::{PgPool, Postgres, Transaction};

use self::models::{Line, Listed};
use self::seen::{Seen, Watch};
use super::error::ApiError;
use crate::base::Clock;
use crate::base::ids::CallId;
use crate::catalog::{Catalog, ListedModel, Shelf};
use crate::db;
use crate::keys::Caller;
use crate::keys::extract::authenticate;
use crate::keys::management::extract::AnyCaller;
use crate::presets::{Defaults, Memory};
use crate::routing::{Candidate, Policy, model_of, who_may};
use crate::web::api::{Data, ErrorBody, answered, private, to_bytes};

pub use account::{CreditsBody, KeyBody};
pub use endpoints::{EndpointListBody, EndpointsBody};
pub use filter::{ModelQuery, Wanted};
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
    watch: Watch,
    /// For presets that name no model, where the organization names none either.
    default_model: Option<String>,
    /// The list of models as bytes, made once per catalog.
    listed: Mutex<Option<Arc<Listed>>>,
}

impl QueryApi {
    #[must_use]
    pub fn new(pool: PgPool, shelf: Shelf, memory: Memory, clock: Clock, default_model: Option<String>) -> QueryApi {
        let watch = Watch::new(pool.clone(), clock);
        QueryApi(Arc::new(Inner { pool, shelf, memory, watch, default_model, listed: Mutex::default() }))
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
    pub async fn models(&self, query: &ModelQuery) -> Result<Bytes, ApiError> {
        self.listed().page(query, &*self.seen_for(query).await)
    }

    /// The same for a key: the models that a call of it would find somebody for, and before them the presets that it may
    /// use.
    ///
    /// # Errors
    /// 400 for a number that makes no sense, 503 while the database is away.
    pub async fn models_of(&self, caller: &Caller, query: &ModelQuery) -> Result<Bytes, ApiError> {
        let defaults = answered(self.0.memory.of(caller.org)).await?;
        let lines = self.lines_of(caller, &defaults);
        let default = defaults.default_model.as_deref().or(self.0.default_model.as_deref());
        let catalog = self.catalog();
        // What it asks first is the first model that the key may call, as in a call.
        let first = |names: &[String]| {
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            if names.is_empty() {
                names.extend(default);
            }
            let asked = names.into_iter().filter_map(|name| model_of(&catalog, name));
            asked.filter_map(|listed| lines.iter().find(|line| line.slug() == listed.model.slug.as_str())).next()
        };
        let presets = defaults.presets().filter_map(|preset| first(&preset.models)?.of_preset(preset));
        let all: Vec<Line> = presets.chain(lines.iter().cloned()).collect();
        models::page(&all, query, &*self.seen_for(query).await)
    }

    /// The models that a call of a key would find somebody for, and no presets.
    ///
    /// # Errors
    /// 400 for a number that makes no sense, 503 while the database is away.
    pub async fn models_for(&self, caller: &Caller, query: &ModelQuery) -> Result<Bytes, ApiError> {
        let defaults = answered(self.0.memory.of(caller.org)).await?;
        models::page(&self.lines_of(caller, &defaults), query, &*self.seen_for(query).await)
    }

    /// How many models it would be, of those that write.
    async fn count_of(&self, caller: &Caller) -> Result<CountBody, ApiError> {
        let defaults = answered(self.0.memory.of(caller.org)).await?;
        Ok(CountBody::of(&self.lines_of(caller, &defaults)))
    }

    /// Decided by the code that decides it for a call: the key's list, the organization's settings and privacy, and the
    /// provider keys of its own that this key and its member may use.
    fn lines_of(&self, caller: &Caller, defaults: &Defaults) -> Vec<Line> {
        let policy = policy_of(caller, defaults);
        self.listed().of_those(|listed| {
            let allowed = &caller.rules.models;
            if allowed.as_ref().is_some_and(|allowed| !allowed.allow(listed.model.slug.as_str())) {
                return Vec::new();
            }
            places(listed, &policy)
        })
    }

    /// Where a model runs: at the operator's providers, and at those that the key's organization has an account with.
    async fn endpoints_of(
        &self,
        listed: &Arc<ListedModel>,
        caller: Option<&Caller>,
    ) -> Result<EndpointsBody, ApiError> {
        let own = match caller {
            None => Vec::new(),
            Some(caller) => {
                let defaults = answered(self.0.memory.of(caller.org)).await?;
                let found = who_may(listed, &policy_of(caller, &defaults));
                found.iter().filter(|one| one.own().is_some()).map(Candidate::place).collect()
            }
        };
        let offers = listed.offers.iter().enumerate();
        let mut offers = offers.filter(|(place, offer)| offer.provider.is_open() || own.contains(place)).peekable();
        if offers.peek().is_none() {
            return Err(ApiError::model_not_found(listed.model.slug.as_str()));
        }
        Ok(EndpointsBody::of(listed, offers.map(|(_, offer)| offer), &*self.0.watch.look().await))
    }

    /// What was measured, where the order depends on it.
    async fn seen_for(&self, query: &ModelQuery) -> Arc<Seen> {
        if query.sorts_by_speed() { self.0.watch.look().await } else { Arc::default() }
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
    /// 403 for a key that may not know, 503 while the database is away.
    pub async fn credits(&self, caller: &Caller) -> Result<Bytes, ApiError> {
        let mut moment = answered(db::tenant_snapshot(&self.0.pool, caller.org)).await?;
        if !answered(account::sees_balance(&mut moment, caller)).await? {
            let told =
                "This API key may not see the balance of its organization. GET /key tells what it may spend itself.";
            return Err(ApiError::forbidden(told));
        }
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

/// What a call of this key would be routed by, before it says anything itself.
fn policy_of(caller: &Caller, defaults: &Defaults) -> Policy {
    let mut policy = defaults.policy.clone();
    policy.own.narrow(caller.key, caller.created_by);
    policy
}

/// Where the offers of those stand that may answer, cheapest first, each once.
fn places(listed: &Arc<ListedModel>, policy: &Policy) -> Vec<usize> {
    let mut places: Vec<usize> = who_may(listed, policy).iter().map(Candidate::place).collect();
    places.dedup();
    places
}

fn public(body: Bytes) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "application/json")).insert_header((CACHE_CONTROL, "public, max-age=60"));
    // A key may see less.
    response.insert_header((VARY, "authorization, x-api-key"));
    response.body(body)
}

/// Lists the models that can be called, newest first. Needs no key; with one, the presets that it may call come first, and
/// it lists the models that a call of this key would find somebody for: the key's own list, the organization's settings, its
/// privacy switches and its own provider keys count as in a call. Without `limit` and `offset` the list is whole.
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
        ("min_output_price" = Option<f64>, Query, minimum = 0, description = "The same for answers"),
        ("max_output_price" = Option<f64>, Query, minimum = 0, description = "The same for answers"),
        ("min_age_days" = Option<u32>, Query, minimum = 0, maximum = 100_000, description = "Only models that have been out for so many days"),
        ("max_age_days" = Option<u32>, Query, minimum = 0, maximum = 100_000, description = "Only models that have not been out for longer"),
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
    query: Result<Wanted, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let query = query?.0;
    // The list is for everybody, so a wrong key is no reason to refuse it.
    match authenticate(&request).await {
        Ok(caller) => Ok(private(api.models_of(caller.caller(), &query).await?)),
        Err(_) => Ok(public(api.models(&query).await?)),
    }
}

/// Lists the models that the key can have answered: those of `GET /models` with this key, without presets. It takes what `GET /models` takes.
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
    query: Result<Wanted, ApiError>,
) -> Result<HttpResponse, ApiError> {
    Ok(private(api.models_for(caller.get(), &query?.0).await?))
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
    query: Result<Wanted, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let query = ModelQuery { output_modalities: Some("embeddings".to_owned()), ..query?.0 };
    Ok(public(api.models(&query).await?))
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
    Ok(public(to_bytes(&EndpointListBody::without_retention(&api.catalog(), &*api.0.watch.look().await))?))
}

/// Counts the models that can be called; with a key, those that it lists. Needs none.
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
    // As for the list, a wrong key is no reason to refuse it.
    match authenticate(&request).await {
        Ok(caller) => Ok(private(to_bytes(&api.count_of(caller.caller()).await?)?)),
        Err(_) => Ok(public(to_bytes(&CountBody::of(api.listed().open()))?)),
    }
}

/// Lists where a model runs, with the limits and prices there, and how it went there. Needs no key; with one, also where the
/// organization's own provider keys reach it.
///
/// # Errors
/// 404 for a model that is not in the catalog or runs nowhere.
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
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (author, slug) = path.into_inner();
    // What follows a colon is a variant, not part of the id.
    let name = slug.split_once(':').map_or(slug.as_str(), |(name, _)| name);
    let id = format!("{author}/{name}");
    let catalog = api.catalog();
    let model = catalog.model(&id).ok_or_else(|| ApiError::model_not_found(&id))?;
    match authenticate(&request).await {
        Ok(caller) => Ok(private(to_bytes(&api.endpoints_of(model, Some(caller.caller())).await?)?)),
        Err(_) => Ok(public(to_bytes(&api.endpoints_of(model, None).await?)?)),
    }
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

/// Tells what the organization of the key bought and spent. Their difference is its balance. Keys that were given away, keys of
/// connected apps and those that a program issued may not ask, and others only if the organization lets them.
///
/// # Errors
/// 401 without a valid key, 403 for a key that may not know, 503 while the database is away.
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

/// Tells what one call came to: one of the key itself, or, for a key that was not handed on, one that its maker may see.
///
/// # Errors
/// 400 without an id, 401 without a valid key, 404 for a call that is not there for this key, 503 while the database is away.
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
