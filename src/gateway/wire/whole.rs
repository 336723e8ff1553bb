//! An answer in one piece: what the upstream sent, with the fields that every client may rely on.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::UsageOut;

/// What marks every answer and chunk as ours.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub id: String,
    /// Unix seconds.
    pub created: i64,
    pub model: String,
    pub provider: String,
}

impl Stamp {
    /// Puts the common fields in front of, or over, those of the upstream.
    pub(crate) fn put(&self, map: &mut Map<String, Value>, object: &'static str) {
        map.insert("id".into(), self.id.as_str().into());
        map.insert("object".into(), object.into());
        map.insert("created".into(), self.created.into());
        map.insert("model".into(), self.model.as_str().into());
        map.insert("provider".into(), self.provider.as_str().into());
    }
}

/// The reason in the words that clients accept.
pub(crate) fn finish_reason(native: &str) -> &'static str {
    match native {
        "stop" | "end_turn" | "stop_sequence" | "eos" | "eos_token" | "completed" | "pause_turn" | "STOP" => "stop",
        "length"
        | "max_tokens"
        | "model_length"
        | "max_output_tokens"
        | "model_context_window_exceeded"
        | "MAX_TOKENS" => "length",
        "tool_calls" | "tool_use" | "function_call" | "tool_call" => "tool_calls",
        "content_filter" | "refusal" | "safety" | "SAFETY" | "RECITATION" | "sensitive" => "content_filter",
        "error" | "failed" | "insufficient_system_resource" => "error",
        // A word that nobody knows still means that the answer ended.
        _ => "stop",
    }
}

/// Sets the mapped and the native reason of a choice; a missing one becomes null, because the key must be there.
pub(super) fn normalise_finish(choice: &mut Map<String, Value>) {
    let native = match choice.get("finish_reason") {
        Some(Value::String(native)) if !native.is_empty() => Some(native.clone()),
        _ => None,
    };
    let Some(native) = native else {
        choice.insert("finish_reason".into(), Value::Null);
        return;
    };
    choice.insert("finish_reason".into(), finish_reason(&native).into());
    if !choice.get("native_finish_reason").is_some_and(Value::is_string) {
        choice.insert("native_finish_reason".into(), native.into());
    }
}

/// Mistral's models that think write parts, and their thoughts among them. Languages know one text and one thought. What has
/// parts of other kinds stays as it is.
fn join_parts(message: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = message.get("content") else { return };
    let (mut said, mut thought) = (String::new(), String::new());
    for part in parts {
        let field = |name: &str| part.get(name).and_then(Value::as_str);
        match (field("type"), part.get("thinking")) {
            (Some("text"), _) => said.push_str(field("text").unwrap_or_default()),
            (Some("thinking"), Some(Value::Array(texts))) => {
                thought.extend(texts.iter().filter_map(|text| text.get("text")?.as_str()));
            }
            (Some("thinking"), _) => thought.push_str(field("thinking").unwrap_or_default()),
            // Points to what was given to the model; there is no place for it.
            (Some("reference"), _) => {}
            _ => return,
        }
    }
    message.insert("content".into(), said.into());
    if !thought.is_empty() && !message.contains_key("reasoning") {
        message.insert("reasoning".into(), thought.into());
    }
}

/// Leaves out what is null, and unifies texts and the name of reasoning. Works on messages and deltas.
pub(super) fn normalise_message(message: &mut Map<String, Value>) {
    for name in
        ["tool_calls", "function_call", "reasoning", "reasoning_content", "refusal", "role", "audio", "annotations"]
    {
        if message.get(name).is_some_and(Value::is_null) {
            message.shift_remove(name);
        }
    }
    if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
        for call in calls.iter_mut().filter_map(Value::as_object_mut) {
            if !matches!(call.get("type"), None | Some(Value::String(_))) {
                call.shift_remove("type");
            }
            if call.get("id").is_some_and(Value::is_null) {
                call.shift_remove("id");
            }
        }
    }
    join_parts(message);
    if !message.contains_key("reasoning")
        && let Some(text) = message.shift_remove("reasoning_content")
    {
        message.insert("reasoning".into(), text);
    }
}

