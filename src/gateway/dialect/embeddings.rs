//! Vectors for texts. Providers share one language for them.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Kept, given, sse, text, usage};
use crate::catalog::Task;
use crate::gateway::error::ApiError;
use crate::gateway::wire::{ChatRequest, Stamp, UsageOut, count};

/// Texts in one call; the limit of the largest providers.
const MAX_INPUTS: usize = 2_048;
/// About as much as stands around a vector in an answer.
const ROOM: usize = 64;

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
    let vectors = match answer.shift_remove("data") {
        Some(Value::Array(vectors)) => vectors,
        _ => Vec::new(),
    };
    let mut head = Value::Object(answer).to_string();
    head.pop();
    // There may be many megabytes of them: room is asked for once, and each is gone when it is written.
    let room = vectors.iter().map(|vector| numbers(vector).len() + ROOM).sum::<usize>();
    let mut out = String::with_capacity(head.len() + room + ROOM * 4);
    out.push_str(&head);
    out.push_str(r#","data":["#);
    for (index, vector) in vectors.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(vector, index, &mut out);
    }
    out.push_str(r#"],"usage":"#);
    out.push_str(&usage::of_input(spent));
    out.push('}');
    out.into()
}

/// The text of a vector.
fn numbers(vector: &Value) -> &str {
    text(vector, "embedding").unwrap_or_default()
}

/// Appends a vector. Its numbers may be the text that they came as, which begins with a bracket.
fn write(vector: Value, index: usize, out: &mut String) {
    let mut vector = match vector {
        Value::Object(vector) => vector,
        other => return out.push_str(&other.to_string()),
    };
    vector.insert("object".into(), "embedding".into());
    vector.entry("index").or_insert_with(|| index.into());
    match vector.shift_remove("embedding") {
        Some(Value::String(numbers)) if numbers.starts_with('[') => {
            out.push_str(&sse::with(&Value::Object(vector), "embedding", &numbers));
        }
        embedding => {
            vector.extend(embedding.map(|embedding| ("embedding".to_owned(), embedding)));
            out.push_str(&Value::Object(vector).to_string());
        }
    }
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
    #[test]
    fn vectors_are_written_as_they_came() {
        let stamp = Stamp { id: "gen-1".into(), created: 5, model: "a/b".into(), provider: "P".into() };
        let usage = UsageOut::new(crate::gateway::Tokens::default(), crate::base::Usd::ZERO, &[]);
        let answer = json!({"object":"x","model":"up","usage":{"n":1},"meta":{"a":{}},"data":[{"embedding":"[0.10, -1e-7]"},
            {"index":1,"embedding":"AACAPw=="},{"index":2,"embedding":[0.5]}]});
        let out = whole(answer.as_object().cloned().unwrap_or_default(), &stamp, &usage);
        let out = String::from_utf8_lossy(&out).into_owned();
        assert!(out.contains(r#""embedding":[0.10, -1e-7]}"#), "{out}");
        let told: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(
            told["data"],
            json!([{"object":"embedding","index":0,"embedding":[0.1,-1e-7]},
                {"object":"embedding","index":1,"embedding":"AACAPw=="},
                {"object":"embedding","index":2,"embedding":[0.5]}])
        );
        assert_eq!((&told["object"], &told["model"], &told["id"]), (&json!("list"), &json!("a/b"), &json!("gen-1")));
        assert!(told.get("created").is_none() && told["usage"]["cost"].is_number(), "{out}");
    }
}
