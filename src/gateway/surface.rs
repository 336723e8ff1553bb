//! The paths of the API, and its OpenAPI document.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderValue, VIA,
};
use actix_web::middleware::{Next, NormalizePath, TrailingSlash, from_fn};
use actix_web::{HttpRequest, HttpResponse, ResponseError, Route, web};
use utoipa::OpenApi;

use super::error::ApiError;
use super::query_api::{content, model, presets};
use super::{api, hops, query_api};
use crate::keys::connect::api as connect;
use crate::keys::management::{activity, analytics, byok, keys, members};
use crate::web::{App, hosts};

/// Clients write either; both serve the same.
const PREFIXES: [&str; 2] = ["/api/v1", "/v1"];

/// What libraries can ask of others, and nobody here: all of it needs a memory, or another kind of model.
const NOT_OFFERED: [&str; 12] = [
    "assistants",
    "audio",
    "batches",
    "conversations",
    "files",
    "fine_tuning",
    "images",
    "moderations",
    "realtime",
    "responses",
    "threads",
    "vector_stores",
];
/// Characters of a path that an error repeats.
const MAX_SHOWN: usize = 120;

/// Whether a path belongs to the API, also as clients that concatenate carelessly write it (`//v1//models`).
#[must_use]
pub fn is_api_path(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    let rest = path.strip_prefix("api/").map_or(path, |rest| rest.trim_start_matches('/'));
    rest == "v1" || rest.starts_with("v1/")
}

/// Adds every route of the API below both prefixes.
pub fn configure(service: &mut web::ServiceConfig) {
    service.service(
        web::scope("")
            .wrap(from_fn(at_the_door))
            .wrap(from_fn(open_to_browsers))
            .wrap(NormalizePath::new(TrailingSlash::Trim))
            // A name in a path that is no text is the name of nothing.
            .app_data(web::PathConfig::default().error_handler(|_, _| ApiError::not_found().into()))
            .configure(routes)
            .default_service(web::to(unknown)),
    );
}

fn routes(service: &mut web::ServiceConfig) {
    for prefix in PREFIXES {
        let at = |path: &str| web::resource(format!("{prefix}{path}"));
        let get = |path: &str, ask: Route| at(path).route(ask).default_service(web::to(only_get));
        let post = |path: &str, tell: Route| at(path).route(tell).default_service(web::to(only_post));
        service
            .service(post("/chat/completions", web::post().to(api::chat_completions)))
            .service(post("/completions", web::post().to(api::completions)))
            .service(post("/responses", web::post().to(api::responses)))
            .service(post("/messages", web::post().to(api::messages)))
            .service(post("/messages/count_tokens", web::post().to(api::count_tokens)))
            .service(post("/embeddings", web::post().to(api::embeddings)))
            .service(post("/rerank", web::post().to(api::rerank)))
            .service(get("/models", web::get().to(query_api::list_models)))
            .service(get("/models/user", web::get().to(query_api::list_models_of_user)))
            .service(get("/embeddings/models", web::get().to(query_api::list_embedding_models)))
            .service(get("/endpoints/zdr", web::get().to(query_api::list_zdr_endpoints)))
            .service(get("/models/count", web::get().to(query_api::count_models)))
            .service(get("/models/{author}/{slug}/endpoints", web::get().to(query_api::model_endpoints)))
            .service(get("/models/{author}/{slug}", web::get().to(model::retrieve_model)))
            .service(get("/models/{name}", web::get().to(model::retrieve_named_model)))
            .service(get("/model/{author}/{slug}", web::get().to(model::get_model)))
            .service(get("/providers", web::get().to(query_api::list_providers)))
            .service(get("/presets", web::get().to(presets::list_presets)))
            .service(get("/presets/{slug}", web::get().to(presets::get_preset)))
            .service(get("/presets/{slug}/versions", web::get().to(presets::list_versions)))
            .service(get("/presets/{slug}/versions/{version}", web::get().to(presets::get_version)))
            .service(
                at("/presets/{slug}/chat/completions")
                    .route(web::post().to(presets::write_preset))
                    .default_service(web::to(only_post)),
            )
            .service(
                at("/presets/{slug}/messages")
                    .route(web::post().to(presets::write_preset))
                    .default_service(web::to(only_post)),
            )
            .service(
                at("/presets/{slug}/responses")
                    .route(web::post().to(presets::write_preset))
                    .default_service(web::to(only_post)),
            )
            .service(get("/key", web::get().to(query_api::current_key)))
            .service(get("/auth/key", web::get().to(query_api::current_key)))
            .service(get("/credits", web::get().to(query_api::credits)))
            .service(post("/credits/coinbase", web::post().to(no_coinbase)))
            .service(get("/generation", web::get().to(query_api::generation)))
            .service(get("/generation/content", web::get().to(content::generation_content)))
            .service(get("/activity", web::get().to(activity::recent_activity)))
            .service(get("/analytics/meta", web::get().to(analytics::analytics_meta)))
            .service(
                at("/analytics/query")
                    .route(web::post().to(analytics::query_analytics))
                    .default_service(web::to(only_post)),
            )
            .service(get("/organization/members", web::get().to(members::list_members)))
            .service(
                at("/byok")
                    .route(web::get().to(byok::list_provider_keys))
                    .route(web::post().to(byok::create_provider_key))
                    .default_service(web::to(only_get_or_post)),
            )
            .service(
                at("/byok/{id}")
                    .route(web::get().to(byok::read_provider_key))
                    .route(web::patch().to(byok::update_provider_key))
                    .route(web::delete().to(byok::delete_provider_key))
                    .default_service(web::to(only_get_patch_or_delete)),
            )
            .service(
                at("/keys")
                    .route(web::get().to(keys::list_keys))
                    .route(web::post().to(keys::create_key))
                    .default_service(web::to(only_get_or_post)),
            )
            .service(
                at("/keys/{hash}")
                    .route(web::get().to(keys::read_key))
                    .route(web::patch().to(keys::update_key))
                    .route(web::delete().to(keys::delete_key))
                    .default_service(web::to(only_get_patch_or_delete)),
            )
            .service(at("/auth/keys").route(web::post().to(connect::exchange_code)).default_service(web::to(only_post)))
            .service(
                at("/auth/keys/code").route(web::post().to(connect::make_code)).default_service(web::to(only_post)),
            );
    }
}

