//! What the parts of a message come to at most. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::PromptBound;

/// An image, whatever its size, where the catalog does not say how many tokens one comes to at most. Most current models
/// split one into fewer.
pub(super) const PER_IMAGE: u64 = 6_000;
/// Base64 bytes of audio or of a film for one token: a second of speech is more bytes than tokens by far.
const MEDIA_BYTES_PER_TOKEN: u64 = 16;
/// The same of a file. A page of text that is packed well has some three thousand bytes and about as many tokens, a scanned one
/// twenty times the bytes and no more tokens.
const FILE_BYTES_PER_TOKEN: u64 = 2;

/// Parts that are read as they stand, addresses included.
const TEXTS: [&str; 8] =
    ["text", "input_text", "output_text", "refusal", "thinking", "redacted_thinking", "tool_use", "search_result"];

/// Adds what a part of a message comes to at most.
pub(super) fn add_part(part: &Value, bound: &mut PromptBound) {
    let source = part.get("source").unwrap_or(&Value::Null);
    let inside = source.get("type").and_then(Value::as_str);
    match part.get("type").and_then(Value::as_str).unwrap_or("text") {
        kind if kind.contains("image") => bound.images += 1,
        kind if kind.contains("audio") => {
            bound.audio += PER_IMAGE + text_bytes(part) / MEDIA_BYTES_PER_TOKEN;
            bound.elsewhere |= is_elsewhere(part);
        }
        // What is there as a text may well have addresses in it, and images beside it.
        "document" if inside == Some("content") => add_blocks(part, source, bound),
        "document" if inside == Some("text") => bound.tokens += PER_IMAGE + text_bytes(part),
        "tool_result" => add_blocks(part, part, bound),
        kind if ["file", "video", "document"].iter().any(|word| kind.contains(word)) => {
            let a_token = if kind.contains("video") { MEDIA_BYTES_PER_TOKEN } else { FILE_BYTES_PER_TOKEN };
            // Beside the file itself there may be words about it.
            let file = payload(part);
            bound.tokens += PER_IMAGE + file / a_token + text_bytes(part).saturating_sub(file);
            bound.elsewhere |= is_elsewhere(part);
        }
        kind => {
            bound.tokens += text_bytes(part);
            bound.elsewhere |= !TEXTS.contains(&kind) && is_elsewhere(part);
        }
    }
}

/// A part that has parts of its own at `holder.content`.
fn add_blocks(part: &Value, holder: &Value, bound: &mut PromptBound) {
    let blocks = holder.get("content");
    match blocks.and_then(Value::as_array) {
        Some(list) => {
            let inside: u64 = list.iter().map(text_bytes).sum();
            bound.tokens += text_bytes(part).saturating_sub(inside);
            list.iter().for_each(|block| add_part(block, bound));
        }
        None => bound.tokens += text_bytes(part),
    }
}

/// Bytes of the tools that messages refer to by name, for each time: where a reference stands, the model reads the tool.
pub(super) fn loaded_tools(body: &Map<String, Value>) -> u64 {
    let named = |tool: &Value| Some((tool.get("name")?.as_str()?.to_owned(), text_bytes(tool)));
    let tools: HashMap<String, u64> = list_of(body.get("tools")).filter_map(named).collect();
    let of = |block: &Value| {
        let kind = block.get("type").and_then(Value::as_str);
        let name = match kind {
            Some("tool_reference") => block.get("tool_name"),
            Some("tool_addition") => block.get("tool").and_then(|tool| tool.get("name")),
            _ => None,
        };
        name.and_then(|name| tools.get(name.as_str()?).copied()).unwrap_or(0)
    };
    let blocks = list_of(body.get("messages")).flat_map(|message| list_of(message.get("content")));
    blocks.map(|block| of(block) + list_of(block.get("content")).map(of).sum::<u64>()).fold(0, u64::saturating_add)
}

