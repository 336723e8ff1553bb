//! A question in the words of the messages API. Pure.

use serde_json::{Map, Value, json};

use crate::gateway::providers::{Failure, Fault, Question};
use crate::gateway::wire::shorten;

/// The protocol demands a length; longer answers need a stream.
const DEFAULT_ANSWER: u64 = 8_192;
/// The least that may be spent on thinking.
const MIN_THINKING: u64 = 1_024;

/// The question in the words of the messages API.
pub(super) fn request(question: &Question<'_>) -> Result<Value, Failure> {
    let body = question.body;
    if body.get("n").and_then(Value::as_u64).unwrap_or(1) > 1 {
        return Err(Failure::new(Fault::Untranslatable, "This provider gives one choice only; n must be 1."));
    }
    let (system, messages) = messages(body)?;
    let max_tokens = max_tokens(question);
    let mut out = Map::new();
    out.insert("model".into(), upstream_model(question).into());
    out.insert("max_tokens".into(), max_tokens.into());
    if !system.is_empty() {
        out.insert("system".into(), Value::Array(system));
    }
    out.insert("messages".into(), Value::Array(messages));
    for name in ["temperature", "top_p", "top_k", "service_tier"] {
        if let Some(value) = body.get(name).filter(|value| value.is_number() && question.sends(name)) {
            out.insert(name.into(), value.clone());
        }
    }
    match body.get("stop").filter(|_| question.sends("stop")) {
        Some(Value::String(stop)) => drop(out.insert("stop_sequences".into(), json!([stop]))),
        Some(Value::Array(stops)) => drop(out.insert("stop_sequences".into(), Value::Array(stops.clone()))),
        _ => {}
    }
    if let Some(user) = body.get("user").and_then(Value::as_str) {
        out.insert("metadata".into(), json!({ "user_id": user }));
    }
    if question.sends("tools") {
        tools(body, &mut out);
    }
    if question.sends("reasoning") && question.sends("reasoning_effort") {
        thinking(body, max_tokens, &mut out);
    }
    if question.stream {
        out.insert("stream".into(), true.into());
    }
    let mut out = Value::Object(out);
    shorten(&mut out);
    Ok(out)
}

/// Without a wish the answer may be as long as the hold pays for, within reason for one that does not stream.
pub(super) fn max_tokens(question: &Question<'_>) -> u64 {
    let longest = if question.stream { question.longest } else { question.longest.min(DEFAULT_ANSWER) };
    question.cap.unwrap_or(longest).max(1)
}

pub(super) fn upstream_model<'a>(question: &'a Question<'_>) -> &'a str {
    &question.candidate.offer().endpoint.upstream_model
}

/// System texts apart, everything else in turns: neighbours with the same role become one message.
fn messages(body: &Map<String, Value>) -> Result<(Vec<Value>, Vec<Value>), Failure> {
    let (mut system, mut turns): (Vec<Value>, Vec<(&str, Vec<Value>)>) = (Vec::new(), Vec::new());
    for message in body.get("messages").and_then(Value::as_array).into_iter().flatten() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or("user");
        let (role, blocks) = match role {
            "system" | "developer" => {
                system.extend(content(message.get("content"))?);
                continue;
            }
            "assistant" => ("assistant", assistant(message)?),
            "tool" | "function" => ("user", vec![tool_result(message)?]),
            _ => ("user", content(message.get("content"))?),
        };
        match turns.last_mut() {
            Some((last, so_far)) if *last == role => so_far.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    turns.retain(|(_, blocks)| !blocks.is_empty());
    let turns = turns.into_iter().map(|(role, blocks)| json!({ "role": role, "content": blocks }));
    Ok((system, turns.collect()))
}

fn content(content: Option<&Value>) -> Result<Vec<Value>, Failure> {
    match content {
        // Empty text blocks are refused upstream.
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![json!({ "type": "text", "text": text })]),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part_block(part).transpose()).collect(),
        _ => Ok(Vec::new()),
    }
}

