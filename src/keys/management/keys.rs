//! Keys by program: list, create, read, change, delete.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use super::activity::own_workspace;
use super::extract::Managing;
use super::key_body::{CreateKey, KeyData, UpdateKey, Whole, limits_of};
use super::repeat::{Repeat, Seen};
use crate::audit::Actor;
use crate::base::Origin;
use crate::base::ids::{MeterId, OrgId, PersonId};
use crate::base::secret::Digest;
use crate::db;
use crate::keys::edit::{self, Changes, EditError};
use crate::keys::issue::NewKey;
use crate::keys::key::{Key, KeyKind, KeyName};
use crate::keys::rules::{Models, PerMinute, Rules};
use crate::keys::scope::Scope;
use crate::keys::store::IssuedQuery;
use crate::keys::under::{hold_issuer, issue_under};
use crate::keys::{By, EnableError, delete, disable, enable, store};
use crate::ledger::{self, MeterState};
use crate::orgs;
use crate::web::api::{ApiError, Data, ErrorBody, Strict, StrictQuery, answered, json, private, to_bytes};
use crate::web::{App, client};

/// Keys in one answer.
const PAGE: i64 = 100;
/// Far more than an organization can have.
const MAX_OFFSET: u32 = 1_000_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Leave out so many.
    #[param(minimum = 0, maximum = 1_000_000)]
    offset: Option<u32>,
    /// Disabled keys too.
    include_disabled: Option<bool>,
    /// Expired keys too.
    include_expired: Option<bool>,
    /// The workspace, which is the organization's own.
    workspace_id: Option<String>,
}

/// Keys, the newest first, at most a hundred.
#[derive(Serialize, ToSchema)]
pub struct KeysBody {
    pub data: Vec<KeyData>,
}