fn list_of(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Bytes of files in base64 within a part.
fn payload(part: &Value) -> u64 {
    let fields = part.as_object().into_iter().flatten();
    let bytes = fields.map(|(name, value)| match value {
        Value::String(text) if name == "data" || name.ends_with("_data") || text.starts_with("data:") => {
            u64::try_from(text.len()).unwrap_or(u64::MAX)
        }
        Value::Object(_) => payload(value),
        _ => 0,
    });
    bytes.sum()
}

/// Whether a file is an address or a number that only the provider can look up.
fn is_elsewhere(part: &Value) -> bool {
    part.as_object().into_iter().flatten().any(|(name, value)| match value {
        Value::String(_) if name == "file_id" => true,
        Value::String(text) => {
            let is_place = ["url", "uri", "data"].iter().any(|word| name.contains(word));
            is_place && !text.starts_with("data:") && text.contains("://")
        }
        Value::Object(_) => is_elsewhere(value),
        Value::Array(items) => items.iter().any(is_elsewhere),
        _ => false,
    })
}

/// Bytes of all strings and names in a value, and a few for each mark between them.
pub(super) fn text_bytes(value: &Value) -> u64 {
    const MARKS: u64 = 4;
    let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
    match value {
        Value::Null | Value::Bool(_) => MARKS,
        Value::Number(_) => 24,
        Value::String(text) => length(text) + MARKS,
        Value::Array(items) => items.iter().map(text_bytes).sum::<u64>() + MARKS,
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| length(name) + MARKS + text_bytes(value)).sum::<u64>() + MARKS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{bounds, prompt_bound};
    use super::*;
    use crate::routing::tests::offer;
    use serde_json::json;

    fn body(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    #[test]
    fn a_file_that_only_the_provider_sees_may_fill_the_context() {
        let offer = offer("a/b", "one", "1", "2");
        let of = |part: Value| prompt_bound(&body(json!({"messages":[{"role":"user","content":[part]}]})));
        let tokens = |part: Value| bounds(of(part), &offer, None, 1).prompt_tokens;
        for part in [
            json!({"type":"file","file":{"file_data":"https://x.example/big.pdf"}}),
            json!({"type":"file","file":{"file_id":"file-1"}}),
            json!({"type":"video_url","video_url":{"url":"https://x.example/film.mp4"}}),
            json!({"type":"document","source":{"type":"url","url":"https://x.example/big.pdf"}}),
        ] {
            assert_eq!(tokens(part.clone()), 100_000, "{part}");
        }
        let page = format!("data:application/pdf;base64,{}", "A".repeat(4_000));
        let page = tokens(json!({"type":"file","file":{"filename":"a.pdf","file_data":page}}));
        assert!((8_000..9_000).contains(&page), "{page}");
        let text = tokens(
            json!({"type":"document","source":{"type":"text","media_type":"text/plain","data":"x".repeat(9_000)}}),
        );
        assert!(text >= 15_000, "a text is a text: {text}");
        let linked = "see https://x.example/ for more";
        let linked =
            tokens(json!({"type":"document","source":{"type":"text","media_type":"text/plain","data":linked}}));
        assert!(linked < 7_000, "and an address in it is one: {linked}");
    }

    #[test]
    fn what_is_not_known_by_its_name_is_bounded_all_the_same() {
        let offer = offer("a/b", "one", "1", "2");
        let of = |part: Value| prompt_bound(&body(json!({"messages":[{"role":"user","content":[part]}]})));
        let tokens = |part: Value| bounds(of(part), &offer, None, 1).prompt_tokens;
        for part in [
            json!({"type":"document_url","document_url":"https://x.example/big.pdf"}),
            json!({"type":"audio_url","audio_url":{"url":"https://x.example/long.mp3"}}),
            json!({"type":"input_audio","input_audio":{"data":"https://x.example/long.mp3","format":"mp3"}}),
            json!({"type":"something","source":{"uri":"gs://bucket/big.pdf"}}),
            json!({"type":"something","list":[{"url":"https://x.example/a"}]}),
        ] {
            assert_eq!(tokens(part.clone()), 100_000, "{part}");
        }
        // An address in a text is a text.
        for kind in TEXTS {
            let part = json!({"type":kind,"text":"x","input":{"url":"https://x.example/a"}});
            assert!(tokens(part) < 300, "{kind}");
        }
        let image = json!({"type":"image","source":{"type":"url","url":"https://x.example/a.png"}});
        for part in [
            json!({"type":"document","source":{"type":"content","content":[image, image, {"type":"text","text":"x"}]}}),
            json!({"type":"tool_result","tool_use_id":"t","content":[image, image]}),
        ] {
            assert_eq!(of(part.clone()).images, 2, "{part}");
        }
        let words = "x".repeat(9_000);
        let part = json!({"type":"document","context":words,"source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}});
        assert!(tokens(part) >= 15_000, "words beside a file are words");
    }

    #[test]
    fn a_tool_is_held_for_each_time_that_it_is_referred_to() {
        let tool = json!({"name":"f","defer_loading":true,"description":"x".repeat(1_000)});
        let found = json!({"type":"tool_result","tool_use_id":"t","content":[
            {"type":"tool_reference","tool_name":"f"},{"type":"tool_reference","tool_name":"g"}]});
        let added = json!({"type":"tool_addition","tool":{"type":"tool_reference","name":"f"}});
        let of = |messages: Value| loaded_tools(&body(json!({"tools":[tool],"messages":messages})));
        assert_eq!(
            of(json!([{"role":"user","content":"f"},{"role":"user","content":[{"type":"text","text":"f"}]}])),
            0
        );
        let once = text_bytes(&tool);
        assert_eq!(of(json!([{"role":"user","content":[found, found]},{"role":"system","content":[added]}])), 3 * once);
    }
}
