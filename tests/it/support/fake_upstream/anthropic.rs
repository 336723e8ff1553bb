//! Messages as Anthropic gives them.

use serde_json::{Value, json};

use super::body::Piece;
use super::script::{Answer, TOOL_ARGUMENTS, parts};

pub fn whole(id: &str, model: &str, answer: &Answer) -> Piece {
    let mut content = Vec::new();
    if !answer.thought.is_empty() {
        content.push(json!({"type": "thinking", "thinking": answer.thought, "signature": "ZmFrZQ=="}));
    }
    if !answer.text.is_empty() {
        content.push(json!({"type": "text", "text": answer.text}));
    }
    if let Some(name) = &answer.tool {
        let input: Value = serde_json::from_str(TOOL_ARGUMENTS).expect("arguments are JSON");
        content.push(json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": name, "input": input}));
    }
    let mut body = message(id, model, json!(content), json!(stop_reason(answer)));
    if let Some(usage) = usage(answer, None) {
        body["usage"] = usage;
    }
    Piece {
        bytes: body.to_string().into_bytes(),
        chunks: 1,
        tokens: Some(answer.completion),
        usage: answer.told().is_some(),
    }
}

/// The events of a streamed answer, `message_stop` last. The prompt's tokens are told at the start, the
/// answer's at the end; only the second counts as usage sent.
pub fn stream(id: &str, model: &str, answer: &Answer) -> Vec<Piece> {
    let bare = |bytes| Piece { bytes, ..Piece::default() };
    let mut start = message(id, model, json!([]), Value::Null);
    if let Some(usage) = usage(answer, Some(1)) {
        start["usage"] = usage;
    }
    let mut pieces = vec![bare(event("message_start", json!({"message": start})))];
    let blocks = blocks(id, answer);
    let count: u64 = blocks.iter().map(|(_, deltas)| deltas.len() as u64).sum();
    let mut sent = 0;
    for (index, (block, deltas)) in blocks.into_iter().enumerate() {
        let opening = json!({"index": index, "content_block": block});
        pieces.push(bare(event("content_block_start", opening)));
        if index == 0 {
            pieces.push(bare(event("ping", json!({}))));
        }
        for delta in deltas {
            sent += 1;
            let bytes = event("content_block_delta", json!({"index": index, "delta": delta}));
            let tokens = Some(answer.completion * sent / count);
            pieces.push(Piece { bytes, chunks: 1, tokens, usage: false });
        }
        pieces.push(bare(event("content_block_stop", json!({"index": index}))));
    }
    let mut end = json!({"delta": {"stop_reason": stop_reason(answer), "stop_sequence": null}});
    if let Some(usage) = usage(answer, None) {
        end["usage"] = json!({"output_tokens": usage["output_tokens"]});
    }
    pieces.push(Piece { usage: answer.told().is_some(), ..bare(event("message_delta", end)) });
    pieces.push(bare(event("message_stop", json!({}))));
    pieces
}

/// Each content block: how it starts, and its deltas.
fn blocks(id: &str, answer: &Answer) -> Vec<(Value, Vec<Value>)> {
    let mut blocks = Vec::new();
    if !answer.thought.is_empty() {
        let mut deltas: Vec<Value> = parts(&answer.thought, answer.reasoning)
            .iter()
            .map(|part| json!({"type": "thinking_delta", "thinking": part}))
            .collect();
        deltas.push(json!({"type": "signature_delta", "signature": "ZmFrZQ=="}));
        blocks.push((json!({"type": "thinking", "thinking": "", "signature": ""}), deltas));
    }
    if !answer.text.is_empty() {
        let deltas = parts(&answer.text, answer.completion - answer.reasoning);
        let deltas = deltas.iter().map(|part| json!({"type": "text_delta", "text": part})).collect();
        blocks.push((json!({"type": "text", "text": ""}), deltas));
    }
    if let Some(name) = &answer.tool {
        let block = json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": name, "input": {}});
        let deltas = parts(TOOL_ARGUMENTS, 3);
        let deltas = deltas.iter().map(|part| json!({"type": "input_json_delta", "partial_json": part})).collect();
        blocks.push((block, deltas));
    }
    blocks
}

pub fn error_event() -> Vec<u8> {
    event("error", json!({"error": {"type": "overloaded_error", "message": "Overloaded"}}))
}

pub fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"})
}

fn message(id: &str, model: &str, content: Value, stop_reason: Value) -> Value {
    json!({"id": id, "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop_reason, "stop_sequence": null})
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer {
        Answer { cut: true, .. } => "max_tokens",
        Answer { tool: Some(_), .. } => "tool_use",
        _ => "end_turn",
    }
}

/// Anthropic counts cached tokens beside the input, not in it. `output` stands in for the answer's
/// tokens while they are not known; explicit zeros stay zero.
fn usage(answer: &Answer, output: Option<u64>) -> Option<Value> {
    let [prompt, cached, completion, _] = answer.told()?;
    Some(json!({
        "input_tokens": (prompt - cached).saturating_sub(answer.written),
        "cache_creation_input_tokens": answer.written.min(prompt - cached),
        "cache_read_input_tokens": cached, "output_tokens": output.unwrap_or(completion).min(completion),
    }))
}

fn event(name: &str, mut body: Value) -> Vec<u8> {
    body["type"] = json!(name);
    format!("event: {name}\ndata: {body}\n\n").into_bytes()
}
