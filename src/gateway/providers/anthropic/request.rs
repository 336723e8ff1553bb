//! A question in the words of the messages API. Pure.

use serde_json::{Map, Value, json};

use super::tools::tools;
use crate::gateway::providers::{Failure, Fault, Question};
use crate::gateway::wire::shorten;

/// What a model is told that is to answer in JSON of no certain shape, for which the protocol has no word.
pub(in crate::gateway) const ONLY_JSON: &str = "Answer with one JSON object and nothing else.";

/// The protocol demands a length; longer answers need a stream.
const DEFAULT_ANSWER: u64 = 8_192;
/// How words are drawn; the newer models refuse every one of these.
pub(super) const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];
/// The least that may be spent on thinking.
pub(super) const MIN_THINKING: u64 = 1_024;

/// The question in the words of the messages API.
pub(super) fn request(question: &Question<'_>) -> Result<Value, Failure> {
    let body = question.body;
    if body.get("n").and_then(Value::as_u64).unwrap_or(1) > 1 {
        return Err(Failure::new(Fault::Untranslatable, "This provider gives one choice only; n must be 1."));
    }
    let (mut system, messages) = messages(body)?;
    if question.sends("response_format") && wants_json(body) {
        system.push(json!({ "type": "text", "text": ONLY_JSON }));
    }
    let max_tokens = max_tokens(question);
    let mut out = Map::new();
    out.insert("model".into(), upstream_model(question).into());
    out.insert("max_tokens".into(), max_tokens.into());
    if !system.is_empty() {
        out.insert("system".into(), Value::Array(system));
    }
    out.insert("messages".into(), Value::Array(messages));
    let adapts = thinks_by_itself(upstream_model(question));
    for name in SAMPLING.into_iter().filter(|_| !adapts) {
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
        tools(question, &mut out)?;
    }
    if question.sends("reasoning") && question.sends("reasoning_effort") {
        thinking(body, max_tokens, adapts, &mut out);
    }
    let schema = body.get("response_format").and_then(|format| format.pointer("/json_schema/schema"));
    if let Some(schema) = schema.filter(|_| question.sends("response_format")) {
        output_config(&mut out, "format", json!({ "type": "json_schema", "schema": schema }));
    }
    // One mark for the whole request: the provider puts it where it is worth most.
    if let Some(mark) = body.get("cache_control").filter(|mark| mark.is_object()) {
        out.insert("cache_control".into(), mark.clone());
    }
    if question.stream {
        out.insert("stream".into(), true.into());
    }
    let mut out = Value::Object(out);
    shorten(&mut out);
    Ok(out)
}

