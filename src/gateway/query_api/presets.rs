//! Presets for programs: a key that was not handed on may read them, one that manages keys may write them.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::{Postgres, Transaction};
use utoipa::ToSchema;

use super::QueryApi;
use crate::audit::{Actor, Chain, Entry};
use crate::base::ids::PresetId;
use crate::base::slug::Slug;
use crate::gateway::error::ApiError;
use crate::gateway::wire::check_depth;
use crate::gateway::wire::schema::ChatCompletionRequest;
use crate::keys::Caller;
use crate::keys::management::extract::{AnyCaller, Managing};
use crate::keys::management::repeat::{Repeat, Seen};
use crate::presets::{self, Config, Content, Flaw, Missing, Preset, PresetError, PresetName, Status, Version, Writer};
use crate::web::api::{ErrorBody, answered, private, to_bytes};
use crate::web::{App, client};

/// Bytes of a request body from which a preset is made: what a preset keeps is far less.
const MAX_BODY: usize = 1_000_000;
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 100;
const MAX_OFFSET: u32 = 1_000_000;
/// Flaws that an error names.
const MAX_FLAWS: usize = 5;

/// A preset without its content.
#[derive(Serialize, ToSchema)]
pub struct PresetInfo {
    pub id: String,
    pub slug: String,
    pub name: String,
    pub description: Option<String>,
    /// `active` or `archived`.
    pub status: &'static str,
    pub status_updated_at: Option<String>,
    /// The organization.
    pub workspace_id: String,
    pub creator_user_id: Option<String>,
    /// The version that calls get.
    pub designated_version_id: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

/// One version of a preset.
#[derive(Serialize, ToSchema)]
pub struct PresetVersionInfo {
    pub id: String,
    pub preset_id: String,
    pub version: i32,
    pub system_prompt: Option<String>,
    /// The fields of a request that it stands for; as they are stored where they cannot be read, and then no call gets them.
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    pub creator_id: String,
    pub created_at: String,
    pub updated_at: String,
}

/// A preset with the version that calls get.
#[derive(Serialize, ToSchema)]
pub struct PresetWithVersion {
    #[serde(flatten)]
    pub preset: PresetInfo,
    pub designated_version: PresetVersionInfo,
}

/// The answer of `GET /presets`.
#[derive(Serialize, ToSchema)]
pub struct PresetsBody {
    pub data: Vec<PresetInfo>,
    pub total_count: i64,
}

/// The answer of `GET /presets/{slug}`.
#[derive(Serialize, ToSchema)]
pub struct PresetBody {
    pub data: PresetWithVersion,
}

/// The answer of `GET /presets/{slug}/versions`.
#[derive(Serialize, ToSchema)]
pub struct PresetVersionsBody {
    pub data: Vec<PresetVersionInfo>,
    pub total_count: i32,
}

/// The answer of `GET /presets/{slug}/versions/{version}`.
#[derive(Serialize, ToSchema)]
pub struct PresetVersionBody {
    pub data: PresetVersionInfo,
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl PresetInfo {
    fn of(preset: &Preset, version: uuid::Uuid) -> PresetInfo {
        PresetInfo {
            id: preset.id.to_string(),
            slug: preset.slug.clone(),
            name: preset.name.clone(),
            description: Some(preset.description.clone()).filter(|text| !text.is_empty()),
            status: preset.status.as_str(),
            status_updated_at: preset.status_changed_at.map(time),
            workspace_id: preset.org.to_string(),
            creator_user_id: preset.author.id.map(|person| person.to_string()),
            designated_version_id: Some(PresetId(version).to_string()),
            created_at: time(preset.created_at),
            updated_at: time(preset.updated_at),
        }
    }
}

impl PresetVersionInfo {
    fn of(preset: &Preset, version: &Version) -> PresetVersionInfo {
        PresetVersionInfo {
            id: PresetId(version.id).to_string(),
            preset_id: preset.id.to_string(),
            version: version.number,
            system_prompt: Some(version.system_prompt.clone()).filter(|text| !text.is_empty()),
            config: version.to_map(),
            // A string in every version, also of somebody who left.
            creator_id: version.author.id.map(|person| person.to_string()).unwrap_or_default(),
            created_at: time(version.created_at),
            updated_at: time(version.created_at),
        }
    }
}

#[derive(Deserialize)]
pub struct PageQuery {
    #[serde(default)]
    offset: Option<u32>,
    #[serde(default)]
    limit: Option<i64>,
}

impl PageQuery {
    fn limit(&self) -> Result<i64, ApiError> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        let fits = (1..=MAX_LIMIT).contains(&limit);
        if fits { Ok(limit) } else { Err(ApiError::invalid(format!("limit must be from 1 to {MAX_LIMIT}."))) }
    }

