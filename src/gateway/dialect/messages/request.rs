//! A request for a message as a chat completion. Pure.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::{Kept, given, text};
use super::{Words, content, tools};
use crate::gateway::error::ApiError;
use crate::gateway::wire::ChatRequest;

/// Fields that choose what runs at the provider, costs more there, and has no price here. They are passed over: the call is
/// the plain one, and costs what it says.
const PASSED_OVER: [&str; 5] = ["service_tier", "speed", "inference_geo", "context_management", "betas"];
/// What would run beside the model and is not offered. A request that needs it is refused.
const REFUSED: [&str; 2] = ["mcp_servers", "container"];

/// Models to fall back on, in this language's own field.
const MAX_FALLBACKS: usize = 3;

/// # Errors
/// 400 for what makes no sense or cannot be had, 422 for what is beyond a limit.
pub(in crate::gateway::dialect) fn read(mut body: Map<String, Value>) -> Result<ChatRequest, ApiError> {
    rename_format(&mut body);
    for name in REFUSED {
        if given(&body, name).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty())) {
            return Err(ApiError::invalid(format!(
                "{name} cannot be used: what it runs at a provider has no price here."
            )));
        }
    }
    let translated = translated(&body)?;
    let words = Words { body, betas: String::new() };
    Ok(ChatRequest { kept: Kept::Messages(Some(Arc::new(words))), ..ChatRequest::from_map(translated)? })
}

/// The shape of the answer where it stands today: when it was new, it had a field of its own, `output_format`.
fn rename_format(body: &mut Map<String, Value>) {
    let Some(format) = body.shift_remove("output_format").filter(Value::is_object) else { return };
    if given(body, "output_config").is_none() {
        body.insert("output_config".into(), json!({}));
    }
    if let Some(config) = body.get_mut("output_config").and_then(Value::as_object_mut) {
        config.entry("format").or_insert(format);
    }
}

fn translated(body: &Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let mut messages = Vec::new();
    if let Some(system) = given(body, "system") {
        let parts = content::texts(system, "system")?;
        if !parts.is_null() {
            messages.push(json!({ "role": "system", "content": parts }));
        }
    }
    let Some(Value::Array(turns)) = body.get("messages") else {
        return Err(ApiError::invalid("messages is missing or is not an array."));
    };
    if turns.is_empty() {
        return Err(ApiError::invalid("messages is empty."));
    }
    for (at, turn) in turns.iter().enumerate() {
        let place = format!("messages.{at}");
        match text(turn, "role") {
            Some("user") => content::user(turn, &place, &mut messages)?,
            Some("assistant") => content::assistant(turn, &place, &mut messages)?,
            Some("system") => {
                let parts = content::texts(turn.get("content").unwrap_or(&Value::Null), &place)?;
                messages.push(json!({ "role": "system", "content": parts }));
            }
            _ => return Err(ApiError::invalid(format!("{place}.role is neither user nor assistant."))),
        }
    }
    let mut out = Map::new();
    out.insert("messages".into(), Value::Array(messages));
    for (name, value) in body.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "messages" | "system" | "n" => {}
            "stop_sequences" => drop(out.insert("stop".into(), value.clone())),
            "tools" => drop(out.insert("tools".into(), tools::tools(value)?)),
            "tool_choice" => tools::choice(value, &mut out)?,
            "metadata" => {
                if let Some(user) = value.get("user_id").filter(|user| user.is_string()) {
                    out.insert("user".into(), user.clone());
                }
            }
            "thinking" => drop(out.insert("reasoning".into(), reasoning(value)?)),
            "output_config" => output(value, &mut out),
            // A beta of Anthropic: whichever model it has for that. Nobody else has one.
            "fallbacks" if value == "default" => {}
            "fallbacks" => drop(out.insert("models".into(), fallbacks(value, body)?)),
            name if PASSED_OVER.contains(&name) || REFUSED.contains(&name) => {}
            _ => drop(out.insert(name.clone(), value.clone())),
        }
    }
    Ok(out)
}

/// What other languages call `models`.
fn fallbacks(value: &Value, body: &Map<String, Value>) -> Result<Value, ApiError> {
    if given(body, "models").is_some() {
        return Err(ApiError::invalid("fallbacks and models say the same. Send one of them."));
    }
    let wrong =
        || ApiError::invalid(format!("fallbacks is not an array of at most {MAX_FALLBACKS} objects with a model."));
    let list = value.as_array().filter(|list| list.len() <= MAX_FALLBACKS).ok_or_else(wrong)?;
    let models = list.iter().map(|one| text(one, "model").map(Value::from).ok_or_else(wrong));
    Ok(Value::Array(models.collect::<Result<_, _>>()?))
}

