//! A whole answer as a message. Pure.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::super::writer::{BROKEN_OFF, choices};
use super::super::{sse, text, usage};
use crate::gateway::wire::{Stamp, UsageOut};

/// A message without its content, as it stands at the start of a stream.
pub(super) fn blank(stamp: &Stamp) -> Map<String, Value> {
    let blank = json!({ "id": stamp.id, "type": "message", "role": "assistant", "model": stamp.model,
        "provider": stamp.provider, "content": [], "stop_reason": null, "stop_sequence": null, "stop_details": null,
        "container": null });
    match blank {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Why an answer ended, in this language's words. It has none for one that was broken off; that it is not whole is said by the
/// word for one that was cut.
/// `refused` is whether it is a refusal, which other languages tell by its place and not by a word.
pub(super) fn stop_reason(finish: &str, refused: bool) -> &'static str {
    match finish {
        "length" | BROKEN_OFF => "max_tokens",
        "tool_calls" => "tool_use",
        "content_filter" => "refusal",
        _ if refused => "refusal",
        _ => "end_turn",
    }
}

pub(in crate::gateway::dialect) fn whole(answer: &Map<String, Value>, stamp: &Stamp, spent: &UsageOut) -> Bytes {
    let choice = choices(answer).next();
    let message = choice.and_then(|choice| choice.get("message"));
    let mut out = blank(stamp);
    out.insert("content".into(), Value::Array(message.map(blocks).unwrap_or_default()));
    let finish = choice.and_then(|choice| choice.get("finish_reason")?.as_str()).unwrap_or_default();
    out.insert("stop_reason".into(), stop_reason(finish, message.is_some_and(refuses)).into());
    sse::with(&Value::Object(out), "usage", &usage::of_message(spent)).into()
}

/// An answer that came in this language, with our names in it.
pub(in crate::gateway::dialect) fn same_whole(mut words: Map<String, Value>, stamp: &Stamp, spent: &UsageOut) -> Bytes {
    words.shift_remove("usage");
    for (name, value) in [("id", &stamp.id), ("model", &stamp.model), ("provider", &stamp.provider)] {
        words.insert(name.into(), value.as_str().into());
    }
    for name in ["stop_details", "container"] {
        words.entry(name).or_insert(Value::Null);
    }
    sse::with(&Value::Object(words), "usage", &usage::of_message(spent)).into()
}

/// Whether a message, or a part of one, says why there is no answer.
pub(super) fn refuses(message: &Value) -> bool {
    text(message, "refusal").is_some_and(|why| !why.is_empty())
}

/// A block of text. Its citations are none: some readers demand the field, and others refuse null in it.
pub(super) fn text_block(said: &str) -> Value {
    json!({ "type": "text", "text": said, "citations": [] })
}

fn blocks(message: &Value) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    for detail in message.get("reasoning_details").and_then(Value::as_array).into_iter().flatten() {
        if let Some(thinking) = text(detail, "text") {
            let signature = text(detail, "signature").unwrap_or_default();
            blocks.push(json!({ "type": "thinking", "thinking": thinking, "signature": signature }));
        } else if let Some(data) = text(detail, "data") {
            blocks.push(json!({ "type": "redacted_thinking", "data": data }));
        }
    }
    if blocks.is_empty()
        && let Some(thinking) = text(message, "reasoning").filter(|thinking| !thinking.is_empty())
    {
        blocks.push(json!({ "type": "thinking", "thinking": thinking, "signature": "" }));
    }
    for said in ["content", "refusal"].into_iter().filter_map(|name| text(message, name)) {
        if !said.is_empty() {
            blocks.push(text_block(said));
        }
    }
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let function = call.get("function").unwrap_or(&Value::Null);
        let input = text(function, "arguments").and_then(|arguments| serde_json::from_str::<Value>(arguments).ok());
        let input = input.filter(Value::is_object).unwrap_or_else(|| json!({}));
        blocks.push(json!({ "type": "tool_use", "id": text(call, "id").unwrap_or("call"),
            "name": text(function, "name").unwrap_or_default(), "input": input, "caller": { "type": "direct" } }));
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Usd;
    use crate::gateway::Tokens;

    #[test]
    fn an_answer_becomes_blocks() {
        let answer = json!({"choices":[{"finish_reason":"tool_calls","message":{"content":"hi","reasoning":"hm",
            "tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"x\":1}"}}]}}]});
        let stamp = Stamp { id: "gen-1".into(), created: 5, model: "a/b".into(), provider: "P".into() };
        let usage = UsageOut::new(Tokens { prompt: 3, completion: 4, ..Tokens::default() }, Usd::ZERO, &[]);
        let answer = answer.as_object().cloned().unwrap_or_default();
        let out: Value = serde_json::from_slice(&whole(&answer, &stamp, &usage)).expect("JSON");
        assert_eq!(
            out["content"],
            json!([{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"hi","citations":[]},
                {"type":"tool_use","id":"c1","name":"f","input":{"x":1},"caller":{"type":"direct"}}])
        );
        assert_eq!((&out["stop_reason"], &out["usage"]["output_tokens"]), (&json!("tool_use"), &json!(4)));
        assert_eq!(stop_reason("error", false), "max_tokens", "what is not whole is not told as whole");
        let answer = json!({"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"I can't."}}]});
        let answer = answer.as_object().cloned().unwrap_or_default();
        let out: Value = serde_json::from_slice(&whole(&answer, &stamp, &usage)).expect("JSON");
        assert_eq!((&out["stop_reason"], &out["content"][0]["text"]), (&json!("refusal"), &json!("I can't.")));
    }
}