/// Makes an upstream's answer ours, without its usage: that is appended when the call is settled.
pub(crate) fn normalise_whole(map: &mut Map<String, Value>, stamp: &Stamp) {
    stamp.put(map, "chat.completion");
    map.shift_remove("usage");
    map.entry("system_fingerprint").or_insert(Value::Null);
    let Some(Value::Array(choices)) = map.get_mut("choices") else { return };
    for (index, choice) in choices.iter_mut().enumerate() {
        let Some(choice) = choice.as_object_mut() else { continue };
        choice.entry("index").or_insert_with(|| index.into());
        normalise_finish(choice);
        if let Some(Value::Object(message)) = choice.get_mut("message") {
            normalise_message(message);
            message.entry("role").or_insert_with(|| "assistant".into());
            message.entry("content").or_insert(Value::Null);
        }
    }
}

/// An answer as it is written. Probabilities of tokens may have stayed the text that they came as.
struct Answer<'a>(&'a Map<String, Value>);

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| {
            let part = if name == "choices" { Part::Choices(value) } else { Part::Plain(value) };
            (name, part)
        }))
    }
}

enum Part<'a> {
    Plain(&'a Value),
    Choices(&'a Value),
    Choice(&'a Value),
    Raw(&'a RawValue),
}

impl<'a> Part<'a> {
    fn of_choice(name: &str, value: &'a Value) -> Part<'a> {
        match value {
            Value::String(text) if name == "logprobs" && text.starts_with('{') => {
                serde_json::from_str(text).map_or(Part::Plain(value), Part::Raw)
            }
            value => Part::Plain(value),
        }
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Part::Choices(Value::Array(choices)) => serializer.collect_seq(choices.iter().map(Part::Choice)),
            Part::Choice(Value::Object(fields)) => {
                serializer.collect_map(fields.iter().map(|(name, value)| (name, Part::of_choice(name, value))))
            }
            Part::Raw(text) => text.serialize(serializer),
            Part::Plain(value) | Part::Choices(value) | Part::Choice(value) => value.serialize(serializer),
        }
    }
}

/// The bytes of `map` with `usage` as its last field.
pub(crate) fn with_usage(map: &Map<String, Value>, usage: &UsageOut) -> Bytes {
    // A map of JSON values always serializes.
    let mut text = serde_json::to_string(&Answer(map)).unwrap_or_else(|_| "{}".into());
    text.pop();
    if text.len() > 1 {
        text.push(',');
    }
    text.push_str(r#""usage":"#);
    usage.write(&mut text);
    text.push('}');
    text.into()
}

/// A whole answer as the one chunk of a stream, for upstreams that do not stream although they were asked to.
pub(crate) fn whole_to_chunk(mut map: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(choices)) = map.get_mut("choices") {
        for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
            let mut delta = choice.shift_remove("message").unwrap_or_else(|| json!({}));
            if let Some(Value::Array(calls)) = delta.get_mut("tool_calls") {
                for (index, call) in calls.iter_mut().enumerate() {
                    if let Some(call) = call.as_object_mut() {
                        call.entry("index").or_insert_with(|| index.into());
                    }
                }
            }
            choice.insert("delta".into(), delta);
        }
    }
    map
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

    #[test]
    fn an_answer_has_every_field_and_no_null_where_none_may_be() {
        let mut answer = map(json!({"id":"up","choices":[{"finish_reason":"end_turn","message":{
            "role":"assistant","content":"hi","tool_calls":null,"refusal":null,"reasoning_content":"why"}}],
            "usage":{"prompt_tokens":1},"service_tier":"default"}));
        let stamp = Stamp { id: "gen-1".into(), created: 5, model: "a/b".into(), provider: "P".into() };
        normalise_whole(&mut answer, &stamp);
        assert_eq!(
            Value::Object(answer),
            json!({"id":"gen-1","choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"hi",
                "reasoning":"why"},"index":0,"native_finish_reason":"end_turn"}],"service_tier":"default",
                "object":"chat.completion","created":5,"model":"a/b","provider":"P","system_fingerprint":null})
        );
    }
    #[test]
    fn thoughts_among_the_parts_of_a_message_are_told_apart() {
        let joined = |content: Value| {
            let mut message = map(json!({"role":"assistant","content":content}));
            normalise_message(&mut message);
            Value::Object(message)
        };
        assert_eq!(
            joined(json!([{"type":"thinking","thinking":[{"type":"text","text":"h"},{"type":"text","text":"m"}]},
                {"type":"text","text":"h"},{"type":"reference","reference_ids":[1]},{"type":"text","text":"i"}])),
            json!({"role":"assistant","content":"hi","reasoning":"hm"})
        );
        assert_eq!(
            joined(json!([{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}])),
            json!({"role":"assistant","content":"","reasoning":"hm"}),
            "a delta that only thinks"
        );
        let picture = json!([{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:"}}]);
        assert_eq!(joined(picture.clone()), json!({"role":"assistant","content":picture}));
    }
}