fn reasoning(thinking: &Value) -> Result<Value, ApiError> {
    match text(thinking, "type") {
        Some("enabled") => {
            let budget = thinking.get("budget_tokens").and_then(Value::as_u64).filter(|budget| *budget > 0);
            let budget =
                budget.ok_or_else(|| ApiError::invalid("thinking.budget_tokens is not a positive whole number."))?;
            Ok(json!({ "max_tokens": budget }))
        }
        Some("adaptive") => Ok(json!({ "enabled": true })),
        Some("disabled") => Ok(json!({ "enabled": false })),
        _ => Err(ApiError::invalid("thinking.type is none of enabled, adaptive and disabled.")),
    }
}

/// How hard to think, and the shape of what is written.
fn output(config: &Value, out: &mut Map<String, Value>) {
    if let Some(effort) = text(config, "effort") {
        match out.get_mut("reasoning").and_then(Value::as_object_mut) {
            // A budget says it more exactly.
            Some(reasoning) if !reasoning.contains_key("max_tokens") => {
                reasoning.insert("effort".into(), effort.into());
            }
            Some(_) => {}
            None => drop(out.insert("reasoning".into(), json!({ "effort": effort }))),
        }
    }
    if let Some(schema) = config.get("format").and_then(|format| format.get("schema")) {
        let schema = json!({ "name": "answer", "strict": tools::is_closed(schema), "schema": schema });
        out.insert("response_format".into(), json!({ "type": "json_schema", "json_schema": schema }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_value(body: &Value) -> Result<ChatRequest, String> {
        read(body.as_object().cloned().unwrap_or_default()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_conversation_with_tools_images_and_thinking_is_translated() {
        let request = read_value(&json!({
            "model":"a/b","max_tokens":50,"stream":true,
            "system":[{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}],
            "messages":[
                {"role":"user","content":[{"type":"text","text":"look"},
                    {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]},
                {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
                    {"type":"tool_use","id":"t1","name":"f","input":{"x":1}}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"42"}]},
                    {"type":"text","text":"and?"}]},
            ],
            "tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true}],
            "tool_choice":{"type":"any","disable_parallel_tool_use":true},"stop_sequences":["END"],
            "metadata":{"user_id":"u1"},"thinking":{"type":"enabled","budget_tokens":2048},"service_tier":"auto","top_k":3,
            "cache_control":{"type":"ephemeral"},"n":2
        }))
        .expect("it can be said");
        assert_eq!((request.cap, request.stream, request.kept.words().is_some()), (Some(50), true, true));
        assert_eq!(
            Value::Object(request.body),
            json!({
                "messages":[
                    {"role":"system","content":[{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}]},
                    {"role":"user","content":[{"type":"text","text":"look"},
                        {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},
                    {"role":"assistant","content":null,
                        "reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"s"}],
                        "tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
                    {"role":"tool","tool_call_id":"t1","content":"42"},
                    {"role":"user","content":"and?"},
                ],
                "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],
                "tool_choice":"required","parallel_tool_calls":false,"stop":["END"],"user":"u1",
                "reasoning":{"max_tokens":2048},"top_k":3,"cache_control":{"type":"ephemeral"}
            })
        );
    }

    #[test]
    fn the_shape_of_an_answer_is_read_under_its_older_name() {
        let schema = json!({"type":"object"});
        let format = json!({"type":"json_schema","schema":schema});
        for config in [json!(null), json!({"effort":"low"})] {
            let request = read_value(&json!({"messages":[{"role":"user","content":"hi"}],"output_format":format,
                "output_config":config}))
            .expect("it can be said");
            assert_eq!(request.body["response_format"]["json_schema"]["schema"], schema);
            assert!(!request.body.contains_key("output_format"));
            let words = request.kept.words().expect("the client's own words");
            assert_eq!(words.body["output_config"]["format"], format);
        }
    }

    #[test]
    fn fallbacks_are_models_or_left_to_the_provider() {
        let with = |fallbacks: Value| {
            let hello = json!([{"role":"user","content":"hi"}]);
            read_value(&json!({"model":"a/b","messages":hello,"fallbacks":fallbacks})).map(|request| request.models)
        };
        assert_eq!(with(json!("default")), Ok(vec!["a/b".to_owned()]));
        assert_eq!(with(json!([{"model":"c/d"}])), Ok(vec!["a/b".to_owned(), "c/d".to_owned()]));
        assert!(with(json!("c/d")).is_err());
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_name() {
        let hello = json!([{"role":"user","content":"hi"}]);
        for (named, body) in [
            ("messages", json!({"model":"a/b"})),
            ("messages.0.role", json!({"messages":[{"role":"boss","content":"hi"}]})),
            ("messages.0.content.0", json!({"messages":[{"role":"user","content":[{"type":"server_tool_use"}]}]})),
            (
                "web_search_20250305",
                json!({"messages":hello,"tools":[{"type":"web_search_20250305","name":"web_search"}]}),
            ),
            ("mcp_servers", json!({"messages":hello,"mcp_servers":[{"url":"https://a.example"}]})),
            ("thinking", json!({"messages":hello,"thinking":{"type":"enabled"}})),
        ] {
            let said = read_value(&body).expect_err(named);
            assert!(said.contains(named), "{named}: {said}");
        }
    }
}
