//! Vectors for texts. Providers share one language for them.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Kept, given, sse, usage};
use crate::catalog::Task;
use crate::gateway::error::ApiError;
use crate::gateway::wire::{ChatRequest, Stamp, UsageOut, count};

/// Texts in one call; the limit of the largest providers.
const MAX_INPUTS: usize = 2_048;

/// # Errors
/// 400 without anything to make vectors of, 422 for too much of it.
pub(super) fn read(body: Map<String, Value>) -> Result<ChatRequest, ApiError> {
    check(body.get("input"))?;
    count(&body, "dimensions")?;
    if given(&body, "encoding_format").is_some_and(|format| !matches!(format.as_str(), Some("float" | "base64"))) {
        return Err(ApiError::invalid("encoding_format is neither float nor base64."));
    }
    Ok(ChatRequest { kept: Kept::Embeddings, ..ChatRequest::of(body, Task::Embed)? })
}

/// A text, tokens, or a list of texts, of tokens, or of parts.
fn check(input: Option<&Value>) -> Result<(), ApiError> {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let is_tokens =
        |value: &Value| value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_u64));
    let is_parts = |value: &Value| {
        let parts = value.get("content").and_then(Value::as_array);
        parts.is_some_and(|parts| !parts.is_empty() && parts.iter().all(Value::is_object))
    };
    match input {
        Some(value) if is_text(value) || is_tokens(value) => Ok(()),
        Some(Value::Array(list)) if list.len() > MAX_INPUTS => {
            Err(ApiError::unprocessable(format!("input has more than {MAX_INPUTS} texts. Send them in several calls.")))
        }
        Some(Value::Array(list))
            if !list.is_empty()
                && (list.iter().all(is_text) || list.iter().all(is_tokens) || list.iter().all(is_parts)) =>
        {
            Ok(())
        }
        Some(Value::Array(list)) if list.is_empty() => Err(ApiError::invalid("input is empty.")),
        None | Some(Value::Null) => Err(ApiError::invalid("input is missing.")),
        _ => Err(ApiError::invalid(
            "input must be a text that is not empty, an array of tokens, or an array of texts, of tokens or of objects \
             with content.",
        )),
    }
}

pub(super) fn whole(mut answer: Map<String, Value>, stamp: &Stamp, spent: &UsageOut) -> Bytes {
    answer.shift_remove("usage");
    stamp.put(&mut answer, "list");
    // The shape has no such field.
    answer.shift_remove("created");
    if let Some(Value::Array(vectors)) = answer.get_mut("data") {
        for (index, vector) in vectors.iter_mut().enumerate() {
            let Some(vector) = vector.as_object_mut() else { continue };
            vector.insert("object".into(), "embedding".into());
            vector.entry("index").or_insert_with(|| index.into());
        }
    }
    sse::with(&Value::Object(answer), "usage", &usage::of_input(spent)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(input: Value) -> Option<u16> {
        let body = json!({"model":"a/b","input":input});
        read(body.as_object().cloned().unwrap_or_default()).err().map(|error| error.status())
    }

    #[test]
    fn every_kind_of_input_is_known_and_no_mixture() {
        for good in [
            json!("a"),
            json!(["a", "b"]),
            json!([1, 2]),
            json!([[1, 2], [3]]),
            json!([{"content":[{"type":"text","text":"a"}]}]),
        ] {
            assert_eq!(status(good.clone()), None, "{good}");
        }
        for bad in
            [json!(null), json!(""), json!([]), json!(["a", 1]), json!([""]), json!([[]]), json!({}), json!([1.5])]
        {
            assert_eq!(status(bad.clone()), Some(400), "{bad}");
        }
        assert_eq!(status(json!(vec!["a"; MAX_INPUTS + 1])), Some(422));
    }
}
