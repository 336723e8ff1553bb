//! Codes for programs: asking for one, and exchanging it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::callback::{Callback, Lenient};
use super::challenge::Challenge;
use super::code::{NewCode, Terms};
use super::consent::consent;
use super::exchange::{Brought, ExchangeError, exchange};
use crate::audit::Actor;
use crate::base::ids::AuthCodeId;
use crate::base::secret::Digest;
use crate::db;
use crate::keys::by::By;
use crate::keys::key::{KeyName, MAX_NAME};
use crate::keys::management::activity::workspace_of;
use crate::keys::management::extract::{Managing, paced_by_address};
use crate::keys::management::key_body::{LimitReset, limits_of};
use crate::keys::management::repeat::{Repeat, Seen};
use crate::keys::scope::Scope;
use crate::keys::under::hold_issuer;
use crate::web::api::{Amount, ApiError, ErrorBody, Strict, answered, json, present, private, to_bytes};
use crate::web::{App, client};

/// A code and what shows that it is brought by whoever asked for it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequest {
    code: String,
    /// The text whose SHA-256 was the `code_challenge`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    code_verifier: Option<String>,
    /// The method that the code was asked with, if the app repeats it.
    code_challenge_method: Option<Method>,
    /// The callback that the code was asked with, if the app repeats it.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    callback_url: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
pub enum Method {
    S256,
    #[serde(rename = "plain")]
    Plain,
}

/// A key for the app. It is shown only here.
#[derive(Serialize, ToSchema)]
pub struct ExchangeBody {
    pub key: String,
    pub user_id: Option<String>,
}

/// Exchanges a code for a key. Needs no key. A code works once, within ten minutes.
///
/// # Errors
/// 400 for a body that is not as it must be, 403 for a code that is not valid or was used, 429 for too many tries, 503
/// while the database is away.
#[utoipa::path(
    post,
    path = "/api/v1/auth/keys",
    tag = "Connect",
    security(()),
    request_body = ExchangeRequest,
    responses(
        (status = 200, body = ExchangeBody),
        (status = 400, body = ErrorBody),
        (status = 403, description = "The code is not valid, was used, or is too old", body = ErrorBody),
        (status = 408, body = ErrorBody),
        (status = 413, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn exchange_code(
    app: web::Data<App>,
    request: HttpRequest,
    body: Result<Strict<ExchangeRequest>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let origin = client::origin(&app, &request);
    paced_by_address(&request, &origin.ip)?;
    let body = body?.value;
    let brought = Brought {
        code: &body.code,
        verifier: body.code_verifier.as_deref(),
        method: body.code_challenge_method.map(|method| match method {
            Method::S256 => "S256",
            Method::Plain => "plain",
        }),
        callback: body.callback_url.as_deref(),
    };
    // For whom it is, the code itself says; until then nobody's rows are looked at.
    let mut tx = answered(app.db.begin()).await?;
    let exchanged = exchange(&mut tx, brought, app.clock.now(), &origin).await;
    if matches!(exchanged, Err(ExchangeError::Database(_))) {
        drop(tx);
    } else {
        answered(tx.commit()).await?;
    }
    match exchanged {
        Ok(made) => {
            let user_id = made.person.map(|person| person.to_string());
            Ok(private(to_bytes(&ExchangeBody { key: made.issued.plain.reveal().to_owned(), user_id })?))
        }
        Err(ExchangeError::Database(error)) => {
            tracing::error!(%error, "a code was not exchanged");
            Err(ApiError::unavailable())
        }
        Err(ExchangeError::Under(error)) => Err(error.into()),
        Err(told @ ExchangeError::OtherMethod) => Err(ApiError::invalid(told.to_string())),
        Err(told) => Err(ApiError::forbidden(told.to_string())),
    }
}

/// What a program asks a code for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRequest {
    /// Where the code will be taken to: https, or http on localhost.
    #[schema(format = "uri")]
    callback_url: String,
    /// The SHA-256 of the verifier in URL-safe base 64.
    #[schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    code_challenge: String,
    #[serde(default, deserialize_with = "present")]
    #[schema(inline, nullable = false)]
    code_challenge_method: Option<OnlyS256>,
    /// The name of the key; the app's host without it.
    #[serde(default, deserialize_with = "present")]
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
        nullable = false
    )]
    key_label: Option<String>,
    /// Where the key stops, in US dollars.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000_000, nullable = false)]
    limit: Option<Amount>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    usage_limit_type: Option<LimitReset>,
    expires_at: Option<DateTime<Utc>>,
    /// The workspace, which is the organization's own.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    workspace_id: Option<String>,
    /// Read for clients that send it, and not kept.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    spawn_agent: Option<String>,
    /// Read for clients that send it, and not kept.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    spawn_cloud: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
