//! The older completions API: a prompt in, a text out. The models of today are asked with the prompt as the only message.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::writer::choices;
use super::{Kept, given, sse};
use crate::gateway::error::ApiError;
use crate::gateway::wire::{ChatRequest, Stamp, UsageOut, count, flag, with_usage};

const OBJECT: &str = "text_completion";

/// # Errors
/// 400 without a prompt of text, and for what only models that complete texts could do.
pub(super) fn read(mut body: Map<String, Value>) -> Result<ChatRequest, ApiError> {
    let prompt = match body.shift_remove("prompt") {
        Some(Value::String(text)) => text,
        Some(Value::Array(mut prompts)) if prompts.len() == 1 => match prompts.pop() {
            Some(Value::String(text)) => text,
            _ => return Err(ApiError::invalid("prompt must be text; tokens cannot be sent here.")),
        },
        Some(Value::Array(prompts)) if prompts.iter().all(Value::is_number) && !prompts.is_empty() => {
            return Err(ApiError::invalid("prompt must be text; tokens cannot be sent here."));
        }
        Some(Value::Array(_)) => {
            return Err(ApiError::invalid("prompt must be one text. Send a call for each prompt."));
        }
        _ => return Err(ApiError::invalid("prompt is missing or is not a text.")),
    };
    if prompt.is_empty() {
        return Err(ApiError::invalid("prompt is empty."));
    }
    if given(&body, "suffix").is_some_and(|suffix| suffix != "") {
        return Err(ApiError::invalid(
            "suffix cannot be used: the prompt is answered, nothing is inserted into a text.",
        ));
    }
    let best_of = count(&body, "best_of")?.unwrap_or(1);
    if best_of > count(&body, "n")?.unwrap_or(1) {
        return Err(ApiError::invalid("best_of cannot be more than n: every answer that is paid for is returned."));
    }
    if given(&body, "logprobs").is_some_and(|wanted| *wanted != json!(0) && *wanted != json!(false)) {
        return Err(ApiError::invalid("logprobs are not given here; call /chat/completions for them."));
    }
    let echo = flag(&body, "echo")?.then(|| Arc::from(prompt.as_str()));
    body.retain(|name, _| !matches!(name.as_str(), "suffix" | "best_of" | "logprobs" | "echo" | "messages"));
    body.insert("messages".into(), json!([{ "role": "user", "content": prompt }]));
    Ok(ChatRequest { kept: Kept::Completions { echo }, ..ChatRequest::from_map(body)? })
}

#[derive(Debug)]
pub(crate) struct Writer {
    echo: Option<Arc<str>>,
    /// Choices that have begun, and had the prompt before them.
    begun: Vec<u64>,
}

impl Writer {
    pub(super) fn new(echo: Option<Arc<str>>) -> Writer {
        Writer { echo, begun: Vec::new() }
    }

    pub(super) fn chunk(&mut self, chunk: &Map<String, Value>) -> Option<Bytes> {
        let mut out = Vec::new();
        for choice in choices(chunk) {
            let (text, reasoning) = said(choice.get("delta"));
            let finish = choice.get("finish_reason").cloned().unwrap_or_default();
            if text.is_empty() && reasoning.is_empty() && finish.is_null() {
                continue;
            }
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            let echo = self.echo.as_deref().filter(|_| !self.begun.contains(&index)).unwrap_or_default();
            if !echo.is_empty() {
                self.begun.push(index);
            }
            out.push(piece(choice, format!("{echo}{text}"), reasoning, index));
        }
        if out.is_empty() {
            return None;
        }
        let mut map = head(chunk);
        map.insert("choices".into(), Value::Array(out));
        let mut bytes = Vec::with_capacity(256);
        sse::plain(&mut bytes, &Value::Object(map).to_string());
        Some(bytes.into())
    }

    pub(super) fn whole(&self, answer: &Map<String, Value>) -> Map<String, Value> {
        let echo = self.echo.as_deref().unwrap_or_default();
        let choices = choices(answer).enumerate().map(|(at, choice)| {
            let (text, reasoning) = said(choice.get("message"));
            let at = u64::try_from(at).unwrap_or(0);
            piece(choice, format!("{echo}{text}"), reasoning, choice.get("index").and_then(Value::as_u64).unwrap_or(at))
        });
        let choices = choices.collect();
        let mut map = head(answer);
        map.insert("choices".into(), Value::Array(choices));
        map
    }
}

/// The last event with what the call cost, and the end of the stream.
pub(super) fn end(stamp: &Stamp, error: Option<&ApiError>, usage: &UsageOut) -> Bytes {
    let finish = error.map(|_| "error");
    let mut map = Map::new();
    stamp.put(&mut map, OBJECT);
    map.insert("choices".into(), json!([{ "text": "", "index": 0, "logprobs": null, "finish_reason": finish }]));
    if let Some(error) = error {
        map.insert("error".into(), error.to_value());
    }
    let body = with_usage(&map, usage);
    let mut out = Vec::with_capacity(body.len() + 32);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&body);
    out.extend_from_slice(b"\n\n");
    out.extend_from_slice(sse::DONE);
    out.into()
}

/// All but the choices.
fn head(answer: &Map<String, Value>) -> Map<String, Value> {
    let mut map: Map<String, Value> = answer
        .iter()
        .filter(|(name, _)| *name != "choices")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    map.insert("object".into(), OBJECT.into());
    map
}

fn said(message: Option<&Value>) -> (String, String) {
    let text = |name: &str| message.and_then(|message| message.get(name)?.as_str()).unwrap_or_default().to_owned();
    (text("content") + &text("refusal"), text("reasoning"))
}

fn piece(choice: &Map<String, Value>, text: String, reasoning: String, index: u64) -> Value {
    let finish = match choice.get("finish_reason").and_then(Value::as_str) {
        // There are no tools in this language.
        Some("tool_calls") => json!("stop"),
        Some(reason) => json!(reason),
        None => Value::Null,
    };
    let mut out = json!({ "text": text, "index": index, "logprobs": null, "finish_reason": finish });
    if let (Some(native), Some(out)) = (choice.get("native_finish_reason"), out.as_object_mut()) {
        out.insert("native_finish_reason".into(), native.clone());
    }
    if let (false, Some(out)) = (reasoning.is_empty(), out.as_object_mut()) {
        out.insert("reasoning".into(), reasoning.into());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_value(body: Value) -> Result<ChatRequest, String> {
        let Value::Object(body) = body else { return Err("no object".into()) };
        read(body).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_prompt_becomes_the_only_message() {
        let request = read_value(json!({"model":"a/b","prompt":["Once"],"max_tokens":5,"stream":true})).expect("read");
        assert_eq!(request.body["messages"], json!([{"role":"user","content":"Once"}]));
        assert_eq!((request.cap, request.stream), (Some(5), true));
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_name() {
        for (field, value) in [
            ("prompt", json!([1, 2])),
            ("prompt", json!(["a", "b"])),
            ("prompt", json!("")),
            ("suffix", json!("end")),
            ("best_of", json!(3)),
            ("logprobs", json!(2)),
        ] {
            let mut body = json!({"model":"a/b","prompt":"Once"});
            body[field] = value;
            let said = read_value(body).expect_err(field);
            assert!(said.contains(field), "{field}: {said}");
        }
    }
}
