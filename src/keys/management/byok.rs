//! Keys that the organization brings itself, by program: the same as on the page of integrations.
//!
//! Whoever manages keys may see what is connected. To change it, whoever made the key of the request must be one who may
//! change the organization's settings, which is looked at under its lock. A stored key never comes back.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::IntoParams;

use super::activity::own_workspace;
use super::byok_body::{CreateProviderKey, ProviderKeyBody, ProviderKeyData, ProviderKeysBody, UpdateProviderKey};
use super::byok_limits::{self, Asked};
use super::extract::Managing;
use super::keys::DeletedBody;
use super::repeat::{Repeat, Seen};
use crate::audit::{Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::{OrgId, ProviderKeyId};
use crate::catalog::{Catalog, ListedProvider, Shelf};
use crate::db;
use crate::integrations::{self, ConnectError, PlainProviderKey, ProviderKey, Wish, Writer};
use crate::orgs::{self, Permission, Role};
use crate::presets::Terms;
use crate::routing::Mode;
use crate::web::api::{ApiError, Data, ErrorBody, Strict, StrictQuery, answered, json, private, to_bytes};
use crate::web::{App, client};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;
/// Far more than there are providers.
const MAX_OFFSET: usize = 1_000_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProviderKeysQuery {
    /// At most so many, 50 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Leave out so many.
    #[param(minimum = 0, maximum = 1_000_000)]
    offset: Option<usize>,
    /// Only the one for the provider with this slug.
    provider: Option<String>,
    /// The workspace, which is the organization's own.
    workspace_id: Option<String>,
}

/// Lists the keys that the organization brings itself, by provider.
///
/// # Errors
/// 400 for a query that cannot be read, 401 without a valid key, 403 for a key that may not manage, 404 for another
/// workspace, 429 for too many requests, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/byok",
    tag = "Own provider keys",
    params(ProviderKeysQuery),
    responses(
        (status = 200, body = ProviderKeysBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn list_provider_keys(
    app: web::Data<App>,
    caller: Managing,
    query: Result<StrictQuery<ProviderKeysQuery>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let (org, query) = (caller.get().org, query?.0);
    own_workspace(org, query.workspace_id.as_deref())?;
    let (limit, offset) = (query.limit.unwrap_or(DEFAULT_LIMIT), query.offset.unwrap_or(0));
    if !(1..=MAX_LIMIT).contains(&limit) || offset > MAX_OFFSET {
        let message = format!("`limit` must be from 1 to {MAX_LIMIT}, and `offset` at most {MAX_OFFSET}.");
        return Err(ApiError::invalid(message));
    }
    let mut conn = answered(db::tenant(&app.db, org)).await?;
    let mut found = answered(integrations::list(&mut conn, org)).await?;
    found.retain(|key| query.provider.as_ref().is_none_or(|wanted| *wanted == key.provider));
    let total_count = found.len();
    let mut data = Vec::new();
    for key in found.into_iter().skip(offset).take(limit) {
        data.push(ProviderKeyData::of(&mut conn, org, key).await?);
    }
    Ok(private(to_bytes(&ProviderKeysBody { data, total_count })?))
}

/// Stores a key for a provider that has none yet. The next call uses it, on every node.
///
/// # Errors
/// 400 for a body that is not as it must be, 401 without a valid key, 403 for a key that may not manage or whose maker may
/// not change settings, 404 for another workspace, 409 where the provider has a key and for an `Idempotency-Key` that was used
/// with another body, 429 for too many requests, 503 while the database is away.
#[utoipa::path(
    post,
    path = "/api/v1/byok",
    tag = "Own provider keys",
    params(("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]{1,255}$", description = "Repeating a request with the same key within a day gives the first answer")),
    request_body = CreateProviderKey,
    responses(
        (status = 201, body = ProviderKeyBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 408, body = ErrorBody),
        (status = 409, body = ErrorBody),
        (status = 413, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn create_provider_key(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    terms: web::Data<Terms>,
    caller: Managing,
    request: HttpRequest,
    body: Result<Strict<CreateProviderKey>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let Strict { value: body, bytes } = body?;
    let repeat = Repeat::read(&request, &caller, "byok", &bytes)?;
    let (org, now) = (caller.get().org, app.clock.now());
    own_workspace(org, body.workspace_id.as_deref())?;
    enabled(body.disabled)?;
    let key = plain(&body.key)?;
    let mode = mode(body.is_fallback.unwrap_or(false), body.is_byok_only.unwrap_or(false))?;
    let catalog = shelf.current();
    let listed = provider(&catalog, &body.provider)?;
    let origin = client::origin(&app, &request);
    let mut tx = answered(db::tenant(&app.db, org)).await?;
    hold(&mut tx, &caller).await?;
    if let Seen::Before(first) = repeat.begin(&mut tx, now).await? {
        return Ok(first);
    }
    if answered(integrations::find(&mut tx, org, &body.provider)).await?.is_some() {
        return Err(ApiError::conflict("There is a key for this provider. Change it with PATCH, or delete it first."));
    }
    let asked = Asked {
        models: Some(body.allowed_models),
        hashes: Some(body.allowed_api_key_hashes),
        users: Some(body.allowed_user_ids),
    };
    let limits = byok_limits::resolve(&mut tx, org, &catalog, listed, asked, None).await?;
    let wish = Wish { key: Some(key), name: body.name.unwrap_or_default(), mode, ..limits };
    write(&mut tx, &caller, &origin, &terms, listed, wish).await?;
    let data = shown(&mut tx, org, &body.provider).await?;
    let answer = to_bytes(&ProviderKeyBody { data })?;
    repeat.keep(&mut tx, StatusCode::CREATED, &answer).await?;
    answered(tx.commit()).await?;
    Ok(json(StatusCode::CREATED, answer))
}

/// Reads one stored key, without the key itself.
///
/// # Errors
/// 401 without a valid key, 403 for a key that may not manage, 404 for an id of nothing, 429 for too many requests, 503
/// while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/byok/{id}",
    tag = "Own provider keys",
    params(("id" = String, Path, description = "The id of the stored key")),
    responses(
        (status = 200, body = ProviderKeyBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn read_provider_key(
    app: web::Data<App>,
    caller: Managing,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let org = caller.get().org;
    let mut conn = answered(db::tenant(&app.db, org)).await?;
    let key = by_id(&mut conn, org, &id).await?;
    let data = ProviderKeyData::of(&mut conn, org, key).await?;
    Ok(private(to_bytes(&Data { data })?))
}

/// Changes how a stored key is used, or puts another one into its place.
///
/// # Errors
/// 400 for a body that is not as it must be, 401 without a valid key, 403 for a key that may not manage or whose maker may
/// not change settings, 404 for an id of nothing, 409 where the provider's address has changed since and no key is sent, 429
/// for too many requests, 503 while the database is away.
#[utoipa::path(
    patch,
    path = "/api/v1/byok/{id}",
    tag = "Own provider keys",
    params(("id" = String, Path, description = "The id of the stored key")),
    request_body = UpdateProviderKey,
    responses(
        (status = 200, body = ProviderKeyBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 408, body = ErrorBody),
        (status = 409, body = ErrorBody),
        (status = 413, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn update_provider_key(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    terms: web::Data<Terms>,
    caller: Managing,
    request: HttpRequest,
    id: web::Path<String>,
    body: Result<Strict<UpdateProviderKey>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let (org, body) = (caller.get().org, body?.value);
    let origin = client::origin(&app, &request);
    let mut tx = answered(db::tenant(&app.db, org)).await?;
    hold(&mut tx, &caller).await?;
    let before = by_id(&mut tx, org, &id).await?;
    enabled(body.disabled)?;
    let key = body.key.as_deref().map(plain).transpose()?;
    let catalog = shelf.current();
    let listed = provider(&catalog, &before.provider)?;
    let mode = mode(
        body.is_fallback.unwrap_or(before.mode == Mode::Fallback),
        body.is_byok_only.unwrap_or(before.mode == Mode::Only),
    )?;
    let name = match body.name {
        None => before.name.clone(),
        Some(name) => name.unwrap_or_default(),
    };
    let asked =
        Asked { models: body.allowed_models, hashes: body.allowed_api_key_hashes, users: body.allowed_user_ids };
    let limits = byok_limits::resolve(&mut tx, org, &catalog, listed, asked, Some(&before)).await?;
    write(&mut tx, &caller, &origin, &terms, listed, Wish { key, name, mode, ..limits }).await?;
    let data = shown(&mut tx, org, &before.provider).await?;
    answered(tx.commit()).await?;
    Ok(private(to_bytes(&ProviderKeyBody { data })?))
}

/// Deletes a stored key; nothing of it is kept. The next call does without it.
///
/// # Errors
/// 401 without a valid key, 403 for a key that may not manage or whose maker may not change settings, 404 for an id of
/// nothing, 429 for too many requests, 503 while the database is away.
#[utoipa::path(
    delete,
    path = "/api/v1/byok/{id}",
    tag = "Own provider keys",
    params(("id" = String, Path, description = "The id of the stored key")),
    responses(
        (status = 200, body = DeletedBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn delete_provider_key(
    app: web::Data<App>,
    caller: Managing,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let org = caller.get().org;
    let origin = client::origin(&app, &request);
    let mut tx = answered(db::tenant(&app.db, org)).await?;
    hold(&mut tx, &caller).await?;
    let key = by_id(&mut tx, org, &id).await?;
    let entry = |action| entry(&caller, &origin, action);
    let writer = Writer { org, author: caller.get().created_by, entry: &entry };
    answered(integrations::remove(&mut tx, &writer, &key.provider)).await?;
    answered(tx.commit()).await?;
    Ok(private(to_bytes(&DeletedBody { deleted: true })?))
}

fn entry(caller: &Managing, origin: &Origin, action: Action) -> Entry {
    let caller = caller.get();
    Entry::new(Chain::Org(caller.org), Actor::Key(caller.key), action, origin).named(&caller.key_name)
}

fn enabled(disabled: Option<bool>) -> Result<(), ApiError> {
    if disabled == Some(true) {
        return Err(ApiError::invalid(
            "`disabled`: a key that is not to be used is deleted. There is no switch for it.",
        ));
    }
    Ok(())
}

/// Never repeats the key.
fn plain(key: &str) -> Result<PlainProviderKey, ApiError> {
    PlainProviderKey::parse(key).map_err(|error| ApiError::invalid(format!("`key`: {error}")))
}

fn mode(fallback: bool, only: bool) -> Result<Mode, ApiError> {
    match (fallback, only) {
        (true, true) => Err(ApiError::invalid("`is_fallback` and `is_byok_only` cannot both be true.")),
        (true, false) => Ok(Mode::Fallback),
        (false, true) => Ok(Mode::Only),
        (false, false) => Ok(Mode::First),
    }
}

fn provider<'a>(catalog: &'a Catalog, slug: &str) -> Result<&'a ListedProvider, ApiError> {
    let listed = catalog.provider(slug).filter(|listed| integrations::origin_for(listed).is_some());
    listed.map(|listed| &**listed).ok_or_else(|| ApiError::invalid("`provider` is none that takes keys here."))
}

/// Takes the organization's lock, and looks whether whoever made the key may change its settings.
async fn hold(conn: &mut PgConnection, caller: &Managing) -> Result<(), ApiError> {
    let caller = caller.get();
    answered(orgs::lock_org(conn, caller.org)).await?.ok_or_else(ApiError::not_found)?;
    let role = match caller.created_by {
        Some(maker) => answered(orgs::hold_role(conn, caller.org, maker)).await?,
        None => None,
    };
    let may = role.as_deref().and_then(Role::parse).is_some_and(|role| role.may(Permission::ManageSettings));
    if may {
        return Ok(());
    }
    Err(ApiError::forbidden("Only a key that an owner or admin made may change keys of providers."))
}

async fn by_id(conn: &mut PgConnection, org: OrgId, id: &str) -> Result<ProviderKey, ApiError> {
    let id: ProviderKeyId = id.parse().map_err(|_| ApiError::not_found())?;
    let found = answered(integrations::list(conn, org)).await?.into_iter().find(|key| key.id == id);
    found.ok_or_else(ApiError::not_found)
}

async fn shown(conn: &mut PgConnection, org: OrgId, provider: &str) -> Result<ProviderKeyData, ApiError> {
    let key = answered(integrations::find(conn, org, provider)).await?.ok_or_else(ApiError::internal)?;
    ProviderKeyData::of(conn, org, key).await
}

async fn write(
    conn: &mut PgConnection,
    caller: &Managing,
    origin: &Origin,
    terms: &Terms,
    listed: &ListedProvider,
    wish: Wish,
) -> Result<(), ApiError> {
    let entry = |action| entry(caller, origin, action);
    let writer = Writer { org: caller.get().org, author: caller.get().created_by, entry: &entry };
    integrations::write(conn, &writer, &terms.vault, listed, wish).await.map_err(|error| match error {
        ConnectError::Moved => ApiError::conflict(
            "The address of this provider has changed since the key was stored. Send the `key` again.",
        ),
        told @ (ConnectError::NoKey | ConnectError::NoAddress | ConnectError::Name | ConnectError::TooMany) => {
            ApiError::invalid(told.to_string())
        }
        ConnectError::Database(error) => {
            tracing::error!(%error, "a provider's key was not stored");
            ApiError::unavailable()
        }
        error @ (ConnectError::Org(_) | ConnectError::Vault(_)) => {
            tracing::error!(%error, "a provider's key was not stored");
            ApiError::internal()
        }
    })
}