/// A part of a message as a block; `None` for an empty text.
fn part_block(part: &Value) -> Result<Option<Value>, Failure> {
    let mut block = match part.get("type").and_then(Value::as_str) {
        Some("text") | None => match part.get("text").and_then(Value::as_str).unwrap_or_default() {
            "" => return Ok(None),
            text => json!({ "type": "text", "text": text }),
        },
        Some("image_url") => {
            let url = part.get("image_url").map(|image| image.get("url").unwrap_or(image)).and_then(Value::as_str);
            json!({ "type": "image", "source": source(url.unwrap_or_default())? })
        }
        Some("file") => {
            let data = part.get("file").and_then(|file| file.get("file_data")).and_then(Value::as_str);
            json!({ "type": "document", "source": source(data.unwrap_or_default())? })
        }
        // Blocks in the upstream's own words pass.
        Some("image" | "document") => part.clone(),
        Some(_) => {
            return Err(Failure::new(Fault::Untranslatable, "This provider takes text, images and documents only."));
        }
    };
    if let (Some(cache), Some(block)) = (part.get("cache_control"), block.as_object_mut()) {
        block.insert("cache_control".into(), cache.clone());
    }
    Ok(Some(block))
}

/// A data URL, or an address that the upstream fetches itself.
fn source(url: &str) -> Result<Value, Failure> {
    if let Some((kind, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        return Ok(json!({ "type": "base64", "media_type": kind, "data": data }));
    }
    if url.starts_with("https://") {
        return Ok(json!({ "type": "url", "url": url }));
    }
    Err(Failure::new(Fault::Untranslatable, "An image or file must be a base64 data URL or an https address."))
}

fn assistant(message: &Value) -> Result<Vec<Value>, Failure> {
    let mut blocks = Vec::new();
    // Thinking must come back signed and unchanged, before everything else.
    for detail in message.get("reasoning_details").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        if let (Some(thinking), Some(signature)) = (text("text"), text("signature")) {
            blocks.push(json!({ "type": "thinking", "thinking": thinking, "signature": signature }));
        } else if let Some(data) = text("data") {
            blocks.push(json!({ "type": "redacted_thinking", "data": data }));
        }
    }
    blocks.extend(content(message.get("content"))?);
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let function = call.get("function");
        let text = |name: &str| function.and_then(|function| function.get(name)).and_then(Value::as_str);
        let input: Value = serde_json::from_str(text("arguments").unwrap_or("{}")).unwrap_or_else(|_| json!({}));
        let input = if input.is_object() { input } else { json!({}) };
        blocks.push(json!({ "type": "tool_use", "id": call.get("id").and_then(Value::as_str).unwrap_or("call"),
            "name": text("name").unwrap_or_default(), "input": input }));
    }
    Ok(blocks)
}

fn tool_result(message: &Value) -> Result<Value, Failure> {
    let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or("call");
    Ok(json!({ "type": "tool_result", "tool_use_id": id, "content": content(message.get("content"))? }))
}

fn tools(body: &Map<String, Value>, out: &mut Map<String, Value>) {
    let Some(tools) = body.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty()) else { return };
    let own = tools.iter().map(|tool| {
        let Some(function) = tool.get("function") else { return tool.clone() };
        let schema = function.get("parameters").filter(|schema| schema.is_object()).cloned();
        let mut own = json!({ "name": function.get("name"), "input_schema": schema.unwrap_or_else(|| json!({ "type": "object" })) });
        for (name, value) in [("description", function.get("description")), ("cache_control", tool.get("cache_control"))] {
            if let (Some(value), Some(own)) = (value.filter(|value| !value.is_null()), own.as_object_mut()) {
                own.insert(name.into(), value.clone());
            }
        }
        own
    });
    out.insert("tools".into(), own.collect());
    let mut choice = match body.get("tool_choice") {
        Some(Value::String(word)) if word == "required" => json!({ "type": "any" }),
        Some(Value::String(word)) if word == "none" => json!({ "type": "none" }),
        Some(Value::Object(named)) => match named.get("function").and_then(|function| function.get("name")) {
            Some(name) => json!({ "type": "tool", "name": name }),
            None => json!({ "type": "auto" }),
        },
        _ => json!({ "type": "auto" }),
    };
    let alone = body.get("parallel_tool_calls") == Some(&Value::Bool(false));
    if let Some(choice) = choice.as_object_mut().filter(|choice| alone && choice.get("type") != Some(&json!("none"))) {
        choice.insert("disable_parallel_tool_use".into(), true.into());
    }
    out.insert("tool_choice".into(), choice);
}

