//! A request for a response as a chat completion. Pure.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::{Kept, given, text};
use super::tools::{Names, choice, keep_allowed, leave_out_hosted};
use super::{input, tools};
use crate::gateway::error::ApiError;
use crate::gateway::wire::{ChatRequest, count};

/// What would need memory between calls, with what to do instead.
const STATE: [(&str, &str); 3] = [
    ("previous_response_id", "responses are not stored here; send the whole conversation in input"),
    ("conversation", "conversations are not stored here; send the whole conversation in input"),
    ("prompt", "prompts are not stored here under an id; use a preset"),
];
/// Passed over: they speak of storing, or of what only one provider does. Notes (`metadata`) stand in the answer.
const PASSED_OVER: [&str; 9] = [
    "store",
    "include",
    "truncation",
    "max_tool_calls",
    "metadata",
    "prompt_cache_options",
    "background",
    "safety_identifier",
    "client_metadata",
];
/// What else an answer is told by.
const INCLUDE: &str = "include";
/// What an answer repeats of its request.
const REPEATED: [&str; 17] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "frequency_penalty",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "user",
];

/// # Errors
/// 400 for what makes no sense or cannot be had, 422 for what is beyond a limit.
pub(in crate::gateway::dialect) fn read(body: Map<String, Value>) -> Result<ChatRequest, ApiError> {
    for (name, instead) in STATE {
        if given(&body, name).is_some() {
            return Err(ApiError::invalid(format!("{name} cannot be used: {instead}.")));
        }
    }
    if body.get("background") == Some(&Value::Bool(true)) {
        return Err(ApiError::invalid("background cannot be used: an answer is not kept until it is fetched."));
    }
    let kept = REPEATED.into_iter().chain([INCLUDE]);
    let kept = kept.filter_map(|name| given(&body, name).map(|value| (name.to_owned(), value.clone())));
    let mut kept: Map<String, Value> = kept.collect();
    leave_out_hosted(&mut kept);
    let (translated, names) = translated(&body)?;
    let kept = Kept::Responses(Arc::new(kept), Arc::new(names));
    Ok(ChatRequest { kept, ..ChatRequest::from_map(translated)? })
}

fn translated(body: &Map<String, Value>) -> Result<(Map<String, Value>, Names), ApiError> {
    let mut tools = tools::read(body)?;
    keep_allowed(body.get("tool_choice"), &mut tools);
    let names = tools.names;
    let mut messages = Vec::new();
    match given(body, "instructions") {
        Some(Value::String(text)) if !text.is_empty() => messages.push(json!({ "role": "system", "content": text })),
        None | Some(Value::String(_)) => {}
        Some(_) => return Err(ApiError::invalid("instructions is not a text.")),
    }
    input::messages(body.get("input"), &names, &mut messages)?;
    let mut out = Map::new();
    out.insert("messages".into(), Value::Array(messages));
    if !tools.functions.is_empty() {
        out.insert("tools".into(), Value::Array(tools.functions));
    }
    if let Some(longest) = count(body, "max_output_tokens")? {
        out.insert("max_tokens".into(), longest.into());
    }
    for (name, value) in body.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "input" | "instructions" | "max_output_tokens" | "messages" | "n" | "tools" => {}
            "tool_choice" => drop(out.insert("tool_choice".into(), choice(value, &names)?)),
            "text" => format(value, &mut out),
            "reasoning" => reasoning(value, &mut out),
            // Only where they are asked for by name, which a default of some libraries is not.
            "top_logprobs" => {
                if value.as_u64().is_some_and(|wanted| wanted > 0) {
                    return Err(ApiError::invalid("top_logprobs are not given here; call /chat/completions for them."));
                }
            }
            name if PASSED_OVER.contains(&name) => {}
            _ => drop(out.insert(name.clone(), value.clone())),
        }
    }
    Ok((out, names))
}

fn format(config: &Value, out: &mut Map<String, Value>) {
    let format = config.get("format").unwrap_or(&Value::Null);
    match text(format, "type") {
        Some("json_schema") => {
            let mut schema = Map::new();
            for name in ["name", "description", "schema", "strict"] {
                if let Some(value) = format.get(name).filter(|value| !value.is_null()) {
                    schema.insert(name.into(), value.clone());
                }
            }
            out.insert("response_format".into(), json!({ "type": "json_schema", "json_schema": schema }));
        }
        Some("json_object") => drop(out.insert("response_format".into(), json!({ "type": "json_object" }))),
        _ => {}
    }
    if let Some(verbosity) = config.get("verbosity").filter(|value| value.is_string()) {
        out.insert("verbosity".into(), verbosity.clone());
    }
}

