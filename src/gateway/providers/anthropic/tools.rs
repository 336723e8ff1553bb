//! Tools in the words of the messages API. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::gateway::providers::failure::ONLY_FUNCTIONS;
use crate::gateway::providers::{Failure, Fault, Question};

pub(super) fn tools(question: &Question<'_>, out: &mut Map<String, Value>) -> Result<(), Failure> {
    let body = question.body;
    let Some(tools) = body.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty()) else {
        return Ok(());
    };
    // One that the provider runs, as its type tells, costs extra, which no price here says. On an own account that is no matter.
    let is_known = |tool: &Value| {
        matches!(tool.get("type").and_then(Value::as_str), None | Some("function" | "custom"))
            && (tool.get("function").is_some() || tool.get("input_schema").is_some())
    };
    if question.candidate.own().is_none() && !tools.iter().all(is_known) {
        return Err(Failure::new(Fault::Unpriced, ONLY_FUNCTIONS));
    }
    let allowed = allowed(body.get("tool_choice"));
    let may_be_called = |tool: &&Value| {
        let name = tool.pointer("/function/name").or_else(|| tool.get("name")).and_then(Value::as_str);
        allowed.as_ref().is_none_or(|allowed| name.is_some_and(|name| allowed.names.contains(name)))
    };
    let tools: Vec<&Value> = tools.iter().filter(may_be_called).collect();
    if tools.is_empty() {
        return Ok(());
    }
    // `strict` stays behind: libraries send it with every tool, and Claude refuses more than twenty of these, and schemas that OpenAI
    // takes (https://platform.claude.com/docs/en/build-with-claude/structured-outputs).
    let own = tools.into_iter().map(|tool| {
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
        Some(Value::Object(_)) if allowed.as_ref().is_some_and(|allowed| allowed.is_demanded) => {
            json!({ "type": "any" })
        }
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
    Ok(())
}

/// A choice among some of the tools, which the protocol does not know.
struct Allowed<'a> {
    names: BTreeSet<&'a str>,
    /// One of them must be called.
    is_demanded: bool,
}

fn allowed(choice: Option<&Value>) -> Option<Allowed<'_>> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let choice = choice.filter(|choice| text(choice, "type").as_deref() == Some("allowed_tools"))?;
    let allowed = choice.get("allowed_tools")?;
    let tools = allowed.get("tools").and_then(Value::as_array).into_iter().flatten();
    let names = tools.filter_map(|tool| tool.pointer("/function/name")?.as_str()).collect();
    Some(Allowed { names, is_demanded: text(allowed, "mode").as_deref() == Some("required") })
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::translated;
    use super::*;

    #[test]
    fn tools_that_the_provider_runs_are_refused_where_the_operator_pays() {
        for tool in [
            json!({"type":"web_search_20250305","name":"web_search"}),
            json!({"type":"web_search_20250305","name":"web_search","input_schema":{}}),
            json!({"type":"web_search_20250305","name":"web_search","function":{"name":"web_search"}}),
        ] {
            let body = json!({"messages":[],"tools":[tool]});
            let fault = translated(&body, None).map_err(|failure| failure.fault).err();
            assert_eq!(fault, Some(Fault::Unpriced), "{body}");
        }
        let own = json!({"messages":[],"tools":[{"name":"f","input_schema":{}},{"type":"custom","name":"g","input_schema":{}}]});
        assert!(translated(&own, None).is_ok(), "functions in the provider's words");
    }

    #[test]
    fn of_the_tools_those_are_sent_that_may_be_called() {
        let tool = |name: &str| json!({"type":"function","function":{"name":name}});
        let sent = |mode: &str, allowed: &[&str]| {
            let allowed: Vec<Value> = allowed.iter().copied().map(tool).collect();
            let choice = json!({"type":"allowed_tools","allowed_tools":{"mode":mode,"tools":allowed}});
            let body =
                json!({"messages":[{"role":"user","content":"x"}],"tools":[tool("f"),tool("g")],"tool_choice":choice});
            translated(&body, None).expect("it can be said")
        };
        let own = json!([{"name":"g","input_schema":{"type":"object"}}]);
        for (mode, kind) in [("auto", "auto"), ("required", "any")] {
            let sent = sent(mode, &["g"]);
            assert_eq!((&sent["tools"], &sent["tool_choice"]), (&own, &json!({"type":kind})), "{mode}");
        }
        let none = sent("auto", &["h"]);
        assert_eq!((none.get("tools"), none.get("tool_choice")), (None, None));
    }

    #[test]
    fn what_is_strict_elsewhere_is_not_said_here() {
        let tool = json!({"type":"function","function":{"name":"f","parameters":{"type":"object"},"strict":true}});
        let sent = translated(&json!({"messages":[{"role":"user","content":"x"}],"tools":[tool]}), None);
        assert_eq!(sent.expect("it can be said")["tools"], json!([{"name":"f","input_schema":{"type":"object"}}]));
    }
}
