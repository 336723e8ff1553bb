//! The routes of the gateway that make calls.

use std::time::Instant;

use actix_web::http::header::{HeaderMap, REFERER, USER_AGENT, VIA};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::chat::{ClientFacts, Gateway};
use super::dialect::Protocol;
use super::dialect::messages::passed_betas;
use super::dialect::schema::{
    Completion, CompletionRequest, Embeddings, EmbeddingsRequest, Message, MessageErrorBody, MessageRequest, Ranking,
    RerankRequest, ResponseBody, ResponseRequest, TokenCount,
};
use super::error::ApiError;
use super::hops;
use super::respond::{refuse, respond};
use super::wire::schema::{ChatCompletion, ChatCompletionRequest};
use super::wire::{MAX_BODY, MAX_SESSION};
use crate::keys::extract::{Authenticated, authenticate};
use crate::traces::Context;
use crate::web::api::{ErrorBody, private, to_bytes};
use crate::web::headers::request_id;

/// Longest header value that is logged, in characters.
const MAX_FACT: usize = 300;

/// Makes a chat completion, in one piece or as a stream of events.
///
/// # Errors
/// In the one shape of the API, with the status in `error.code`.
#[utoipa::path(
    post,
    path = "/api/v1/chat/completions",
    tag = "Inference",
    request_body = ChatCompletionRequest,
    responses(
        (
            status = 200,
            description = "The answer; a stream of events where `stream` is true",
            content((ChatCompletion = "application/json"), (String = "text/event-stream")),
        ),
        (status = 400, description = "The request cannot be understood", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 402, description = "Not enough credits", body = ErrorBody),
        (status = 403, description = "A limit of the key is reached", body = ErrorBody),
        (status = 404, description = "No such model, or nobody may serve it", body = ErrorBody),
        (status = 408, description = "The request stopped arriving", body = ErrorBody),
        (status = 413, description = "The request is too large", body = ErrorBody),
        (status = 422, description = "The request is beyond a limit", body = ErrorBody),
        (status = 429, description = "Too many requests", body = ErrorBody),
        (status = 502, description = "The provider failed", body = ErrorBody),
        (status = 503, description = "Nobody can serve the call now", body = ErrorBody),
    ),
)]
pub async fn chat_completions(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    payload: web::Payload,
) -> HttpResponse {
    call(Protocol::Chat, &request, &gateway, payload).await
}

/// Completes a text, in one piece or as a stream of events. The model is asked with the prompt as the only message.
///
/// # Errors
/// In the one shape of the API, with the status in `error.code`.
#[utoipa::path(
    post,
    path = "/api/v1/completions",
    tag = "Inference",
    request_body = CompletionRequest,
    responses(
        (
            status = 200,
            description = "The answer; a stream of events where `stream` is true",
            content((Completion = "application/json"), (String = "text/event-stream")),
        ),
        (status = 400, description = "The request cannot be understood", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 402, description = "Not enough credits", body = ErrorBody),
        (status = 403, description = "A limit of the key is reached", body = ErrorBody),
        (status = 404, description = "No such model, or nobody may serve it", body = ErrorBody),
        (status = 408, description = "The request stopped arriving", body = ErrorBody),
        (status = 413, description = "The request is too large", body = ErrorBody),
        (status = 422, description = "The request is beyond a limit", body = ErrorBody),
        (status = 429, description = "Too many requests", body = ErrorBody),
        (status = 502, description = "The provider failed", body = ErrorBody),
        (status = 503, description = "Nobody can serve the call now", body = ErrorBody),
    ),
)]
pub async fn completions(request: HttpRequest, gateway: web::Data<Gateway>, payload: web::Payload) -> HttpResponse {
    call(Protocol::Completions, &request, &gateway, payload).await
}

/// Makes a response in the language of OpenAI's responses API, in one piece or as a stream of events. Nothing is stored, so
/// a conversation is sent whole each time.
///
/// # Errors
/// In the one shape of the API, with the status in `error.code`.
#[utoipa::path(
    post,
    path = "/api/v1/responses",
    tag = "Inference",
    request_body = ResponseRequest,
    responses(
        (
            status = 200,
            description = "The answer; a stream of events where `stream` is true",
            content((ResponseBody = "application/json"), (String = "text/event-stream")),
        ),
        (status = 400, description = "The request cannot be understood", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 402, description = "Not enough credits", body = ErrorBody),
        (status = 403, description = "A limit of the key is reached", body = ErrorBody),
        (status = 404, description = "No such model, or nobody may serve it", body = ErrorBody),
        (status = 408, description = "The request stopped arriving", body = ErrorBody),
        (status = 413, description = "The request is too large", body = ErrorBody),
        (status = 422, description = "The request is beyond a limit", body = ErrorBody),
        (status = 429, description = "Too many requests", body = ErrorBody),
        (status = 502, description = "The provider failed", body = ErrorBody),
        (status = 503, description = "Nobody can serve the call now", body = ErrorBody),
    ),
)]
pub async fn responses(request: HttpRequest, gateway: web::Data<Gateway>, payload: web::Payload) -> HttpResponse {
    call(Protocol::Responses, &request, &gateway, payload).await
}