pub enum OnlyS256 {
    S256,
}

/// The answer of `POST /auth/keys/code`.
#[derive(Serialize, ToSchema)]
pub struct CodeBody {
    pub data: CodeInfo,
}

#[derive(Serialize, ToSchema)]
pub struct CodeInfo {
    /// The code.
    pub id: String,
    /// A number for the host of the callback.
    pub app_id: u32,
    pub created_at: DateTime<Utc>,
}

/// Makes a code for an app. The key that it becomes counts as issued by the provisioning key of the request.
///
/// # Errors
/// 400 for a body that is not as it must be, 401 without a valid key, 403 for a key that may not manage and for what goes
/// beyond what it may do itself, 409 for an `Idempotency-Key` that was used with another body, 503 while the database is
/// away.
#[utoipa::path(
    post,
    path = "/api/v1/auth/keys/code",
    tag = "Connect",
    params(("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]{1,255}$", description = "Repeating a request with the same key gives the first answer")),
    request_body = CodeRequest,
    responses(
        (status = 200, body = CodeBody),
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
pub async fn make_code(
    app: web::Data<App>,
    lenient: web::Data<Lenient>,
    caller: Managing,
    request: HttpRequest,
    body: Result<Strict<CodeRequest>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let body = body?;
    let repeat = Repeat::read(&request, &caller, "code", &body.bytes)?;
    let (org, now, body) = (caller.get().org, app.clock.now(), body.value);
    if body.workspace_id.as_ref().is_some_and(|asked| *asked != workspace_of(org)) {
        return Err(ApiError::not_found());
    }
    let callback = Callback::parse(&body.callback_url, &lenient);
    let callback = callback.map_err(|error| ApiError::forbidden(format!("{error}.")))?;
    let _ = (body.code_challenge_method, body.spawn_agent, body.spawn_cloud);
    let challenge = Challenge::read(&body.code_challenge, "S256", false);
    let challenge = challenge.map_err(|error| ApiError::invalid(format!("{error}.")))?;
    let name = match &body.key_label {
        Some(label) => {
            KeyName::parse(label).map_err(|error| ApiError::invalid(format!("`key_label`: the key {error}.")))?
        }
        None => named_after(&callback)?,
    };
    let terms = Terms { name, limits: limits_of(body.limit, body.usage_limit_type), expires_at: body.expires_at };
    let mut tx = answered(db::tenant(&app.db, org)).await?;
    if let Seen::Before(first) = repeat.begin(&mut tx, now).await? {
        return Ok(first);
    }
    // What goes beyond the scope is told now; the exchange looks again.
    let issuer = hold_issuer(&mut tx, org, caller.get().key, None, now).await?;
    let asked = Scope { expires_at: terms.expires_at, ..Scope::default() };
    Scope::of(&issuer).narrow(asked, now)?;
    let new = NewCode {
        id: AuthCodeId::fresh(),
        person: issuer.created_by,
        issued_by: Some(issuer.id),
        callback: Some(&callback),
        challenge: &challenge,
        terms: &terms,
    };
    let origin = client::origin(&app, &request);
    let by = By { actor: Actor::Key(issuer.id), name: &issuer.name, origin: &origin };
    let code = answered(consent(&mut tx, &by, org, now, &new)).await?.ok_or_else(ApiError::internal)?;
    let data = CodeInfo { id: code.reveal().to_owned(), app_id: app_id(&callback), created_at: now };
    let answer = to_bytes(&CodeBody { data })?;
    repeat.keep(&mut tx, StatusCode::OK, &answer).await?;
    answered(tx.commit()).await?;
    Ok(json(StatusCode::OK, answer))
}

/// The name of an app's key that nobody named: its host, or as much of that as fits.
fn named_after(callback: &Callback) -> Result<KeyName, ApiError> {
    let app: String = callback.app().chars().take(MAX_NAME).collect();
    KeyName::parse(&app).map_err(|error| ApiError::invalid(format!("The key {error}.")))
}

/// The same for every address of a host.
fn app_id(callback: &Callback) -> u32 {
    let digest = Digest::of(callback.app());
    let bytes = digest.as_bytes().first_chunk().copied().unwrap_or_default();
    // Without its first bit, so that it fits wherever a number fits.
    u32::from_be_bytes(bytes) >> 1
}