/// Thinking has a budget of its own within the length of the answer.
fn thinking(body: &Map<String, Value>, max_tokens: u64, out: &mut Map<String, Value>) {
    let reasoning = body.get("reasoning");
    let effort = reasoning.and_then(|reasoning| reasoning.get("effort")).or_else(|| body.get("reasoning_effort"));
    let enabled = reasoning.and_then(|reasoning| reasoning.get("enabled")).and_then(Value::as_bool);
    let wanted = reasoning.and_then(|reasoning| reasoning.get("max_tokens")).and_then(Value::as_u64);
    let share = |percent: u64| max_tokens.saturating_mul(percent) / 100;
    let budget = match (wanted, effort.and_then(Value::as_str), enabled) {
        (_, _, Some(false)) | (_, Some("none"), _) | (None, None, None) => return,
        (Some(wanted), _, _) => wanted,
        (None, Some("minimal" | "low"), _) => share(20),
        (None, Some("high" | "xhigh"), _) => share(80),
        _ => share(50),
    };
    // It must leave room for the answer; a budget that is too small is none.
    let budget = budget.min(max_tokens.saturating_sub(1));
    if budget < MIN_THINKING {
        return;
    }
    out.insert("thinking".into(), json!({ "type": "enabled", "budget_tokens": budget }));
    // The protocol refuses these together with thinking.
    for name in ["temperature", "top_k"] {
        out.shift_remove(name);
    }
    let forced = out.get("tool_choice").and_then(|choice| choice.get("type")).and_then(Value::as_str);
    if matches!(forced, Some("any" | "tool")) {
        out.insert("tool_choice".into(), json!({ "type": "auto" }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{candidate, offer};

    fn translated(body: &Value, cap: Option<u64>) -> Result<Value, Failure> {
        let candidate = candidate(offer("a/b", "anthropic", "1", "2"));
        let body = body.as_object().cloned().unwrap_or_default();
        request(&Question {
            candidate: &candidate,
            body: &body,
            added: &[],
            cap,
            longest: 4_000,
            stream: true,
            task: crate::catalog::Task::Answer,
            words: None,
        })
    }

    #[test]
    fn a_conversation_with_tools_and_images_is_translated() {
        let body = json!({
            "messages": [
                {"role":"system","content":"be brief"},
                {"role":"user","content":[{"type":"text","text":"look","cache_control":{"type":"ephemeral","ttl":"1h"}},
                    {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},
                {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",
                    "function":{"name":"f","arguments":"{\"x\":1}"}}]},
                {"role":"tool","tool_call_id":"c1","content":"42"},
                {"role":"user","content":"and?"},
            ],
            "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],
            "tool_choice":"required","parallel_tool_calls":false,"stop":"END","temperature":0.5,"user":"u1",
            "presence_penalty":1
        });
        assert_eq!(
            translated(&body, Some(100)).expect("it can be said"),
            json!({
                "model":"up","max_tokens":100,
                "system":[{"type":"text","text":"be brief"}],
                "messages":[
                    {"role":"user","content":[{"type":"text","text":"look","cache_control":{"type":"ephemeral"}},
                        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]},
                    {"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{"x":1}}]},
                    {"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"42"}]},
                        {"type":"text","text":"and?"}]},
                ],
                "temperature":0.5,"stop_sequences":["END"],"metadata":{"user_id":"u1"},
                "tools":[{"name":"f","input_schema":{"type":"object"},"description":"d"}],
                "tool_choice":{"type":"any","disable_parallel_tool_use":true},"stream":true
            })
        );
    }

    #[test]
    fn thinking_fits_into_the_answer() {
        let body = json!({"messages":[{"role":"user","content":"x"}],"reasoning":{"effort":"high"},"temperature":1});
        let long = translated(&body, None).expect("it can be said");
        assert_eq!(long["thinking"], json!({"type":"enabled","budget_tokens":3200}));
        assert_eq!(long.get("temperature"), None);
        assert_eq!(translated(&body, Some(1_000)).expect("it can be said").get("thinking"), None);
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let audio = json!({"messages":[{"role":"user","content":[{"type":"input_audio"}]}]});
        assert_eq!(translated(&audio, None).map_err(|failure| failure.fault).err(), Some(Fault::Untranslatable));
        let local =
            json!({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc"}}]}]});
        assert_eq!(translated(&local, None).map_err(|failure| failure.fault).err(), Some(Fault::Untranslatable));
    }
}
