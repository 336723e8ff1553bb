//! Blocks of content as parts of chat messages. Pure.

use serde_json::{Map, Value, json};

use super::super::text;
use crate::gateway::error::ApiError;

fn unknown(place: &str) -> ApiError {
    ApiError::invalid(format!("{place} is a block of a type that cannot be used here."))
}

/// Texts only, as a text or as parts; null for none.
pub(super) fn texts(value: &Value, place: &str) -> Result<Value, ApiError> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Value::Null),
        Value::String(text) => Ok(json!(text)),
        Value::Array(blocks) => {
            let mut parts = Vec::new();
            for (at, block) in blocks.iter().enumerate() {
                match (text(block, "type"), text(block, "text"), changed_tool(block)) {
                    (Some("text"), Some(_), _) => parts.push(cached(text_part(block), block)),
                    (_, _, Some(said)) => parts.push(cached(json!({ "type": "text", "text": said }), block)),
                    _ => return Err(unknown(&format!("{place}.{at}"))),
                }
            }
            Ok(if parts.is_empty() { Value::Null } else { plainly(parts) })
        }
        _ => Err(ApiError::invalid(format!("{place} is neither a text nor an array of blocks."))),
    }
}

/// What is said of a tool that comes or goes in the middle of a conversation. Who is told by this text has all of them in any
/// case: that they are told later is a matter of Anthropic's cache.
fn changed_tool(block: &Value) -> Option<String> {
    let name = |of: &str| {
        let tool = block.get("tool").filter(|_| text(block, "type") == Some(of))?;
        text(tool, "name").or_else(|| text(tool, "server_name"))
    };
    let loaded = text(block, "tool_name").filter(|_| text(block, "type") == Some("tool_reference"));
    let added = loaded.or_else(|| name("tool_addition")).map(|name| format!("Tool loaded: {name}"));
    added.or_else(|| Some(format!("Tool removed: {}", name("tool_removal")?)))
}

fn text_part(block: &Value) -> Value {
    json!({ "type": "text", "text": text(block, "text").unwrap_or_default() })
}

/// A part with the mark that its block has for caches.
fn cached(mut part: Value, block: &Value) -> Value {
    if let (Some(mark), Some(part)) = (block.get("cache_control").filter(|mark| !mark.is_null()), part.as_object_mut())
    {
        part.insert("cache_control".into(), mark.clone());
    }
    part
}

/// A single text without a mark as a text: some providers know nothing else.
fn plainly(parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [only] if only.get("type") == Some(&json!("text")) && only.get("cache_control").is_none() => {
            only.get("text").cloned().unwrap_or_default()
        }
        _ => Value::Array(parts),
    }
}

fn blocks<'a>(turn: &'a Value, place: &str) -> Result<Vec<&'a Value>, ApiError> {
    match turn.get("content") {
        Some(Value::Array(blocks)) => Ok(blocks.iter().collect()),
        _ => Err(ApiError::invalid(format!("{place}.content is neither a text nor an array of blocks."))),
    }
}

/// What the user says, after the results of tools, which answer the turn before.
pub(super) fn user(turn: &Value, place: &str, out: &mut Vec<Value>) -> Result<(), ApiError> {
    if let Some(Value::String(said)) = turn.get("content") {
        out.push(json!({ "role": "user", "content": said }));
        return Ok(());
    }
    let mut parts = Vec::new();
    for (at, block) in blocks(turn, place)?.into_iter().enumerate() {
        let place = format!("{place}.content.{at}");
        if text(block, "type") == Some("tool_result") {
            out.push(result(block, &place, &mut parts)?);
        } else {
            add_parts(block, &place, &mut parts)?;
        }
    }
    if !parts.is_empty() {
        out.push(json!({ "role": "user", "content": plainly(parts) }));
    }
    Ok(())
}

/// The result of a tool. Its images become a part of what the user says: a tool's message has no place for them.
fn result(block: &Value, place: &str, parts: &mut Vec<Value>) -> Result<Value, ApiError> {
    let id = text(block, "tool_use_id").ok_or_else(|| ApiError::invalid(format!("{place}.tool_use_id is missing.")))?;
    let said = match block.get("content") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(said)) => said.clone(),
        Some(Value::Array(blocks)) => {
            let mut said = Vec::new();
            for (at, block) in blocks.iter().enumerate() {
                match text(block, "text").map(str::to_owned).or_else(|| changed_tool(block)) {
                    Some(words) => said.push(words),
                    None => add_parts(block, &format!("{place}.content.{at}"), parts)?,
                }
            }
            said.join("\n")
        }
        _ => return Err(unknown(place)),
    };
    Ok(json!({ "role": "tool", "tool_call_id": id, "content": said }))
}

/// What the model said before.
pub(super) fn assistant(turn: &Value, place: &str, out: &mut Vec<Value>) -> Result<(), ApiError> {
    if let Some(Value::String(said)) = turn.get("content") {
        out.push(json!({ "role": "assistant", "content": said }));
        return Ok(());
    }
    let (mut said, mut details, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for (at, block) in blocks(turn, place)?.into_iter().enumerate() {
        match text(block, "type") {
            Some("text") => said.push(text_part(block)),
            Some("thinking") => details.push(json!({ "type": "reasoning.text",
                "text": text(block, "thinking").unwrap_or_default(), "signature": text(block, "signature") })),
            Some("redacted_thinking") => {
                details.push(json!({ "type": "reasoning.encrypted", "data": block.get("data") }))
            }
            Some("tool_use") => {
                let input = block.get("input").map_or_else(|| "{}".to_owned(), Value::to_string);
                calls.push(json!({ "id": text(block, "id").unwrap_or("call"), "type": "function",
                    "function": { "name": text(block, "name").unwrap_or_default(), "arguments": input } }));
            }
            _ => return Err(unknown(&format!("{place}.content.{at}"))),
        }
    }
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), if said.is_empty() { Value::Null } else { plainly(said) });
    for (name, list) in [("reasoning_details", details), ("tool_calls", calls)] {
        if !list.is_empty() {
            message.insert(name.into(), Value::Array(list));
        }
    }
    out.push(Value::Object(message));
    Ok(())
}

