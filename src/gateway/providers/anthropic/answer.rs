//! A whole message in OpenAI's shape. Pure.

use serde_json::{Map, Value, json};

use super::stream::{Spent, detail};

/// A whole answer in OpenAI's shape.
pub(super) fn answer_to_completion(answer: &Map<String, Value>) -> Map<String, Value> {
    let (mut text, mut reasoning, mut details, mut calls) = (String::new(), String::new(), Vec::new(), Vec::new());
    for block in answer.get("content").and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
        let index = u64::try_from(details.len()).unwrap_or(0);
        match field("type") {
            "text" => text.push_str(field("text")),
            "thinking" => {
                reasoning.push_str(field("thinking"));
                let thought =
                    json!({ "type": "reasoning.text", "text": field("thinking"), "signature": field("signature") });
                details.push(detail(thought, index));
            }
            "redacted_thinking" => {
                details.push(detail(json!({ "type": "reasoning.encrypted", "data": field("data") }), index));
            }
            "tool_use" => {
                let input = block.get("input").map_or_else(|| "{}".to_owned(), Value::to_string);
                calls.push(json!({ "id": field("id"), "type": "function",
                    "function": { "name": field("name"), "arguments": input } }));
            }
            _ => {}
        }
    }
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    let mut message = json!({ "role": "assistant", "content": content });
    if let Some(message) = message.as_object_mut() {
        if !reasoning.is_empty() {
            message.insert("reasoning".into(), reasoning.into());
        }
        if !details.is_empty() {
            message.insert("reasoning_details".into(), details.into());
        }
        if !calls.is_empty() {
            message.insert("tool_calls".into(), calls.into());
        }
    }
    let mut spent = Spent::default();
    spent.add(answer.get("usage"));
    let mut out = Map::new();
    out.insert("id".into(), answer.get("id").cloned().unwrap_or(Value::Null));
    out.insert(
        "choices".into(),
        json!([{ "index": 0, "message": message, "finish_reason": answer.get("stop_reason") }]),
    );
    if let Some(usage) = spent.to_usage() {
        out.insert("usage".into(), usage);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_answer_becomes_a_completion() {
        let answer = json!({"id":"msg_1","content":[{"type":"thinking","thinking":"hm","signature":"s"},
            {"type":"text","text":"hi"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"tool_use",
            "usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":2,"output_tokens":7}});
        let completion = Value::Object(answer_to_completion(answer.as_object().expect("an object")));
        assert_eq!(
            completion,
            json!({"id":"msg_1","choices":[{"index":0,"message":{"role":"assistant","content":"hi",
            "reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s","format":"anthropic-claude-v1","index":0}],
            "tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
            "finish_reason":"tool_use"}],
            "usage":{"prompt_tokens":17,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":2},
                "completion_tokens":7}})
        );
    }
}
