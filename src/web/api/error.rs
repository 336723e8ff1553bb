//! What a program is told when a request does not work: one shape, in the words that clients know.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::web::patience;

/// Seconds after which a client may try again when something that we need is away for a moment.
pub const RETRY_SOON: u32 = 2;
/// No client is told to wait longer than this: some give up at more.
const MAX_RETRY_AFTER: u32 = 120;

/// An error as the client sees it. Never holds a secret or the text of an internal error.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiError {
    status: u16,
    message: Cow<'static, str>,
    metadata: Map<String, Value>,
    retry_after: Option<u32>,
    /// Trying again cannot help, or costs again: said in `x-should-retry`.
    final_: bool,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// The constructors of the domains are made of this.
    pub fn new(status: u16, kind: &'static str, message: impl Into<Cow<'static, str>>) -> ApiError {
        let mut metadata = Map::new();
        metadata.insert("error_type".into(), kind.into());
        ApiError { status, message: message.into(), metadata, retry_after: None, final_: false }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> ApiError {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// The same with another message.
    #[must_use]
    pub fn saying(mut self, message: impl Into<Cow<'static, str>>) -> ApiError {
        self.message = message.into();
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> ApiError {
        self.retry_after = Some(seconds.min(MAX_RETRY_AFTER));
        self
    }

    /// Tells client libraries not to repeat the call by themselves.
    #[must_use]
    pub fn without_retry(mut self) -> ApiError {
        self.final_ = true;
        self
    }

    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What went wrong, as one word of the documented ones.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.metadata.get("error_type").and_then(Value::as_str).unwrap_or("server")
    }

    /// What else there is to know.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// Seconds for the `Retry-After` header.
    #[must_use]
    pub fn wait(&self) -> Option<u32> {
        self.retry_after
    }

    /// Whether `x-should-retry: false` belongs in the answer.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.final_
    }

    /// The value of `error`, in a body and in a chunk alike.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({ "code": self.status, "message": self.message, "metadata": self.metadata })
    }

    /// The whole body, compact: some clients look for `"code":402`.
    #[must_use]
    pub fn to_body(&self) -> String {
        json!({ "error": self.to_value() }).to_string()
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(400, "invalid_request", message)
    }

    /// 410: this was here, and is for nobody any more.
    #[must_use]
    pub fn gone(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(410, "not_found", message).without_retry()
    }

    /// 401: the one sentence for every way in which a key can be wrong.
    #[must_use]
    pub fn unauthorized() -> ApiError {
        ApiError::new(401, "authentication", "No valid API key was given.").without_retry()
    }

    /// 403 for any other reason that the caller may know.
    #[must_use]
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(403, "permission_denied", message).without_retry()
    }

    /// 404: an unknown path or thing.
    #[must_use]
    pub fn not_found() -> ApiError {
        ApiError::new(404, "not_found", "There is nothing here.").without_retry()
    }

    /// 404 for what the asker may be told more about.
    #[must_use]
    pub fn nothing(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(404, "not_found", message).without_retry()
    }

    /// 405: the path is known, but not for this method.
    #[must_use]
    pub fn wrong_method(allowed: &'static str) -> ApiError {
        ApiError::new(405, "method_not_allowed", format!("Only {allowed} is possible here.")).without_retry()
    }

    /// 409: what is there does not let this be done. Never for calls of models, whose clients would repeat it.
    #[must_use]
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(409, "conflict", message).without_retry()
    }

    /// Of a body that could not be read to its end: 408 where it stopped arriving, else 400.
    #[must_use]
    pub fn unread(error: &actix_web::Error) -> ApiError {
        if patience::has_stopped(error) {
            let message = "The request body stopped arriving. Send the request again, with all of its body.";
            return ApiError::new(408, "request_timeout", message);
        }
        ApiError::invalid("The request body could not be read.")
    }

    /// 413.
    #[must_use]
    pub fn too_large(limit_bytes: usize) -> ApiError {
        let message = format!("The request body is larger than {} MB.", limit_bytes / 1_000_000);
        ApiError::new(413, "payload_too_large", message).without_retry()
    }

    /// 413, for requests that are small by nature.
    #[must_use]
    pub fn body_too_long(limit_bytes: usize) -> ApiError {
        let message = format!("The request body is larger than {} KB.", limit_bytes / 1_024);
        ApiError::new(413, "payload_too_large", message).without_retry()
    }

    /// 422: understood, but beyond a limit.
    #[must_use]
    pub fn unprocessable(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(422, "unprocessable", message).without_retry()
    }

    /// 429: more than this many requests were made; `seconds` until the next one may be.
    #[must_use]
    pub fn too_many(seconds: u32) -> ApiError {
        ApiError::new(429, "rate_limit_exceeded", "Rate limit exceeded. Try again later.").retry_after(seconds)
    }

    /// 500: our fault; the log has the reason.
    #[must_use]
    pub fn internal() -> ApiError {
        ApiError::new(500, "server", "Something went wrong on our side.")
    }

    /// 503: the ledger is away.
    #[must_use]
    pub fn unavailable() -> ApiError {
        ApiError::new(503, "server", "The service is not available right now. Try again soon.").retry_after(RETRY_SOON)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.builder().body(self.to_body())
    }
}

impl ApiError {
    /// The response without its body.
    #[must_use]
    pub fn builder(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, "application/json")).insert_header((CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.wait() {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.is_final() {
            response.insert_header(("x-should-retry", "false"));
        }
        response
    }
}

/// What every error looks like.
#[derive(ToSchema)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

/// The reason.
#[derive(ToSchema)]
pub struct ErrorDetail {
    /// The HTTP status.
    pub code: u16,
    pub message: String,
    pub metadata: Option<Object>,
}

/// Any JSON object.
#[derive(ToSchema)]
pub struct Object {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_compact_and_its_code_is_the_status() {
        let error = ApiError::forbidden("No.");
        let body = error.to_body();
        assert!(body.starts_with(r#"{"error":{"code":403,"message":"No.""#), "{body}");
        assert!(error.is_final() && !ApiError::unavailable().is_final());
        assert_eq!(ApiError::too_many(900).wait(), Some(MAX_RETRY_AFTER));
    }
}
