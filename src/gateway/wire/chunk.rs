//! Pieces of a streamed answer.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::UsageOut;
use super::whole::{Stamp, normalise_finish, normalise_message};
use crate::gateway::error::ApiError;

const OBJECT: &str = "chat.completion.chunk";

/// What is to be done with an upstream's chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Normalised {
    Forward,
    /// It carried usage only; ours comes at the end.
    Swallow,
}

/// Makes an upstream's chunk ours.
pub(crate) fn normalise_chunk(map: &mut Map<String, Value>, stamp: &Stamp) -> Normalised {
    map.shift_remove("usage");
    if map.get("system_fingerprint").is_some_and(Value::is_null) {
        map.shift_remove("system_fingerprint");
    }
    let Some(Value::Array(choices)) = map.get_mut("choices") else { return Normalised::Swallow };
    if choices.is_empty() {
        return Normalised::Swallow;
    }
    for (index, choice) in choices.iter_mut().enumerate() {
        let Some(choice) = choice.as_object_mut() else { continue };
        choice.entry("index").or_insert_with(|| index.into());
        normalise_finish(choice);
        match choice.get_mut("delta") {
            Some(Value::Object(delta)) => normalise_message(delta),
            _ => {
                choice.insert("delta".into(), json!({}));
            }
        }
    }
    stamp.put(map, OBJECT);
    Normalised::Forward
}

/// An event with this chunk.
pub(crate) fn event(map: &Map<String, Value>) -> Bytes {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"data: ");
    // Writing a map of JSON values to memory cannot fail.
    let _ = serde_json::to_writer(&mut out, map);
    out.extend_from_slice(b"\n\n");
    out.into()
}

/// The last words of a stream that went well. One empty delta, because some clients read `choices[0]` unasked.
pub(crate) fn usage_chunk(stamp: &Stamp, usage: &UsageOut) -> Bytes {
    let choice = json!({ "index": 0, "delta": { "content": "" }, "finish_reason": null });
    last(stamp, choice, None, usage)
}

/// The last words of a stream that broke.
pub(crate) fn error_chunk(stamp: &Stamp, error: &ApiError, usage: &UsageOut) -> Bytes {
    let choice = json!({ "index": 0, "delta": { "content": "" }, "finish_reason": "error" });
    last(stamp, choice, Some(error), usage)
}

fn last(stamp: &Stamp, choice: Value, error: Option<&ApiError>, usage: &UsageOut) -> Bytes {
    let mut map = Map::new();
    stamp.put(&mut map, OBJECT);
    map.insert("choices".into(), Value::Array(vec![choice]));
    if let Some(error) = error {
        map.insert("error".into(), error.to_value());
    }
    let body = super::with_usage(&map, usage);
    let mut out = Vec::with_capacity(body.len() + 32);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&body);
    out.extend_from_slice(b"\n\ndata: [DONE]\n\n");
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn stamp() -> Stamp {
        Stamp { id: "gen-1".into(), created: 5, model: "a/b".into(), provider: "P".into() }
    }

    #[test]
    fn a_chunk_keeps_its_delta_and_loses_its_nulls() {
        let mut chunk = map(json!({"choices":[{"delta":{"role":null,"content":"x","tool_calls":null}}],"usage":null,
            "system_fingerprint":null,"x_new":1}));
        assert_eq!(normalise_chunk(&mut chunk, &stamp()), Normalised::Forward);
        assert_eq!(
            Value::Object(chunk),
            json!({"choices":[{"delta":{"content":"x"},"index":0,"finish_reason":null}],"x_new":1,"id":"gen-1",
                "object":"chat.completion.chunk","created":5,"model":"a/b","provider":"P"})
        );
        assert_eq!(normalise_chunk(&mut map(json!({"choices":[],"usage":{}})), &stamp()), Normalised::Swallow);
    }

    #[test]
    fn the_end_has_usage_and_done() {
        let usage = UsageOut::new(crate::gateway::Tokens::default(), crate::base::Usd::ZERO, &[]);
        let text = String::from_utf8_lossy(&error_chunk(&stamp(), &ApiError::internal(), &usage)).into_owned();
        assert!(text.contains(r#""finish_reason":"error""#) && text.contains(r#""code":500"#), "{text}");
        assert!(text.ends_with("}}}\n\ndata: [DONE]\n\n"), "{text}");
    }
}
