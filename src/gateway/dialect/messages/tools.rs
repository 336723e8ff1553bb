//! Tools in the words of chat completions. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::text;
use crate::gateway::error::ApiError;

/// Tools that the client itself runs, whose schema the model knows. A date follows.
const KNOWN_TO_MODELS: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

/// # Errors
/// 400 for tools that run at the provider: what they cost is in no price.
pub(super) fn tools(value: &Value) -> Result<Value, ApiError> {
    let Value::Array(tools) = value else { return Err(ApiError::invalid("tools is not an array.")) };
    tools.iter().map(tool).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn tool(tool: &Value) -> Result<Value, ApiError> {
    let kind = text(tool, "type").unwrap_or("custom");
    let is_own = kind == "custom" || KNOWN_TO_MODELS.iter().any(|known| kind.starts_with(known));
    if !is_own {
        let shown: String = kind.chars().filter(|c| !c.is_control()).take(60).collect();
        return Err(ApiError::invalid(format!("A tool of type {shown} runs at a provider, and has no price here.")));
    }
    let name = text(tool, "name").ok_or_else(|| ApiError::invalid("Each of tools must have a name."))?;
    let mut function = json!({ "name": name });
    if let Some(function) = function.as_object_mut() {
        if let Some(description) = text(tool, "description") {
            function.insert("description".into(), description.into());
        }
        let schema = tool.get("input_schema").filter(|schema| schema.is_object()).cloned();
        let schema = schema.unwrap_or_else(|| json!({ "type": "object" }));
        if tool.get("strict") == Some(&Value::Bool(true)) && is_closed(&schema) {
            function.insert("strict".into(), true.into());
        }
        function.insert("parameters".into(), schema);
    }
    let mut out = json!({ "type": "function", "function": function });
    if let (Some(mark), Some(out)) = (tool.get("cache_control").filter(|mark| mark.is_object()), out.as_object_mut()) {
        out.insert("cache_control".into(), mark.clone());
    }
    Ok(out)
}

/// Whether OpenAI takes a schema as a strict one: each object in it demands all of its properties and takes no others
/// (<https://platform.openai.com/docs/guides/structured-outputs>). Anthropic takes others, too.
pub(super) fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let properties = fields.get("properties").and_then(Value::as_object);
            let is_object = properties.is_some() || fields.get("type").is_some_and(|kind| kind == "object");
            let demanded = fields.get("required").and_then(Value::as_array).into_iter().flatten();
            let demanded: BTreeSet<&str> = demanded.filter_map(Value::as_str).collect();
            let is_closed = fields.get("additionalProperties") == Some(&Value::Bool(false))
                && properties.is_none_or(|properties| properties.keys().all(|name| demanded.contains(name.as_str())));
            (!is_object || is_closed) && fields.values().all(self::is_closed)
        }
        Value::Array(items) => items.iter().all(is_closed),
        _ => true,
    }
}

pub(super) fn choice(value: &Value, out: &mut Map<String, Value>) -> Result<(), ApiError> {
    let choice = match (text(value, "type"), text(value, "name")) {
        (Some("auto"), _) => json!("auto"),
        (Some("any"), _) => json!("required"),
        (Some("none"), _) => json!("none"),
        (Some("tool"), Some(name)) => json!({ "type": "function", "function": { "name": name } }),
        _ => return Err(ApiError::invalid("tool_choice is none of auto, any, none, and tool with a name.")),
    };
    out.insert("tool_choice".into(), choice);
    if value.get("disable_parallel_tool_use") == Some(&Value::Bool(true)) {
        out.insert("parallel_tool_calls".into(), false.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_openai_takes_as_strict_is_said_to_be() {
        let object = |required: Value| {
            json!({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},
            "required":required,"additionalProperties":false})
        };
        let closed = object(json!(["a", "b"]));
        for (schema, strict) in [
            (closed.clone(), true),
            (object(json!(["a"])), false),
            (json!({"type":"object"}), false),
            (
                json!({"type":"object","properties":{"list":{"type":"array","items":object(json!(["b"]))}},
                "required":["list"],"additionalProperties":false}),
                false,
            ),
            (
                json!({"type":"object","properties":{"one":{"anyOf":[closed,{"type":"null"}]}},
                "required":["one"],"additionalProperties":false}),
                true,
            ),
        ] {
            let sent = tools(&json!([{"name":"f","input_schema":schema,"strict":true}])).expect("tools");
            assert_eq!(sent.pointer("/0/function/strict").is_some(), strict, "{schema}");
        }
    }
}