fn reasoning(value: &Value, out: &mut Map<String, Value>) {
    let fields = ["effort", "max_tokens", "enabled"].into_iter();
    let kept: Map<String, Value> = fields
        .filter_map(|name| {
            value.get(name).filter(|value| !value.is_null()).map(|value| (name.to_owned(), value.clone()))
        })
        .collect();
    if !kept.is_empty() {
        out.insert("reasoning".into(), Value::Object(kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::estimate::prompt_bound;

    fn read_value(body: &Value) -> Result<ChatRequest, String> {
        read(body.as_object().cloned().unwrap_or_default()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_conversation_with_tools_and_a_schema_is_translated() {
        let request = read_value(&json!({
            "model":"a/b","instructions":"be brief","max_output_tokens":50,"stream":true,"store":false,
            "input":[
                {"role":"user","content":[{"type":"input_text","text":"look"},
                    {"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"}]},
                {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"hm"}],"signature":"s"},
                {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
                {"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
                {"type":"function_call_output","call_id":"c1","output":"42"},
                {"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]},
                {"role":"user","content":"and?"},
            ],
            "tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],
            "tool_choice":{"type":"function","name":"f"},"reasoning":{"effort":"low","summary":"auto"},
            "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},"metadata":{"a":"b"},
            "client_metadata":{"turn":"t"}
        }))
        .expect("it can be said");
        assert_eq!((request.cap, request.stream), (Some(50), true));
        let Kept::Responses(repeated, _) = &request.kept else { panic!("it is a response") };
        assert_eq!(repeated.get("metadata"), Some(&json!({"a":"b"})), "it is repeated, and not asked with");
        assert_eq!(
            Value::Object(request.body),
            json!({
                "messages":[
                    {"role":"system","content":"be brief"},
                    {"role":"user","content":[{"type":"text","text":"look"},
                        {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}]},
                    {"role":"assistant","content":null,
                        "reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s"}],
                        "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},
                            {"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},
                    {"role":"tool","tool_call_id":"c1","content":"42"},
                    {"role":"assistant","content":"done"},
                    {"role":"user","content":"and?"},
                ],
                "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"},"strict":true}}],
                "tool_choice":{"type":"function","function":{"name":"f"}},"reasoning":{"effort":"low"},
                "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}
            })
        );
    }

    #[test]
    fn of_the_tools_those_are_kept_that_may_be_called() {
        let tool = |name: &str| json!({"type":"function","name":name});
        let read = |mode: &str, allowed: &[&str]| {
            let allowed: Vec<Value> = allowed.iter().copied().map(tool).collect();
            read_value(&json!({"input":"hi","tools":[tool("f"),tool("g")],
                "tool_choice":{"type":"allowed_tools","mode":mode,"tools":allowed}}))
            .map(|request| request.body)
        };
        let body = read("required", &["g", "h"]).expect("it can be said");
        assert_eq!(body["tools"], json!([{"type":"function","function":{"name":"g"}}]));
        assert_eq!(body["tool_choice"], "required");
        assert!(!read("auto", &["h"]).expect("it can be said").contains_key("tools"));
        assert!(read("some", &["g"]).expect_err("no such mode").contains("tool_choice.mode"));
    }

    #[test]
    fn a_hold_covers_all_that_is_said_of_tools_wherever_they_are_listed() {
        let long = "x".repeat(9_000);
        let custom =
            json!({"type":"custom","name":"c","description":long,"format":{"type":"grammar","definition":long}});
        let group = json!({"type":"namespace","name":"g","description":long,"tools":[custom]});
        let request = read_value(&json!({"model":"a/b","input":[
            {"type":"additional_tools","role":"developer","tools":[group]}, {"role":"user","content":"hi"},
            {"type":"custom_tool_call","call_id":"1","namespace":"g","name":"c","input":long},
            {"type":"custom_tool_call_output","call_id":"1","output":long}]}))
        .expect("it can be said");
        let bound = prompt_bound(&request.body).tokens;
        assert!((45_000..47_000).contains(&bound), "{bound}");
        let Kept::Responses(_, names) = &request.kept else { panic!("it is a response") };
        assert_eq!(names.tool("g__c").name, "c");
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_name() {
        for (named, body) in [
            ("input", json!({"model":"a/b"})),
            ("previous_response_id", json!({"input":"hi","previous_response_id":"resp_1"})),
            ("background", json!({"input":"hi","background":true})),
            ("web_search", json!({"input":"hi","tools":[{"type":"web_search"}]})),
            ("item_reference", json!({"input":[{"type":"item_reference","id":"x"}]})),
            ("instructions", json!({"input":"hi","instructions":[1]})),
        ] {
            let said = read_value(&body).expect_err(named);
            assert!(said.contains(named), "{named}: {said}");
        }
    }
}