/// Whether the answer is to be JSON of no certain shape.
pub(in crate::gateway) fn wants_json(body: &Map<String, Value>) -> bool {
    let kind = body.get("response_format").and_then(|format| format.get("type"));
    kind.and_then(Value::as_str) == Some("json_object")
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
    // Thinking must come back signed and unchanged, before everything else. Of a stream it comes in pieces, the signature last.
    let mut thinking = String::new();
    for detail in message.get("reasoning_details").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        if let Some(data) = text("data") {
            blocks.push(json!({ "type": "redacted_thinking", "data": data }));
            continue;
        }
        thinking.push_str(text("text").unwrap_or_default());
        if let Some(signature) = text("signature") {
            let thinking = std::mem::take(&mut thinking);
            // What another model thought is not signed, and refused.
            if !signature.is_empty() {
                blocks.push(json!({ "type": "thinking", "thinking": thinking, "signature": signature }));
            }
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

fn output_config(out: &mut Map<String, Value>, name: &str, value: Value) {
    let config = out.entry("output_config").or_insert_with(|| json!({}));
    if let Some(config) = config.as_object_mut() {
        config.insert(name.into(), value);
    }
}

/// Whether a model decides itself how much it thinks: since Claude Opus 4.7 they refuse a budget for it
/// (<https://docs.claude.com/en/docs/build-with-claude/adaptive-thinking>).
pub(super) fn thinks_by_itself(model: &str) -> bool {
    version(model) >= (4, 7)
}

/// The version that a model has in its name, like `claude-opus-4-8` and `claude-haiku-4-5-20251001`; one that has none is
/// taken for an older one.
pub(super) fn version(model: &str) -> (u32, u32) {
    let number = |word: &str| word.parse::<u32>().ok().filter(|number| *number < 100);
    let mut words = model.split(['/', '-', '.', '@']).skip_while(|word| *word != "claude").skip(1);
    // The oldest have their number before the family.
    if words.next().and_then(number).is_some() {
        return (0, 0);
    }
    (words.next().and_then(number).unwrap_or(0), words.next().and_then(number).unwrap_or(0))
}

/// What is asked of thinking, as a budget and as an effort; `None` where the model is not to think.
fn wish(body: &Map<String, Value>) -> Option<(Option<u64>, Option<&str>)> {
    let reasoning = body.get("reasoning");
    let of = |name: &str| reasoning.and_then(|reasoning| reasoning.get(name));
    let effort = of("effort").or_else(|| body.get("reasoning_effort")).and_then(Value::as_str);
    let enabled = of("enabled").and_then(Value::as_bool);
    let budget = of("max_tokens").and_then(Value::as_u64);
    match (budget, effort, enabled) {
        (_, _, Some(false)) | (_, Some("none"), _) | (None, None, None) => None,
        _ => Some((budget, effort)),
    }
}

/// Older models think when they are asked to, those since version 5 unless they are told not to, which nothing but the client's
/// own words can say (<https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>).
pub(in crate::gateway::providers) fn may_think(question: &Question<'_>) -> bool {
    let unasked = version(upstream_model(question)) >= (5, 0);
    match question.words {
        Some(words) => match words.body.get("thinking").filter(|thinking| !thinking.is_null()) {
            Some(thinking) => thinking.get("type").and_then(Value::as_str) != Some("disabled"),
            None => unasked,
        },
        None => unasked || wish(question.body).is_some(),
    }
}

/// Thinking has a budget of its own within the length of the answer, or none where the model decides itself.
fn thinking(body: &Map<String, Value>, max_tokens: u64, adapts: bool, out: &mut Map<String, Value>) {
    let Some((wanted, effort)) = wish(body) else { return };
    let share = |percent: u64| max_tokens.saturating_mul(percent) / 100;
    let budget = match (wanted, effort) {
        (Some(wanted), _) => wanted,
        (None, Some("minimal" | "low")) => share(20),
        (None, Some("high" | "xhigh" | "max")) => share(80),
        _ => share(50),
    };
    if adapts {
        out.insert("thinking".into(), json!({ "type": "adaptive", "display": "summarized" }));
        match effort {
            Some("minimal") => output_config(out, "effort", "low".into()),
            Some(known @ ("low" | "medium" | "high" | "xhigh" | "max")) => output_config(out, "effort", known.into()),
            _ => {}
        }
        return unforced(out);
    }
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
    unforced(out);
}

/// A tool cannot be demanded of a model that thinks.
fn unforced(out: &mut Map<String, Value>) {
    let forced = out.get("tool_choice").and_then(|choice| choice.get("type")).and_then(Value::as_str);
    if matches!(forced, Some("any" | "tool")) {
        out.insert("tool_choice".into(), json!({ "type": "auto" }));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::gateway::dialect::messages::Words;
    use crate::gateway::providers::tests::question;
    use crate::routing::tests::{candidate, offer};

    pub(in super::super) fn translated(body: &Value, cap: Option<u64>) -> Result<Value, Failure> {
        translated_for("up", body, cap)
    }

    pub(in super::super) fn translated_for(model: &str, body: &Value, cap: Option<u64>) -> Result<Value, Failure> {
        let mut offer = offer("a/b", "anthropic", "1", "2");
        offer.endpoint.upstream_model = model.into();
        offer.endpoint.supported_parameters.clear();
        let candidate = candidate(offer);
        let body = body.as_object().cloned().unwrap_or_default();
        request(&Question { cap, longest: 4_000, stream: true, ..question(&candidate, &body) })
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
            "presence_penalty":1,"cache_control":{"type":"ephemeral","ttl":"1h"}
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
                "tool_choice":{"type":"any","disable_parallel_tool_use":true},"stream":true,
                "cache_control":{"type":"ephemeral"}
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
    fn a_model_may_think_where_it_is_asked_to() {
        for (body, may_think) in [
            (json!({}), false),
            (json!({"reasoning":{}}), false),
            (json!({"reasoning":{"enabled":false,"effort":"high"}}), false),
            (json!({"reasoning":{"effort":"none"}}), false),
            (json!({"reasoning_effort":"none","reasoning":{"max_tokens":2_000}}), false),
            (json!({"reasoning":{"enabled":true}}), true),
            (json!({"reasoning_effort":"low"}), true),
        ] {
            assert_eq!(wish(body.as_object().expect("an object")).is_some(), may_think, "{body}");
        }
        let asked = json!({"reasoning":{"enabled":false}});
        for (model, words, may_think) in [
            ("claude-opus-4-8", json!({}), false),
            ("claude-opus-4-8", json!({"thinking":{"type":"disabled"}}), false),
            ("claude-opus-4-8", json!({"thinking":{"type":"adaptive"}}), true),
            ("claude-opus-5-5", json!({}), true),
            ("claude-opus-5-5", json!({"thinking":{"type":"disabled"}}), false),
        ] {
            let mut offer = offer("a/b", "anthropic", "1", "2");
            offer.endpoint.upstream_model = model.into();
            let candidate = candidate(offer);
            let own = Words { body: words.as_object().cloned().unwrap_or_default(), ..Words::default() };
            let question = Question {
                stream: true,
                words: Some(&own),
                ..question(&candidate, asked.as_object().expect("an object"))
            };
            assert_eq!(super::may_think(&question), may_think, "{model} in the client's own words: {words}");
            if words == json!({}) {
                assert_eq!(super::may_think(&Question { words: None, ..question }), may_think, "{model}, translated");
            }
        }
    }

    #[test]
    fn newer_models_decide_themselves_how_much_they_think() {
        for (model, is_new) in [
            ("claude-opus-4-8", true),
            ("anthropic/claude-opus-4-7", true),
            ("claude-opus-5", true),
            ("claude-haiku-5-5", true),
            ("claude-fable-5-1", true),
            ("claude-sonnet-4-6", false),
            ("claude-haiku-4-5-20251001", false),
            ("claude-opus-4-20250514", false),
            ("claude-3-7-sonnet-20250219", false),
            ("up", false),
        ] {
            assert_eq!(thinks_by_itself(model), is_new, "{model}");
        }
        let body =
            json!({"messages":[{"role":"user","content":"x"}],"reasoning_effort":"high","temperature":1,"top_p":0.5});
        let sent = translated_for("claude-opus-4-8", &body, Some(100)).expect("it can be said");
        assert_eq!(sent["thinking"], json!({"type":"adaptive","display":"summarized"}));
        assert_eq!(sent["output_config"], json!({"effort":"high"}));
        assert_eq!((sent.get("temperature"), sent.get("top_p")), (None, None));
        for (asked, told) in [("minimal", "low"), ("xhigh", "xhigh"), ("max", "max")] {
            let body = json!({"messages":[{"role":"user","content":"x"}],"reasoning":{"effort":asked}});
            let sent = translated_for("claude-sonnet-5", &body, None).expect("it can be said");
            assert_eq!(sent["output_config"], json!({"effort":told}));
        }
        let plain = json!({"messages":[{"role":"user","content":"x"}],"temperature":1});
        let sent = translated_for("claude-opus-4-8", &plain, None).expect("it can be said");
        assert_eq!((sent.get("thinking"), sent.get("temperature")), (None, None));
    }

    #[test]
    fn a_schema_of_the_answer_is_passed_on() {
        let schema = json!({"type":"object","properties":{"x":{"type":"number"}}});
        let body = json!({"messages":[{"role":"user","content":"x"}],
            "response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":schema}}});
        let sent = translated(&body, None).expect("it can be said");
        assert_eq!(sent["output_config"], json!({"format":{"type":"json_schema","schema":schema}}));
    }

    #[test]
    fn an_answer_in_json_is_asked_for_in_words_and_held_for() {
        let body = json!({"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"x"}],
            "response_format":{"type":"json_object"}});
        let sent = translated(&body, None).expect("it can be said");
        assert_eq!(sent["system"], json!([{"type":"text","text":"be brief"},{"type":"text","text":ONLY_JSON}]));
        assert_eq!(sent.get("output_config"), None);
        let tokens = |body: &Value| {
            let body = body.as_object().cloned().unwrap_or_default();
            crate::gateway::estimate::prompt_bound(&body).tokens
        };
        let mut plain = body.clone();
        plain.as_object_mut().expect("an object").remove("response_format");
        let added = tokens(&body) - tokens(&plain);
        assert!(added >= u64::try_from(ONLY_JSON.len()).unwrap_or(u64::MAX), "{added}");
    }

    #[test]
    fn thinking_that_came_in_pieces_goes_back_as_one() {
        let body = json!({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","reasoning_details":[
            {"type":"reasoning.text","text":"a"},{"type":"reasoning.text","text":"b"},
            {"type":"reasoning.text","signature":"s"},{"type":"reasoning.encrypted","data":"d"}]}]});
        let sent = translated(&body, None).expect("it can be said");
        let blocks = json!([{"type":"thinking","thinking":"ab","signature":"s"},{"type":"redacted_thinking","data":"d"},
            {"type":"text","text":"y"}]);
        assert_eq!(sent["messages"][1]["content"], blocks);
    }

    #[test]
    fn what_another_model_thought_stays_behind() {
        let body = json!({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","reasoning_details":[
            {"type":"reasoning.text","text":"a","signature":""},{"type":"reasoning.text","text":"b","signature":"s"}]}]});
        let sent = translated(&body, None).expect("it can be said");
        let blocks = json!([{"type":"thinking","thinking":"b","signature":"s"},{"type":"text","text":"y"}]);
        assert_eq!(sent["messages"][1]["content"], blocks);
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