/// Makes a message in the language of Anthropic's messages API, in one piece or as a stream of events, with any model. The
/// key may also come in `x-api-key`.
///
/// # Errors
/// In the shape of the messages API.
#[utoipa::path(
    post,
    path = "/api/v1/messages",
    tag = "Inference",
    request_body = MessageRequest,
    responses(
        (
            status = 200,
            description = "The answer; a stream of events where `stream` is true",
            content((Message = "application/json"), (String = "text/event-stream")),
        ),
        (status = 400, description = "The request cannot be understood", body = MessageErrorBody),
        (status = 401, description = "No valid key", body = MessageErrorBody),
        (status = 402, description = "Not enough credits", body = MessageErrorBody),
        (status = 403, description = "A limit of the key is reached", body = MessageErrorBody),
        (status = 404, description = "No such model, or nobody may serve it", body = MessageErrorBody),
        (status = 408, description = "The request stopped arriving", body = MessageErrorBody),
        (status = 413, description = "The request is too large", body = MessageErrorBody),
        (status = 422, description = "The request is beyond a limit", body = MessageErrorBody),
        (status = 429, description = "Too many requests", body = MessageErrorBody),
        (status = 502, description = "The provider failed", body = MessageErrorBody),
        (status = 503, description = "Nobody can serve the call now", body = MessageErrorBody),
    ),
)]
pub async fn messages(request: HttpRequest, gateway: web::Data<Gateway>, payload: web::Payload) -> HttpResponse {
    call(Protocol::Messages, &request, &gateway, payload).await
}

/// Makes vectors of texts.
///
/// # Errors
/// In the one shape of the API, with the status in `error.code`.
#[utoipa::path(
    post,
    path = "/api/v1/embeddings",
    tag = "Inference",
    request_body = EmbeddingsRequest,
    responses(
        (status = 200, description = "The answer", body = Embeddings),
        (status = 400, description = "The request cannot be understood", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 402, description = "Not enough credits", body = ErrorBody),
        (status = 403, description = "A limit of the key is reached", body = ErrorBody),
        (status = 404, description = "No such model, or nobody may serve it", body = ErrorBody),
        (status = 408, description = "The request stopped arriving", body = ErrorBody),
        (status = 413, description = "The request is too large", body = ErrorBody),
        (status = 422, description = "The request is beyond a limit", body = ErrorBody),
        (status = 429, description = "Too many requests", body = ErrorBody),
        (status = 502, description = "The provider failed", body = ErrorBody),
        (status = 503, description = "Nobody can serve the call now", body = ErrorBody),
    ),
)]
pub async fn embeddings(request: HttpRequest, gateway: web::Data<Gateway>, payload: web::Payload) -> HttpResponse {
    call(Protocol::Embeddings, &request, &gateway, payload).await
}

/// Puts documents into the order in which they answer a question.
///
/// # Errors
/// In the one shape of the API, with the status in `error.code`.
#[utoipa::path(
    post,
    path = "/api/v1/rerank",
    tag = "Inference",
    request_body = RerankRequest,
    responses(
        (status = 200, description = "The answer", body = Ranking),
        (status = 400, description = "The request cannot be understood", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 402, description = "Not enough credits", body = ErrorBody),
        (status = 403, description = "A limit of the key is reached", body = ErrorBody),
        (status = 404, description = "No such model, or nobody may serve it", body = ErrorBody),
        (status = 408, description = "The request stopped arriving", body = ErrorBody),
        (status = 413, description = "The request is too large", body = ErrorBody),
        (status = 422, description = "The request is beyond a limit", body = ErrorBody),
        (status = 429, description = "Too many requests", body = ErrorBody),
        (status = 502, description = "The provider failed", body = ErrorBody),
        (status = 503, description = "Nobody can serve the call now", body = ErrorBody),
    ),
)]
pub async fn rerank(request: HttpRequest, gateway: web::Data<Gateway>, payload: web::Payload) -> HttpResponse {
    call(Protocol::Rerank, &request, &gateway, payload).await
}