    fn offset(&self) -> Result<u32, ApiError> {
        let offset = self.offset.unwrap_or(0);
        if offset <= MAX_OFFSET {
            Ok(offset)
        } else {
            Err(ApiError::invalid(format!("offset must be at most {MAX_OFFSET}.")))
        }
    }
}

type Paged = Result<web::Query<PageQuery>, actix_web::Error>;

fn paged(query: Paged) -> Result<PageQuery, ApiError> {
    query.map(web::Query::into_inner).map_err(|_| ApiError::invalid("offset and limit must be whole numbers."))
}

/// Lists the presets of the key's organization, changed last first, without the archived ones.
///
/// # Errors
/// 400 for a wrong limit, 401 without a valid key, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/presets",
    tag = "Presets",
    params(
        ("offset" = Option<u32>, Query, minimum = 0, maximum = 1_000_000, description = "Leave out so many"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "At most so many, 50 unless told, up to 100"),
    ),
    responses(
        (status = 200, body = PresetsBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn list_presets(api: web::Data<QueryApi>, caller: AnyCaller, query: Paged) -> Result<HttpResponse, ApiError> {
    let (query, caller) = (paged(query)?, reader(&caller)?);
    let (offset, limit) = (i64::from(query.offset()?), query.limit()?);
    let mut conn = api.tenant(caller).await?;
    let found = answered(presets::list(&mut conn, caller.org, Status::Active, offset, limit)).await?;
    let total_count = answered(presets::count_active(&mut conn, caller.org)).await?;
    let data = found.iter().map(|listed| PresetInfo::of(&listed.preset, listed.version)).collect();
    Ok(private(to_bytes(&PresetsBody { data, total_count })?))
}

/// Shows one preset with the version that calls get.
///
/// # Errors
/// 401 without a valid key, 404 for a slug that the organization does not have, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/presets/{slug}",
    tag = "Presets",
    params(("slug" = String, Path, description = "What programs call it, without @preset/")),
    responses(
        (status = 200, body = PresetBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn get_preset(
    api: web::Data<QueryApi>,
    caller: AnyCaller,
    slug: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let caller = reader(&caller)?;
    let mut conn = api.tenant(caller).await?;
    let preset = find(&mut conn, caller, &slug).await?;
    Ok(private(to_bytes(&PresetBody { data: whole(&mut conn, &preset).await? })?))
}

/// Lists the versions of a preset, newest first.
///
/// # Errors
/// As [`get_preset`].
#[utoipa::path(
    get,
    path = "/api/v1/presets/{slug}/versions",
    tag = "Presets",
    params(
        ("slug" = String, Path, description = "What programs call it"),
        ("offset" = Option<u32>, Query, minimum = 0, maximum = 1_000_000, description = "Leave out so many"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "At most so many, 50 unless told, up to 100"),
    ),
    responses(
        (status = 200, body = PresetVersionsBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn list_versions(
    api: web::Data<QueryApi>,
    caller: AnyCaller,
    slug: web::Path<String>,
    query: Paged,
) -> Result<HttpResponse, ApiError> {
    let query = paged(query)?;
    let limit = query.limit()?;
    let caller = reader(&caller)?;
    let mut conn = api.tenant(caller).await?;
    let preset = find(&mut conn, caller, &slug).await?;
    let newest = answered(presets::versions(&mut conn, preset.org, preset.id, None, 1)).await?;
    // Versions are numbered without gaps, so an offset is a number.
    let total_count = newest.first().map_or(0, |version| version.number);
    let offset = i32::try_from(query.offset()?).unwrap_or(i32::MAX);
    let before = total_count.saturating_add(1).saturating_sub(offset);
    let found = answered(presets::versions(&mut conn, preset.org, preset.id, Some(before), limit)).await?;
    let data = found.iter().map(|version| PresetVersionInfo::of(&preset, version)).collect();
    Ok(private(to_bytes(&PresetVersionsBody { data, total_count })?))
}

/// Shows one version of a preset.
///
/// # Errors
/// As [`get_preset`].
#[utoipa::path(
    get,
    path = "/api/v1/presets/{slug}/versions/{version}",
    tag = "Presets",
    params(("slug" = String, Path, description = "What programs call it"), ("version" = i32, Path, description = "Its number")),
    responses(
        (status = 200, body = PresetVersionBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn get_version(
    api: web::Data<QueryApi>,
    caller: AnyCaller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (slug, version) = path.into_inner();
    let number: i32 = version.parse().map_err(|_| ApiError::not_found())?;
    let caller = reader(&caller)?;
    let mut conn = api.tenant(caller).await?;
    let preset = find(&mut conn, caller, &slug).await?;
    let version = answered(presets::version(&mut conn, preset.org, preset.id, number)).await?;
    let version = version.ok_or_else(ApiError::not_found)?;
    Ok(private(to_bytes(&PresetVersionBody { data: PresetVersionInfo::of(&preset, &version) })?))
}

/// Makes a preset of the body of a chat completion, or the next version of one that is there. Messages, `stream` and
/// whatever else a preset does not keep are passed over; system messages become its system prompt. The same for
/// `/messages` and `/responses`, whose `system` and `instructions` are read. Needs a key that manages keys.
///
/// # Errors
/// 400 for a body that makes no preset, 403 for a key that may not, 404 for an archived preset, 409 for an `Idempotency-Key` that
/// was used for something else, 429 for too many requests, 503 while the database is away.
#[utoipa::path(
    post,
    path = "/api/v1/presets/{slug}/chat/completions",
    tag = "Presets",
    params(
        ("slug" = String, Path, description = "Made if it is not there"),
        ("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]{1,255}$", description = "Repeating a request with the same key within a day gives the first answer"),
    ),
    request_body = ChatCompletionRequest,
    responses(
        (status = 200, body = PresetBody),
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
pub async fn write_preset(
    request: HttpRequest,
    app: web::Data<App>,
    api: web::Data<QueryApi>,
    managing: Managing,
    slug: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = managing.get();
    let slug = Slug::parse(&slug).map_err(|error| ApiError::invalid(format!("The slug {error}.")))?;
    if caller.rules.preset.as_ref() == Some(&slug) {
        // Its price cap and its conditions hold for this key and for all that it issues.
        let told = "This API key is bound to this preset, so it may not change it. An admin can, on its page.";
        return Err(ApiError::forbidden(told));
    }
    let body = payload.to_bytes_limited(MAX_BODY).await.map_err(|_| ApiError::too_large(MAX_BODY))?;
    let body = body.map_err(|error| ApiError::unread(&error))?;
    let repeat = Repeat::read(&request, &managing, &format!("preset {slug}"), &body)?;
    let (system_prompt, config) = read(&body)?;
    let origin = client::origin(&app, &request);
    let entry =
        |action| Entry::new(Chain::Org(caller.org), Actor::Key(caller.key), action, &origin).named(&caller.key_name);
    let writer = Writer { org: caller.org, author: caller.created_by, entry: &entry };
    let mut tx = api.tenant(caller).await?;
    if let Seen::Before(first) = repeat.begin(&mut tx, app.clock.now()).await? {
        return Ok(first);
    }
    let known = answered(presets::find_by_slug(&mut tx, caller.org, slug.as_str())).await?;
    let id = known.as_ref().map_or_else(PresetId::fresh, |preset| preset.id);
    match known {
        Some(preset) => {
            let name = PresetName::parse(&preset.name).ok_or_else(ApiError::internal)?;
            let content = Content { name, description: preset.description.clone(), system_prompt, config };
            presets::revise(&mut tx, &writer, &preset, None, &content).await.map_err(|error| told(error, &slug))?;
        }
        None => {
            let name = PresetName::parse(slug.as_str()).ok_or_else(ApiError::internal)?;
            let content = Content { name, description: String::new(), system_prompt, config };
            presets::create(&mut tx, &writer, id, &slug, &content).await.map_err(|error| told(error, &slug))?;
        }
    }
    let preset = find(&mut tx, caller, slug.as_str()).await?;
    let answer = to_bytes(&PresetBody { data: whole(&mut tx, &preset).await? })?;
    repeat.keep(&mut tx, StatusCode::OK, &answer).await?;
    answered(tx.commit()).await?;
    Ok(private(answer))
}

/// Whoever holds a key that was handed on may call with presets, but what they say is the organization's own.
fn reader(caller: &AnyCaller) -> Result<&Caller, ApiError> {
    let caller = caller.get();
    if caller.handed_on {
        let told = "This API key may not read the presets of its organization. Calls with it may name them.";
        return Err(ApiError::forbidden(told));
    }
    Ok(caller)
}

async fn find(conn: &mut Transaction<'_, Postgres>, caller: &Caller, slug: &str) -> Result<Preset, ApiError> {
    let unknown = || ApiError::no_preset(slug, "", Missing::Unknown);
    // What is no slug is nobody's, and may hold what the database does not take.
    let read = Slug::parse(slug).map_err(|_| unknown())?;
    let found = answered(presets::find_by_slug(conn, caller.org, read.as_str())).await?;
    found.ok_or_else(unknown)
}

async fn whole(conn: &mut Transaction<'_, Postgres>, preset: &Preset) -> Result<PresetWithVersion, ApiError> {
    let version = answered(presets::version(conn, preset.org, preset.id, preset.version)).await?;
    let version = version.ok_or_else(ApiError::internal)?;
    Ok(PresetWithVersion {
        preset: PresetInfo::of(preset, version.id),
        designated_version: PresetVersionInfo::of(preset, &version),
    })
}

/// The system prompt and the rest of a request, in the shape of any of the three ways to call a model.
fn read(bytes: &[u8]) -> Result<(String, Config), ApiError> {
    let body = check_depth(bytes).then(|| serde_json::from_slice::<Value>(bytes));
    let Some(Ok(Value::Object(body))) = body else {
        return Err(ApiError::invalid("The request body is not a JSON object."));
    };
    let config = Config::parse(&body).map_err(|flaws| flawed(&flaws))?;
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    let is_system =
        |message: &&Value| matches!(message.get("role").and_then(Value::as_str), Some("system" | "developer"));
    let of_messages = messages.filter(is_system).filter_map(|message| message.get("content"));
    let beside = ["system", "instructions"].into_iter().filter_map(|name| body.get(name));
    let texts: Vec<String> = beside.chain(of_messages).map(text).filter(|text| !text.is_empty()).collect();
    Ok((texts.join("\n\n"), config))
}

/// A text, or the texts of parts.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn flawed(flaws: &[Flaw]) -> ApiError {
    let said = flaws.iter().take(MAX_FLAWS).map(|flaw| match flaw.field.as_str() {
        "provider" => flaw.problem.trim_end_matches('.').to_owned(),
        field => format!("{field} {}", flaw.problem.trim_end_matches('.')),
    });
    ApiError::invalid(format!("{}.", said.collect::<Vec<_>>().join("; ")))
}

fn told(error: PresetError, slug: &Slug) -> ApiError {
    match error {
        PresetError::Flaws(flaws) => flawed(&flaws),
        PresetError::Archived => ApiError::no_preset(slug.as_str(), "", Missing::Archived),
        PresetError::TooMany | PresetError::TooManyVersions => ApiError::unprocessable(error.to_string()),
        PresetError::Database(error) => {
            tracing::error!(%error, "a preset could not be written");
            ApiError::unavailable()
        }
        // Somebody else wrote the same one at this moment.
        PresetError::SlugTaken | PresetError::Again | PresetError::Overtaken(_) => ApiError::unavailable(),
        PresetError::NotFound => ApiError::no_preset(slug.as_str(), "", Missing::Unknown),
        PresetError::Org(_) => ApiError::internal(),
    }
}
