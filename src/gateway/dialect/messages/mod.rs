//! The messages API of Anthropic.
//!
//! Upstreams that speak it get the request in the client's own words and their events pass as they are; all others are asked
//! with a chat completion. Either way the client sees our id and model, and what the call cost at its end.

mod betas;
mod content;
mod output;
mod request;
mod stream;
mod tools;
mod words;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{sse, usage};
use crate::gateway::error::ApiError;
use crate::gateway::wire::UsageOut;
pub(in crate::gateway) use betas::passed as passed_betas;
pub(super) use output::{same_whole, whole};
pub(super) use request::read;
pub(crate) use stream::Writer;
pub(in crate::gateway) use words::{Words, same_words};

/// An error as this language says it.
fn error_value(error: &ApiError) -> Value {
    let kind = match error.status() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 | 524 => "timeout_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    json!({ "type": kind, "message": error.message(), "error_type": error.kind() })
}

/// The body of an answer that is an error.
pub(super) fn error_body(error: &ApiError, request_id: &str) -> String {
    let id = (!request_id.is_empty()).then_some(request_id);
    json!({ "type": "error", "error": error_value(error), "metadata": error.metadata(), "request_id": id }).to_string()
}

/// The end of a stream that broke, with what it cost all the same.
pub(super) fn broken(error: &ApiError, spent: &UsageOut) -> Bytes {
    let event = json!({ "type": "error", "error": error_value(error), "metadata": error.metadata() });
    let mut out = Vec::with_capacity(512);
    sse::named(&mut out, "error", &sse::with(&event, "usage", &usage::of_message(spent)));
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_kind_in_both_words() {
        let body: Value = serde_json::from_str(&error_body(&ApiError::insufficient_credits(), "req-1")).expect("JSON");
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["type"], "billing_error");
        assert_eq!(body["error"]["error_type"], "payment_required");
        assert!(
            body["error"]["message"].as_str().is_some_and(|text| text.starts_with("Insufficient credits")),
            "{body}"
        );
        assert_eq!((&body["request_id"], &body["metadata"]["limit_source"]), (&json!("req-1"), &json!("credits")));
    }
}