async fn only_get() -> HttpResponse {
    wrong_method("GET")
}

async fn only_post() -> HttpResponse {
    wrong_method("POST")
}

async fn only_get_or_post() -> HttpResponse {
    wrong_method("GET, POST")
}

async fn only_get_patch_or_delete() -> HttpResponse {
    wrong_method("GET, PATCH, DELETE")
}

fn wrong_method(allowed: &'static str) -> HttpResponse {
    let mut response = ApiError::wrong_method(allowed).error_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Clients still know of this way to buy credits, which is gone everywhere.
async fn no_coinbase() -> Result<HttpResponse, ApiError> {
    Err(ApiError::gone("Credits are not bought here any more. Buy them on the Credits page."))
}

async fn unknown(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let path = request.path();
    let Some(rest) = PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix)?.strip_prefix('/')) else {
        return Err(ApiError::not_found());
    };
    if !NOT_OFFERED.contains(&rest.split('/').next().unwrap_or_default()) {
        return Err(ApiError::not_found());
    }
    let shown: String = path.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
    Err(ApiError::nothing(format!("{shown} is of an API that is not offered here. /openapi.json lists what is.")))
}

/// Lets through what has a head like a request to this instance, as pages do, with the API's own error; and what does not go
/// round in circles.
async fn at_the_door(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let checked = request.app_data::<web::Data<App>>().map(|app| hosts::check(app, request.request()));
    let error = match checked {
        Some(Err(refused)) => Some(ApiError::refused(refused.status().as_u16(), refused.text())),
        None | Some(Ok(())) => is_in_circles(&request).then(ApiError::in_circles),
    };
    match error {
        None => Ok(next.call(request).await?.map_into_left_body()),
        Some(error) => Ok(request.into_response(error.error_response()).map_into_right_body()),
    }
}

fn is_in_circles(request: &ServiceRequest) -> bool {
    let via = request.headers().get_all(VIA).filter_map(|value| value.to_str().ok());
    hops::passed(via) >= hops::MAX
}

/// Any site's script may call with a key; no cookie ever counts here. What a script may send and how long that is true is
/// said only where a browser reads it, in the answer to a preflight (Fetch standard, "CORS protocol").
async fn open_to_browsers(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let mut response = if request.method() == Method::OPTIONS {
        let mut response = HttpResponse::NoContent().finish();
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE, OPTIONS"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, x-title, x-openrouter-title, http-referer, x-api-key, x-request-id, \
                 x-session-id, idempotency-key, x-stainless-arch, x-stainless-lang, x-stainless-os, \
                 x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, \
                 x-stainless-runtime-version, x-stainless-timeout, anthropic-version, anthropic-beta, \
                 anthropic-dangerous-direct-browser-access",
            ),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        request.into_response(response).map_into_left_body()
    } else {
        next.call(request).await?.map_into_right_body()
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = "x-request-id, x-generation-id, retry-after, x-should-retry, idempotency-replayed, x-ratelimit-limit, \
        x-ratelimit-remaining, x-ratelimit-reset";
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    Ok(response)
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Farebox API",
        description = "The OpenAI-compatible gateway, what a key may ask about itself, and what a provisioning key may \
            ask and change in its organization. Authenticate with `Authorization: Bearer` and a key. Amounts are US \
            dollars; errors have the HTTP status in `error.code`.",
        license(name = "Apache-2.0"),
    ),
    paths(
        api::chat_completions,
        api::completions,
        api::responses,
        api::messages,
        api::count_tokens,
        api::embeddings,
        api::rerank,
        query_api::list_models,
        query_api::list_models_of_user,
        query_api::list_embedding_models,
        query_api::list_zdr_endpoints,
        query_api::count_models,
        query_api::model_endpoints,
        model::get_model,
        model::retrieve_model,
        query_api::list_providers,
        presets::list_presets,
        presets::get_preset,
        presets::list_versions,
        presets::get_version,
        presets::write_preset,
        query_api::current_key,
        query_api::credits,
        query_api::generation,
        content::generation_content,
        activity::recent_activity,
        analytics::analytics_meta,
        analytics::query_analytics,
        members::list_members,
        byok::list_provider_keys,
        byok::create_provider_key,
        byok::read_provider_key,
        byok::update_provider_key,
        byok::delete_provider_key,
        keys::list_keys,
        keys::create_key,
        keys::read_key,
        keys::update_key,
        keys::delete_key,
        connect::exchange_code,
        connect::make_code,
    ),
    modifiers(&BearerKeys),
)]
struct Document;

struct BearerKeys;

impl utoipa::Modify for BearerKeys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        document.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
    }
}

/// The document, made from the code that serves it.
#[must_use]
pub fn openapi_document() -> serde_json::Value {
    serde_json::to_value(Document::openapi()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn careless_paths_are_still_the_api() {
        for path in ["/api/v1/models", "/v1/models", "//v1//models", "/api//v1/models/", "/api/v1"] {
            assert!(is_api_path(path), "{path}");
        }
        for path in ["/", "/models", "/api", "/v10/models", "/apiv1/models", "/keys/v1/"] {
            assert!(!is_api_path(path), "{path}");
        }
    }
}
