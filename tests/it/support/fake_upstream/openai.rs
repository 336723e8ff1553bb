//! Chat completions as OpenAI gives them.

use serde_json::{Value, json};

use super::body::Piece;
use super::script::{Answer, TOOL_ARGUMENTS, parts};

const CREATED: u64 = 1_767_225_600;

pub fn whole(id: &str, model: &str, answer: &Answer) -> Piece {
    let mut message = json!({"role": "assistant", "content": answer.text, "refusal": null});
    if !answer.thought.is_empty() {
        message["reasoning_content"] = json!(answer.thought);
    }
    if let Some(name) = &answer.tool {
        message["content"] = Value::Null;
        message["tool_calls"] = json!([{"id": format!("call_{id}"), "type": "function",
            "function": {"name": name, "arguments": TOOL_ARGUMENTS}}]);
    }
    let mut body = json!({
        "id": id, "object": "chat.completion", "created": CREATED, "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(answer)}],
        "system_fingerprint": "fp_fake",
    });
    if let Some(usage) = usage(answer) {
        body["usage"] = usage;
    }
    Piece {
        bytes: body.to_string().into_bytes(),
        chunks: 1,
        tokens: Some(answer.completion),
        usage: answer.told().is_some(),
    }
}

/// The events of a streamed answer, with usage if it was asked for, `[DONE]` last.
pub fn stream(id: &str, model: &str, answer: &Answer, request: &Value) -> Vec<Piece> {
    let wants_usage = request.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true);
    let chunk = |choices: Value, usage: Value| {
        let mut body = json!({
            "id": id, "object": "chat.completion.chunk", "created": CREATED, "model": model,
            "system_fingerprint": "fp_fake", "choices": choices,
        });
        if wants_usage {
            body["usage"] = usage;
        }
        event(&body)
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null)
    };
    let bare = |bytes| Piece { bytes, ..Piece::default() };

    let mut pieces = vec![bare(delta(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null))];
    let deltas = deltas(id, answer);
    let count = deltas.len() as u64;
    for (sent, content) in (1..).zip(deltas) {
        let bytes = delta(content, Value::Null);
        pieces.push(Piece { bytes, chunks: 1, tokens: Some(answer.completion * sent / count), usage: false });
    }
    pieces.push(bare(delta(json!({}), json!(finish(answer)))));
    if let Some(usage) = usage(answer).filter(|_| wants_usage) {
        pieces.push(Piece { usage: true, ..bare(chunk(json!([]), usage)) });
    }
    pieces.push(bare(b"data: [DONE]\n\n".to_vec()));
    pieces
}

fn deltas(id: &str, answer: &Answer) -> Vec<Value> {
    let thought = parts(&answer.thought, answer.reasoning);
    let text = parts(&answer.text, answer.completion - answer.reasoning);
    let mut deltas: Vec<Value> = thought.iter().map(|part| json!({"reasoning_content": part})).collect();
    deltas.extend(text.iter().map(|part| json!({"content": part})));
    if let Some(name) = &answer.tool {
        deltas.push(json!({"tool_calls": [{"index": 0, "id": format!("call_{id}"), "type": "function",
            "function": {"name": name, "arguments": ""}}]}));
        deltas.extend(
            parts(TOOL_ARGUMENTS, 3)
                .iter()
                .map(|part| json!({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})),
        );
    }
    deltas
}

/// The event with which a stream ends when the model broke down.
pub fn error_event() -> Vec<u8> {
    event(&error(500, "The server had an error while processing your request."))
}

pub fn error(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        400 => ("invalid_request_error", Value::Null),
        401 => ("invalid_request_error", json!("invalid_api_key")),
        404 => ("invalid_request_error", json!("model_not_found")),
        429 => ("requests", json!("rate_limit_exceeded")),
        _ => ("server_error", Value::Null),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn finish(answer: &Answer) -> &'static str {
    match answer {
        Answer { cut: true, .. } => "length",
        Answer { tool: Some(_), .. } => "tool_calls",
        _ => "stop",
    }
}

fn usage(answer: &Answer) -> Option<Value> {
    let [prompt, cached, completion, reasoning] = answer.told()?;
    let [heard, spoken] = answer.sound;
    Some(json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": heard},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
    }))
}

fn event(body: &Value) -> Vec<u8> {
    format!("data: {body}\n\n").into_bytes()
}
