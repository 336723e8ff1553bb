//! What an answer consists of: the response around its items, and the items. Pure.

use serde_json::{Map, Value, json};

use super::super::text;
use super::calls::{self, Call};
use super::thoughts::{Telling, Thought};
use super::tools::Names;
use crate::gateway::error::{ApiError, TOO_LONG_A_PROMPT};
use crate::gateway::wire::Stamp;

/// How a response stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Running,
    Completed,
    /// With the reason.
    Incomplete(&'static str),
    Failed,
}

impl State {
    /// From why the answer ended.
    pub(super) fn of(finish: &str) -> State {
        match finish {
            "length" => State::Incomplete("max_output_tokens"),
            "content_filter" => State::Incomplete("content_filter"),
            _ => State::Completed,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            State::Running => "in_progress",
            State::Completed => "completed",
            State::Incomplete(_) => "incomplete",
            State::Failed => "failed",
        }
    }
}

/// The response without its usage. `request` has what it repeats.
pub(super) fn response(request: &Map<String, Value>, stamp: &Stamp, state: State, output: &[Value]) -> Value {
    let said = |name: &str, otherwise: Value| request.get(name).cloned().unwrap_or(otherwise);
    let details = match state {
        State::Incomplete(reason) => json!({ "reason": reason }),
        _ => Value::Null,
    };
    let texts = output.iter().filter(|item| text(item, "type") == Some("message"));
    let texts = texts.flat_map(|item| item.get("content").and_then(Value::as_array).into_iter().flatten());
    let texts: String = texts.filter_map(|part| text(part, "text")).collect();
    json!({
        "id": stamp.id, "object": "response", "created_at": stamp.created, "completed_at": null,
        "status": state.word(), "background": false, "error": null, "incomplete_details": details,
        "instructions": said("instructions", Value::Null), "max_output_tokens": said("max_output_tokens", Value::Null),
        "max_tool_calls": said("max_tool_calls", Value::Null), "model": stamp.model, "provider": stamp.provider,
        "output": output, "output_text": texts, "parallel_tool_calls": said("parallel_tool_calls", json!(true)),
        "previous_response_id": null, "prompt_cache_key": said("prompt_cache_key", Value::Null),
        "presence_penalty": said("presence_penalty", Value::Null),
        "frequency_penalty": said("frequency_penalty", Value::Null),
        "reasoning": said("reasoning", json!({ "effort": null, "summary": null })),
        "safety_identifier": said("safety_identifier", Value::Null), "service_tier": said("service_tier", Value::Null),
        "store": false, "temperature": said("temperature", Value::Null),
        "text": said("text", json!({ "format": { "type": "text" } })), "tool_choice": said("tool_choice", json!("auto")),
        "tools": said("tools", json!([])), "top_p": said("top_p", Value::Null), "truncation": "disabled",
        "user": said("user", Value::Null), "metadata": said("metadata", json!({})),
    })
}

/// One item of an output, finished or being written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    Message {
        id: String,
        text: String,
    },
    /// A message that says why there is no answer.
    Refusal {
        id: String,
        text: String,
    },
    Reasoning {
        id: String,
        thought: Thought,
    },
    Call(Call),
}

impl Item {
    pub(super) fn id(&self) -> &str {
        match self {
            Item::Message { id, .. } | Item::Refusal { id, .. } | Item::Reasoning { id, .. } => id,
            Item::Call(call) => &call.id,
        }
    }

    /// The part that its text stands in; calls have none.
    pub(super) fn part(&self) -> Option<Value> {
        match self {
            Item::Message { text, .. } => {
                Some(json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }))
            }
            Item::Refusal { text, .. } => Some(json!({ "type": "refusal", "refusal": text })),
            Item::Reasoning { thought, .. } => thought.part(),
            Item::Call(_) => None,
        }
    }

    /// `done` is whether it is finished; what is not has no content yet.
    pub(super) fn value(&self, done: bool) -> Value {
        let status = if done { "completed" } else { "in_progress" };
        let content = self.part().filter(|_| done).map_or_else(|| json!([]), |part| json!([part]));
        match self {
            Item::Message { id, .. } | Item::Refusal { id, .. } => {
                json!({ "id": id, "type": "message", "role": "assistant", "status": status, "content": content })
            }
            Item::Reasoning { id, thought } => {
                let summary = thought.summary().filter(|_| done).map_or_else(|| json!([]), |part| json!([part]));
                let mut item = json!({ "id": id, "type": "reasoning", "summary": summary, "content": content });
                let (signature, packed) = (thought.signature().map(str::to_owned), thought.packed());
                for (name, value) in [("signature", signature), ("encrypted_content", packed)] {
                    if let (Some(value), Some(item)) = (value, item.as_object_mut()) {
                        item.insert(name.into(), value.into());
                    }
                }
                item
            }
            Item::Call(call) => call.value(done),
        }
    }
}

/// The items of a whole answer's message. All that was thought is one of them.
pub(super) fn items(message: &Value, stamp: &Stamp, telling: Telling, names: &Names) -> Vec<Item> {
    let mut out = Vec::new();
    let id = |kind: &str, at: usize| id_of(kind, stamp, at);
    let details = message.get("reasoning_details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut thought = Thought::new(telling);
    thought.text.push_str(text(message, "reasoning").unwrap_or_default());
    details.iter().for_each(|detail| thought.note(detail));
    if !thought.text.is_empty() || details.iter().any(|detail| text(detail, "data").is_some()) {
        out.push(Item::Reasoning { id: id("rs", 0), thought });
    }
    let said = text(message, "content").unwrap_or_default();
    let refused = text(message, "refusal").unwrap_or_default();
    let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !said.is_empty() || (refused.is_empty() && calls.is_empty() && out.is_empty()) {
        out.push(Item::Message { id: id("msg", out.len()), text: said.to_owned() });
    }
    if !refused.is_empty() {
        out.push(Item::Refusal { id: id("msg", out.len()), text: refused.to_owned() });
    }
    for call in calls {
        let function = call.get("function").unwrap_or(&Value::Null);
        let tool = names.tool(text(function, "name").unwrap_or_default());
        let call_id = text(call, "id").unwrap_or("call").to_owned();
        let mut call = Call::new(id(calls::kind(&tool), out.len()), call_id, tool);
        call.push(text(function, "arguments").unwrap_or("{}"));
        out.push(Item::Call(call));
    }
    out
}

/// The id of the item at a place of the output.
pub(super) fn id_of(kind: &str, stamp: &Stamp, at: usize) -> String {
    format!("{kind}_{}_{at}", stamp.id.trim_start_matches("gen-"))
}

/// What went wrong, as one of the codes that this language has.
pub(super) fn code_of(error: &ApiError) -> &'static str {
    match error.status() {
        _ if error.kind() == TOO_LONG_A_PROMPT => TOO_LONG_A_PROMPT,
        429 => "rate_limit_exceeded",
        400 | 413 | 422 => "invalid_prompt",
        _ => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_has_a_code_of_this_language() {
        for (status, kind, code) in [
            (400, "context_length_exceeded", "context_length_exceeded"),
            (400, "invalid_request", "invalid_prompt"),
            (422, "invalid_request", "invalid_prompt"),
            (429, "rate_limit_exceeded", "rate_limit_exceeded"),
            (402, "payment_required", "server_error"),
            (502, "provider_unavailable", "server_error"),
        ] {
            assert_eq!(code_of(&ApiError::new(status, kind, "no")), code, "{status} {kind}");
        }
    }
}