fn add_parts(block: &Value, place: &str, out: &mut Vec<Value>) -> Result<(), ApiError> {
    let source = block.get("source").unwrap_or(&Value::Null);
    let part = match text(block, "type") {
        Some("text") if text(block, "text").is_some() => text_part(block),
        Some("image") => json!({ "type": "image_url", "image_url": { "url": address(source, place)? } }),
        Some("document") => return document(block, source, place, out),
        Some("search_result") => {
            let head = ["title", "source"].into_iter().filter_map(|name| text(block, name));
            let said = words(block.get("content"));
            json!({ "type": "text", "text": head.chain([said.as_str()]).collect::<Vec<_>>().join("\n") })
        }
        _ => return Err(unknown(place)),
    };
    out.push(cached(part, block));
    Ok(())
}

/// A document with what is told about it, which a model reads before it.
fn document(block: &Value, source: &Value, place: &str, out: &mut Vec<Value>) -> Result<(), ApiError> {
    let head: Vec<&str> = ["title", "context"].into_iter().filter_map(|name| text(block, name)).collect();
    let with = |said: &str| {
        let all: Vec<&str> = head.iter().copied().chain([said]).collect();
        cached(json!({ "type": "text", "text": all.join("\n") }), block)
    };
    match text(source, "type") {
        Some("text") => out.push(with(text(source, "data").unwrap_or_default())),
        Some("content") => {
            out.push(with(&words(source.get("content"))));
            let blocks = source.get("content").and_then(Value::as_array).into_iter().flatten();
            for (at, inner) in blocks.enumerate().filter(|(_, inner)| text(inner, "text").is_none()) {
                add_parts(inner, &format!("{place}.source.content.{at}"), out)?;
            }
        }
        _ => {
            if let Some(context) = text(block, "context") {
                out.push(json!({ "type": "text", "text": context }));
            }
            let name = text(block, "title").unwrap_or("document.pdf");
            let file = json!({ "filename": name, "file_data": address(source, place)? });
            out.push(cached(json!({ "type": "file", "file": file }), block));
        }
    }
    Ok(())
}

/// The texts of blocks.
fn words(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(words)) => words.clone(),
        Some(Value::Array(blocks)) => {
            blocks.iter().filter_map(|block| text(block, "text")).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// A data URL, or an address that the provider fetches itself.
fn address(source: &Value, place: &str) -> Result<String, ApiError> {
    match (text(source, "type"), text(source, "media_type"), text(source, "data"), text(source, "url")) {
        (Some("base64"), Some(kind), Some(data), _) => Ok(format!("data:{kind};base64,{data}")),
        (Some("url"), _, _, Some(url)) => Ok(url.to_owned()),
        _ => Err(ApiError::invalid(format!("{place}.source is neither base64 with media_type and data, nor a url."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_told_about_a_document_is_lost() {
        let parts = |block: Value| {
            let mut parts = Vec::new();
            add_parts(&block, "messages.0.content.0", &mut parts).expect("it can be said");
            Value::Array(parts)
        };
        let image = json!({"type":"image","source":{"type":"url","url":"https://x.example/a.png"}});
        assert_eq!(
            parts(json!({"type":"document","title":"T","context":"C","source":{"type":"text","data":" D"}})),
            json!([{"type":"text","text":"T\nC\n D"}])
        );
        assert_eq!(
            parts(json!({"type":"document","cache_control":{"type":"ephemeral"},
                "source":{"type":"content","content":[{"type":"text","text":"a"},image]}})),
            json!([{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
                {"type":"image_url","image_url":{"url":"https://x.example/a.png"}}])
        );
        assert_eq!(
            parts(
                json!({"type":"document","title":"a.pdf","context":"C","source":{"type":"url","url":"https://x.example/a"}})
            ),
            json!([{"type":"text","text":"C"},
                {"type":"file","file":{"filename":"a.pdf","file_data":"https://x.example/a"}}])
        );
        assert_eq!(
            parts(
                json!({"type":"search_result","title":"T","source":"https://x.example","content":[{"type":"text","text":"w"}]})
            ),
            json!([{"type":"text","text":"T\nhttps://x.example\nw"}])
        );
    }

    #[test]
    fn a_tool_that_is_found_or_changed_is_told_by_its_name() {
        let found = json!({"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[
            {"type":"tool_reference","tool_name":"WebFetch"},{"type":"text","text":"and"},
            {"type":"tool_reference","tool_name":"Edit"}]}]});
        let mut out = Vec::new();
        user(&found, "messages.0", &mut out).expect("it can be said");
        let said = "Tool loaded: WebFetch\nand\nTool loaded: Edit";
        assert_eq!(Value::Array(out), json!([{"role":"tool","tool_call_id":"t1","content":said}]));
        let changed = json!([{"type":"tool_addition","tool":{"type":"tool_reference","name":"f"}},
            {"type":"tool_removal","tool":{"type":"mcp_toolset_reference","server_name":"s"}}]);
        let told = json!([{"type":"text","text":"Tool loaded: f"},{"type":"text","text":"Tool removed: s"}]);
        assert_eq!(texts(&changed, "messages.1").ok(), Some(told));
        assert!(texts(&json!([{"type":"tool_addition"}]), "messages.1").is_err(), "of no tool");
    }
}