/// Counts the tokens of a request for a message, with a common tokenizer. It asks no provider and costs nothing, so another
/// model may count a little differently.
///
/// # Errors
/// In the shape of the messages API.
#[utoipa::path(
    post,
    path = "/api/v1/messages/count_tokens",
    tag = "Inference",
    request_body = MessageRequest,
    responses(
        (status = 200, description = "The count", body = TokenCount),
        (status = 400, description = "The request cannot be understood", body = MessageErrorBody),
        (status = 401, description = "No valid key", body = MessageErrorBody),
        (status = 403, description = "The key may not call models", body = MessageErrorBody),
        (status = 404, description = "No such model", body = MessageErrorBody),
        (status = 408, description = "The request stopped arriving", body = MessageErrorBody),
        (status = 413, description = "The request is too large", body = MessageErrorBody),
        (status = 422, description = "The request is beyond a limit", body = MessageErrorBody),
        (status = 429, description = "Too many requests", body = MessageErrorBody),
        (status = 503, description = "The database is away", body = MessageErrorBody),
    ),
)]
pub async fn count_tokens(request: HttpRequest, gateway: web::Data<Gateway>, payload: web::Payload) -> HttpResponse {
    let counted = async {
        let authenticated = inference_caller(&request).await?;
        let input_tokens = gateway.count(authenticated.caller(), &body(payload).await?).await?;
        to_bytes(&TokenCount { input_tokens })
    };
    match counted.await {
        Ok(body) => private(body),
        Err(error) => refuse(Protocol::Messages, &request_id(&request), &error),
    }
}

/// The way of every call: who calls, what they ask, and the answer in the language of the address.
async fn call(protocol: Protocol, request: &HttpRequest, gateway: &Gateway, payload: web::Payload) -> HttpResponse {
    let id = request_id(request);
    let answer = async {
        let began = Instant::now();
        let authenticated = inference_caller(request).await?;
        let took = Some((began, Instant::now()));
        let body = body(payload).await?;
        let facts = ClientFacts { authenticated: took, ..facts(id.clone(), request.headers()) };
        Ok::<_, ApiError>(gateway.answer(protocol, authenticated.caller(), facts, &body).await)
    };
    match answer.await {
        Ok((call, answer)) => respond(protocol, &id, call, answer),
        Err(error) => refuse(protocol, &id, &error),
    }
}

/// The body of a call. Most come in one piece, which is neither copied nor given 32 KB of room as by
/// `Payload::to_bytes_limited`.
async fn body(mut payload: web::Payload) -> Result<Bytes, ApiError> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| ApiError::unread(&error.into()))?;
        if first.len() + rest.len() + piece.len() > MAX_BODY {
            return Err(ApiError::too_large(MAX_BODY));
        }
        if first.is_empty() && rest.is_empty() {
            first = piece;
            continue;
        }
        rest.extend_from_slice(&std::mem::take(&mut first));
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Who calls, with a key that may call models.
async fn inference_caller(request: &HttpRequest) -> Result<Authenticated, ApiError> {
    let authenticated = authenticate(request).await?;
    if !authenticated.caller().powers.call {
        return Err(ApiError::forbidden("A provisioning key manages keys; it cannot call models."));
    }
    Ok(authenticated)
}

/// What the client says about itself.
fn facts(request_id: String, headers: &HeaderMap) -> ClientFacts {
    let text = |name: &str| headers.get(name).map_or_else(String::new, |value| shown(value.as_bytes()));
    let referer = text(REFERER.as_str());
    let referer = if referer.is_empty() { text("http-referer") } else { referer };
    let title = [text("x-openrouter-title"), text("x-title")].into_iter().find(|title| !title.is_empty());
    let app = title.unwrap_or_else(|| host(&referer));
    let via = headers.get_all(VIA).filter_map(|value| value.to_str().ok());
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(Context::parse);
    let (user_agent, hops) = (text(USER_AGENT.as_str()), hops::passed(via));
    let session = headers.get("x-session-id").and_then(|value| value.to_str().ok());
    let session = session.filter(|id| !id.is_empty() && id.len() <= MAX_SESSION).map(str::to_owned);
    let betas = passed_betas(headers.get_all("anthropic-beta").filter_map(|value| value.to_str().ok()));
    ClientFacts { request_id, app, referer, user_agent, hops, session, betas, parent, authenticated: None }
}

/// A header as text without control characters.
fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value).chars().filter(|c| !c.is_control()).take(MAX_FACT).collect()
}

fn host(referer: &str) -> String {
    url::Url::parse(referer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    #[test]
    fn the_app_is_named_by_its_title_or_its_site() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            facts(String::new(), &pairs.collect())
        };
        assert_eq!(headers(&[("x-title", "My App"), ("http-referer", "https://a.example/x?y")]).app, "My App");
        assert_eq!(headers(&[("http-referer", "https://a.example/x?y")]).app, "a.example");
        assert_eq!(headers(&[]).app, "");
    }
}