/// One key.
#[derive(Serialize, ToSchema)]
pub struct OneKeyBody {
    pub data: KeyData,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub struct CreatedKeyBody {
    pub data: KeyData,
    /// The key itself. It is shown only here.
    pub key: String,
}

#[derive(Serialize, ToSchema)]
pub struct DeletedBody {
    /// Always true.
    pub deleted: bool,
}

/// Lists keys that the provisioning key of the request issued, the newest first, a hundred at a time.
///
/// # Errors
/// 400 for a query that cannot be read, 401 without a valid key, 403 for a key that may not manage, 404 for another
/// workspace, 429 for too many requests, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/keys",
    tag = "Keys",
    params(ListQuery),
    responses(
        (status = 200, body = KeysBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn list_keys(
    app: web::Data<App>,
    caller: Managing,
    query: Result<StrictQuery<ListQuery>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let (org, query) = (caller.get().org, query?.0);
    own_workspace(org, query.workspace_id.as_deref())?;
    let offset = query.offset.unwrap_or(0);
    if offset > MAX_OFFSET {
        return Err(ApiError::invalid(format!("`offset` must be at most {MAX_OFFSET}.")));
    }
    let mut conn = answered(db::tenant(&app.db, org)).await?;
    let wanted = IssuedQuery {
        issuer: caller.get().key,
        disabled: query.include_disabled.unwrap_or(false),
        expired: query.include_expired.unwrap_or(false),
        now: app.clock.now(),
        offset: offset.into(),
        limit: PAGE,
    };
    let keys = answered(store::issued(&mut conn, org, &wanted)).await?;
    let meters = meters(&mut conn, org, &keys).await?;
    // A key without its meter is none: both are made in one transaction.
    let data = keys.iter().filter_map(|key| {
        let meter = meters.iter().find(|meter| meter.id == key.meter());
        meter.map(|meter| KeyData::of(key, meter))
    });
    Ok(private(to_bytes(&KeysBody { data: data.collect() })?))
}

/// Makes a key. It is shown only in this answer.
///
/// # Errors
/// 400 for a body that is not as it must be, 401 without a valid key, 403 for a key that may not manage and for what goes
/// beyond what it may do itself, 404 for a member or a workspace that is not there, 409 for an `Idempotency-Key` that was
/// used with another body, 429 for too many requests, 503 while the database is away.
#[utoipa::path(
    post,
    path = "/api/v1/keys",
    tag = "Keys",
    params(("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]{1,255}$", description = "Repeating a request with the same key within a day gives the first answer")),
    request_body = CreateKey,
    responses(
        (status = 201, body = CreatedKeyBody),
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
pub async fn create_key(
    app: web::Data<App>,
    caller: Managing,
    request: HttpRequest,
    body: Result<Strict<CreateKey>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let body = body?;
    let repeat = Repeat::read(&request, &caller, "key", &body.bytes)?;
    let (org, now, issuer) = (caller.get().org, app.clock.now(), caller.get().key);
    own_workspace(org, body.value.workspace_id.as_deref())?;
    let creator = body.value.creator_user_id.clone();
    let new = new_key(body.value)?;
    let origin = client::origin(&app, &request);
    let mut tx = answered(db::tenant(&app.db, org)).await?;
    if let Seen::Before(first) = repeat.begin(&mut tx, now).await? {
        return Ok(first);
    }
    let creator = member(&mut tx, org, creator.as_deref()).await?;
    let issued = issue_under(&mut tx, &by(&caller, &origin), org, issuer, creator, now, new).await?;
    let key = answered(store::find(&mut tx, org, issued.id)).await?.ok_or_else(ApiError::internal)?;
    let meter = meter(&mut tx, &key).await?;
    let made = CreatedKeyBody { data: KeyData::of(&key, &meter), key: issued.plain.reveal().to_owned() };
    let answer = to_bytes(&made)?;
    repeat.keep(&mut tx, StatusCode::CREATED, &answer).await?;
    answered(tx.commit()).await?;
    Ok(json(StatusCode::CREATED, answer))
}

/// Reads a key that the provisioning key of the request issued.
///
/// # Errors
/// 401 without a valid key, 403 for a key that may not manage, 404 for a hash of no key of its own, 429 for too many
/// requests, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/keys/{hash}",
    tag = "Keys",
    params(("hash" = String, Path, description = "The SHA-256 of the key in hex")),
    responses(
        (status = 200, body = OneKeyBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn read_key(
    app: web::Data<App>,
    caller: Managing,
    hash: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let mut conn = answered(db::tenant(&app.db, caller.get().org)).await?;
    let key = own_key(&mut conn, &caller, &hash).await?;
    shown(&mut conn, &key).await
}

/// Changes a key that the provisioning key of the request issued. What is not in the body stays as it is.
///
/// # Errors
/// 400 for a body that is not as it must be, 401 without a valid key, 403 for a key that may not manage and for what goes
/// beyond what it may do itself, 404 for a hash of no key of its own, 409 where `limit` could mean several limits, 429 for
/// too many requests, 503 while the database is away.
#[utoipa::path(
    patch,
    path = "/api/v1/keys/{hash}",
    tag = "Keys",
    params(("hash" = String, Path, description = "The SHA-256 of the key in hex")),
    request_body = UpdateKey,
    responses(
        (status = 200, body = OneKeyBody),
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
pub async fn update_key(
    app: web::Data<App>,
    caller: Managing,
    request: HttpRequest,
    hash: web::Path<String>,
    body: Result<Strict<UpdateKey>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let (org, now, body) = (caller.get().org, app.clock.now(), body?.value);
    own_workspace(org, body.workspace_id.as_deref())?;
    let origin = client::origin(&app, &request);
    let by = by(&caller, &origin);
    let mut tx = answered(db::tenant(&app.db, org)).await?;
    let key = own_key(&mut tx, &caller, &hash).await?;
    // The issuer first, as where keys are made and where it is deleted, so that nobody waits crosswise.
    let issuer = hold_issuer(&mut tx, org, caller.get().key, key.created_by, now).await?;
    // What stands on the key is read under its lock: one of two changes that come at once would else undo the other.
    let key = edit::lock(&mut tx, org, key.id, None).await.map_err(not_edited)?;
    let meter = meter(&mut tx, &key).await?;
    let changes = changes(&body, &Scope::of(&issuer), &meter, now)?;
    let changed = edit::edit(&mut tx, &by, org, key.id, None, changes).await.map_err(not_edited)?;
    match body.disabled {
        Some(true) => {
            answered(disable(&mut tx, &by, org, changed.id)).await?;
        }
        Some(false) => {
            enable(&mut tx, &by, org, changed.id).await.map_err(|error| match error {
                EnableError::Database(error) => database(&error),
                told => ApiError::forbidden(told.to_string()),
            })?;
        }
        None => {}
    }
    let key = answered(store::find(&mut tx, org, key.id)).await?.ok_or_else(ApiError::not_found)?;
    let answer = shown(&mut tx, &key).await?;
    answered(tx.commit()).await?;
    Ok(answer)
}

/// Deletes a key that the provisioning key of the request issued. Its calls stay in the activity log.
///
/// # Errors
/// 401 without a valid key, 403 for a key that may not manage, 404 for a hash of no key of its own, 429 for too many
/// requests, 503 while the database is away.
#[utoipa::path(
    delete,
    path = "/api/v1/keys/{hash}",
    tag = "Keys",
    params(("hash" = String, Path, description = "The SHA-256 of the key in hex")),
    responses(
        (status = 200, body = DeletedBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn delete_key(
    app: web::Data<App>,
    caller: Managing,
    request: HttpRequest,
    hash: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let org = caller.get().org;
    let origin = client::origin(&app, &request);
    let mut tx = answered(db::tenant(&app.db, org)).await?;
    let key = own_key(&mut tx, &caller, &hash).await?;
    if !answered(delete(&mut tx, &by(&caller, &origin), org, key.id)).await? {
        return Err(ApiError::not_found());
    }
    answered(tx.commit()).await?;
    Ok(private(to_bytes(&DeletedBody { deleted: true })?))
}

fn by<'a>(caller: &'a Managing, origin: &'a Origin) -> By<'a> {
    By { actor: Actor::Key(caller.get().key), name: &caller.get().key_name, origin }
}

fn database(error: &sqlx::Error) -> ApiError {
    tracing::error!(%error, "the database did not do what a program asked");
    ApiError::unavailable()
}

fn not_edited(error: EditError) -> ApiError {
    match error {
        EditError::NotFound | EditError::ChangedMeanwhile => ApiError::not_found(),
        EditError::Database(error) => database(&error),
    }
}

/// A key that the caller issued. What somebody else made, here or elsewhere, is as if it were not there.
async fn own_key(conn: &mut PgConnection, caller: &Managing, hash: &str) -> Result<Key, ApiError> {
    let digest = hex::decode(hash).ok().and_then(|bytes| Digest::from_bytes(&bytes));
    let digest = digest.ok_or_else(ApiError::not_found)?;
    let found = answered(store::find_issued(conn, caller.get().org, caller.get().key, &digest)).await?;
    found.ok_or_else(ApiError::not_found)
}

async fn meters(conn: &mut PgConnection, org: OrgId, keys: &[Key]) -> Result<Vec<MeterState>, ApiError> {
    let ids: Vec<MeterId> = keys.iter().map(Key::meter).collect();
    answered(ledger::meter_states(conn, org, &ids)).await
}

async fn meter(conn: &mut PgConnection, key: &Key) -> Result<MeterState, ApiError> {
    let found = answered(ledger::meter_states(conn, key.org, &[key.meter()])).await?;
    found.into_iter().next().ok_or_else(ApiError::internal)
}

async fn shown(conn: &mut PgConnection, key: &Key) -> Result<HttpResponse, ApiError> {
    let meter = meter(conn, key).await?;
    Ok(private(to_bytes(&Data { data: KeyData::of(key, &meter) })?))
}

async fn member(conn: &mut PgConnection, org: OrgId, id: Option<&str>) -> Result<Option<PersonId>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    let person: PersonId = id.parse().map_err(|_| ApiError::not_found())?;
    let member = answered(orgs::member_row(conn, org, person)).await?;
    Ok(Some(member.ok_or_else(ApiError::not_found)?.person))
}

fn new_key(body: CreateKey) -> Result<NewKey, ApiError> {
    let name = key_name(&body.name)?;
    let limits = body.limits.unwrap_or_default().and(limits_of(body.limit, body.limit_reset));
    let rules = Rules {
        models: models(body.allowed_models.as_deref())?,
        per_minute: per_minute(body.requests_per_minute)?,
        ..Rules::default()
    };
    Ok(NewKey {
        limits,
        include_byok: body.include_byok_in_limit.unwrap_or(false),
        expires_at: body.expires_at,
        rules,
        ..NewKey::named(name, KeyKind::Inference)
    })
}

fn changes(
    body: &UpdateKey,
    scope: &Scope,
    meter: &MeterState,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Changes, ApiError> {
    let limits = body.limits(&meter.limits).map_err(|_| {
        ApiError::conflict("Limits of several windows stand on this key. Change them with `limits`, all together.")
    })?;
    let asked_models = body.allowed_models.as_ref().map(|asked| models(asked.as_deref())).transpose()?;
    let asked_calls = body.requests_per_minute.map(per_minute).transpose()?;
    let asked = Scope { models: asked_models.clone().flatten(), per_minute: asked_calls.flatten(), expires_at: None };
    let given = scope.narrow(asked, now)?;
    Ok(Changes {
        name: body.name.as_deref().map(key_name).transpose()?,
        limits,
        include_byok: body.include_byok_in_limit,
        models: asked_models.map(|_| given.models),
        per_minute: asked_calls.map(|_| given.per_minute),
        ..Changes::default()
    })
}

fn key_name(text: &str) -> Result<KeyName, ApiError> {
    KeyName::parse(text).map_err(|error| ApiError::invalid(format!("`name`: the key {error}.")))
}

/// A list that allows nothing is a mistake, for an empty one could be read as any.
fn models(asked: Option<&[String]>) -> Result<Option<Models>, ApiError> {
    let Some(asked) = asked else { return Ok(None) };
    let empty = asked.is_empty() || asked.iter().any(|entry| entry.trim().is_empty());
    let parsed = Models::parse(asked.iter().map(String::as_str));
    match parsed {
        Ok(Some(models)) if !empty => Ok(Some(models)),
        Ok(_) => Err(ApiError::invalid("`allowed_models` must name at least one model, or be null.")),
        Err(error) => Err(ApiError::invalid(format!("`allowed_models`: {error}."))),
    }
}

fn per_minute(asked: Option<Whole>) -> Result<Option<PerMinute>, ApiError> {
    let wrong = |error: crate::keys::rules::RuleError| ApiError::invalid(format!("`requests_per_minute` {error}."));
    asked.map(|Whole(calls)| PerMinute::new(calls).map_err(wrong)).transpose()
}
