//! The items of an input as chat messages. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::text;
use super::thoughts::unpacked;
use super::tools::{MORE, Names, TEXT};
use crate::gateway::error::ApiError;

/// Items in one input; each becomes a message at most, and those have a limit of their own.
const MAX_ITEMS: usize = 4_000;
/// What a tool found; the second is of a tool that takes a text.
const OUTPUT: &str = "function_call_output";
const TEXT_OUTPUT: &str = "custom_tool_call_output";
/// How the id of an item of reasoning begins.
const THOUGHT: &str = "rs_";
/// What to do instead of naming an item by its id alone, which the AI SDK does by itself.
const REFERENCE: &str = " is an item_reference. Items are not stored here, so they cannot be referred to: send them whole. In the \
    AI SDK set providerOptions.openai.store to false, or use .chat().";

/// `names` has what the functions are called that stand for tools.
pub(super) fn messages(input: Option<&Value>, names: &Names, out: &mut Vec<Value>) -> Result<(), ApiError> {
    let items = match input {
        Some(Value::String(said)) if !said.is_empty() => {
            out.push(json!({ "role": "user", "content": said }));
            return Ok(());
        }
        Some(Value::Array(items)) if !items.is_empty() => items,
        None | Some(Value::Null) => return Err(ApiError::invalid("input is missing.")),
        Some(Value::String(_) | Value::Array(_)) => return Err(ApiError::invalid("input is empty.")),
        Some(_) => return Err(ApiError::invalid("input is neither a text nor an array of items.")),
    };
    if items.len() > MAX_ITEMS {
        return Err(ApiError::unprocessable(format!("input has more than {MAX_ITEMS} items.")));
    }
    let (mut turn, mut shown, mut answered) = (Turn::default(), Vec::new(), BTreeMap::new());
    for (at, item) in items.iter().enumerate() {
        let place = format!("input.{at}");
        let kind = text(item, "type").unwrap_or("message");
        if !matches!(kind, OUTPUT | TEXT_OUTPUT) {
            show(&mut shown, out);
        }
        match kind {
            "message" => match text(item, "role") {
                Some("assistant") => {
                    // Calls belong to the text before them; after them a new turn begins.
                    if turn.has_said() {
                        turn.end(out);
                    }
                    turn.said = Some(content(item.get("content"), &place)?);
                }
                Some(role @ ("user" | "system" | "developer")) => {
                    turn.end(out);
                    out.push(json!({ "role": role, "content": content(item.get("content"), &place)? }));
                }
                _ => return Err(ApiError::invalid(format!("{place}.role is none that is known."))),
            },
            "reasoning" => {
                if turn.has_said() {
                    turn.end(out);
                }
                turn.details.extend(details(item));
            }
            "function_call" | "custom_tool_call" => {
                turn.calls.push(call(item, names, &place)?);
                answered.remove(text(item, "call_id").unwrap_or_default());
            }
            OUTPUT | TEXT_OUTPUT => {
                turn.end(out);
                let id = text(item, "call_id").ok_or_else(|| missing(&place, "call_id"))?;
                let found = output(item.get("output"), &place, &mut shown)?;
                answer(*answered.entry(id).or_insert(out.len()), id, found, out);
            }
            // They are among the tools of the request.
            MORE => {}
            // What was thought need not come back for an answer.
            "item_reference" if text(item, "id").is_some_and(|id| id.starts_with(THOUGHT)) => {}
            "item_reference" => return Err(ApiError::invalid(format!("{place}{REFERENCE}"))),
            other => {
                let shown: String = other.chars().filter(|c| !c.is_control()).take(60).collect();
                return Err(ApiError::invalid(format!("{place} is of the type {shown}, which cannot be used here.")));
            }
        }
    }
    turn.end(out);
    show(&mut shown, out);
    Ok(())
}

/// Says as the user what tools have shown, once all that ran at the same time have answered.
fn show(shown: &mut Vec<Value>, out: &mut Vec<Value>) {
    if !shown.is_empty() {
        out.push(json!({ "role": "user", "content": std::mem::take(shown) }));
    }
}

fn missing(place: &str, field: &str) -> ApiError {
    ApiError::invalid(format!("{place}.{field} is missing."))
}

/// The error for a part that is a file somewhere else; `None` for any other.
fn uploaded(part: &Value, place: &str) -> Option<ApiError> {
    text(part, "file_id")?;
    Some(ApiError::invalid(format!(
        "{place} names an uploaded file by file_id. Files are not kept here, so it cannot be used: send it as a data URL."
    )))
}

/// What the model said in one turn, which comes in several items.
#[derive(Default)]
struct Turn {
    said: Option<Value>,
    details: Vec<Value>,
    calls: Vec<Value>,
}

impl Turn {
    fn has_said(&self) -> bool {
        self.said.is_some() || !self.calls.is_empty()
    }

    fn end(&mut self, out: &mut Vec<Value>) {
        let turn = std::mem::take(self);
        if !turn.has_said() {
            return;
        }
        let mut message = Map::new();
        message.insert("role".into(), "assistant".into());
        message.insert("content".into(), turn.said.unwrap_or_default());
        for (name, list) in [("reasoning_details", turn.details), ("tool_calls", turn.calls)] {
            if !list.is_empty() {
                message.insert(name.into(), Value::Array(list));
            }
        }
        out.push(Value::Object(message));
    }
}

fn details(item: &Value) -> Vec<Value> {
    if let Some(details) = text(item, "encrypted_content").and_then(unpacked) {
        return details;
    }
    let texts = |name: &str| {
        let parts = item.get(name).and_then(Value::as_array).into_iter().flatten();
        parts.filter_map(|part| text(part, "text")).collect::<Vec<_>>().join("\n")
    };
    let thought = ["content", "summary"].into_iter().map(texts).find(|thought| !thought.is_empty()).unwrap_or_default();
    if thought.is_empty() {
        return Vec::new();
    }
    vec![json!({ "type": "reasoning.text", "text": thought, "signature": text(item, "signature") })]
}

fn call(item: &Value, names: &Names, place: &str) -> Result<Value, ApiError> {
    let field = |name: &str| text(item, name).ok_or_else(|| missing(place, name));
    let arguments = match text(item, "type") {
        Some("custom_tool_call") => json!({ TEXT: field(TEXT)? }).to_string(),
        _ => text(item, "arguments").unwrap_or("{}").to_owned(),
    };
    let name = names.function(text(item, "namespace"), field("name")?);
    Ok(json!({ "id": field("call_id")?, "type": "function", "function": { "name": name, "arguments": arguments } }))
}

/// Answers a call with the message at this place. Some tools tell something while they run: a call that was answered since it was
/// made gets more of an answer, as providers take one for each.
fn answer(place: usize, id: &str, found: String, out: &mut Vec<Value>) {
    match out.get_mut(place).and_then(|message| message.get_mut("content")) {
        Some(Value::String(before)) => {
            before.push('\n');
            before.push_str(&found);
        }
        _ => out.push(json!({ "role": "tool", "tool_call_id": id, "content": found })),
    }
}

/// What a tool found, as text. Images and files become what the user shows: a tool's message has no place for them.
fn output(value: Option<&Value>, place: &str, shown: &mut Vec<Value>) -> Result<String, ApiError> {
    match value {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let mut texts = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                match text(part, "text") {
                    Some(said) => texts.push(said),
                    None => shown.push(self::part(part, &format!("{place}.output.{at}"))?),
                }
            }
            Ok(texts.join("\n"))
        }
        _ => Err(missing(place, "output")),
    }
}

fn content(value: Option<&Value>, place: &str) -> Result<Value, ApiError> {
    match value {
        Some(Value::String(text)) => Ok(json!(text)),
        Some(Value::Array(parts)) => {
            let parts = parts.iter().enumerate().map(|(at, part)| self::part(part, &format!("{place}.content.{at}")));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            // A single text as a text: some providers know nothing else.
            match parts.as_slice() {
                [only] if text(only, "type") == Some("text") => Ok(only.get("text").cloned().unwrap_or_default()),
                _ => Ok(Value::Array(parts)),
            }
        }
        _ => Err(ApiError::invalid(format!("{place}.content is neither a text nor an array of parts."))),
    }
}

fn part(part: &Value, place: &str) -> Result<Value, ApiError> {
    let kind = text(part, "type").unwrap_or_default();
    match kind {
        "input_text" | "output_text" | "text" | "summary_text" => {
            let said = text(part, "text").ok_or_else(|| missing(place, "text"))?;
            Ok(json!({ "type": "text", "text": said }))
        }
        "refusal" => Ok(json!({ "type": "text", "text": text(part, "refusal").unwrap_or_default() })),
        "input_image" => {
            let url = part.get("image_url");
            let url = url
                .and_then(|url| url.as_str().or_else(|| text(url, "url")))
                .ok_or_else(|| uploaded(part, place).unwrap_or_else(|| missing(place, "image_url")))?;
            let mut image = json!({ "url": url });
            if let (Some(detail), Some(image)) = (text(part, "detail"), image.as_object_mut()) {
                image.insert("detail".into(), detail.into());
            }
            Ok(json!({ "type": "image_url", "image_url": image }))
        }
        "input_file" => {
            let data = text(part, "file_data").or_else(|| text(part, "file_url"));
            let neither = || ApiError::invalid(format!("{place} has neither file_data nor file_url."));
            let data = data.ok_or_else(|| uploaded(part, place).unwrap_or_else(neither))?;
            let name = text(part, "filename").unwrap_or("file");
            Ok(json!({ "type": "file", "file": { "filename": name, "file_data": data } }))
        }
        "input_audio" if part.get("input_audio").is_some_and(Value::is_object) => Ok(part.clone()),
        _ => Err(ApiError::invalid(format!("{place} is a part of a type that cannot be used here."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(input: Option<&Value>, out: &mut Vec<Value>) -> Result<(), ApiError> {
        super::messages(input, &Names::default(), out)
    }

    #[test]
    fn what_tools_show_is_said_after_all_of_them_have_answered() {
        let call = |id: &str| json!({"type":"function_call","call_id":id,"name":"f","arguments":"{}"});
        let image = json!({"type":"input_image","image_url":"data:image/png;base64,AAAA"});
        let found = |id: &str, output: Value| json!({"type":"function_call_output","call_id":id,"output":output});
        let input = json!([
            {"role":"user","content":"look"}, call("a"), call("b"),
            found("a", json!([{"type":"input_text","text":"here"}, image])), found("b", json!("none")),
            {"role":"user","content":"and?"}
        ]);
        let mut out = Vec::new();
        messages(Some(&input), &mut out).expect("it can be said");
        let shown = json!([{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]);
        assert_eq!(
            out[2..],
            [
                json!({"role":"tool","tool_call_id":"a","content":"here"}),
                json!({"role":"tool","tool_call_id":"b","content":"none"}),
                json!({"role":"user","content":shown}),
                json!({"role":"user","content":"and?"}),
            ]
        );
        let last = json!([call("a"), found("a", json!([image]))]);
        let mut out = Vec::new();
        messages(Some(&last), &mut out).expect("it can be said");
        assert_eq!(out.last(), Some(&json!({"role":"user","content":shown})));
        let odd = json!([found("a", json!([{"type":"computer_screenshot"}]))]);
        assert!(messages(Some(&odd), &mut Vec::new()).is_err());
    }

    #[test]
    fn who_names_an_uploaded_file_is_told_to_send_it() {
        for (kind, field) in [("input_image", "image_url"), ("input_file", "file_data")] {
            let said = |part: Value| part_error(&part);
            assert!(said(json!({"type":kind,"file_id":"file-1"})).contains("send it as a data URL"), "{kind}");
            assert!(said(json!({"type":kind})).contains(field), "{kind}");
        }
    }

    fn part_error(value: &Value) -> String {
        part(value, "input.0.content.0").map_err(|error| error.message().to_owned()).expect_err("it is refused")
    }

    #[test]
    fn thoughts_are_read_as_they_were_told() {
        let read = |item: Value| details(&item);
        let thought = |signature: Value| vec![json!({"type":"reasoning.text","text":"hm","signature":signature})];
        let content = json!([{"type":"reasoning_text","text":"hm"}]);
        let summary = json!([{"type":"summary_text","text":"hm"}]);
        assert_eq!(read(json!({"summary":[],"content":content,"signature":"s"})), thought(json!("s")));
        assert_eq!(read(json!({"summary":summary,"content":[]})), thought(Value::Null));
        assert_eq!(read(json!({"summary":summary,"encrypted_content":"gAAAAABo"})), thought(Value::Null), "not ours");
        assert!(read(json!({"summary":[],"encrypted_content":"gAAAAABo"})).is_empty());
    }

    #[test]
    fn who_refers_to_an_item_is_told_what_to_do_and_thoughts_are_not_missed() {
        let refers = |id: &str| json!([{"role":"user","content":"hi"},{"type":"item_reference","id":id}]);
        let mut out = Vec::new();
        messages(Some(&refers("rs_1")), &mut out).expect("it can be said");
        assert_eq!(out, [json!({"role":"user","content":"hi"})]);
        for id in ["msg_1", "fc_1"] {
            let error = messages(Some(&refers(id)), &mut Vec::new()).expect_err(id);
            let said = error.message();
            assert!(
                said.starts_with("input.1 is an item_reference") && said.contains("openai.store to false"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_call_that_is_answered_twice_gets_one_answer() {
        let call = |id: &str| json!({"type":"custom_tool_call","call_id":id,"name":"exec","input":"text(\"hi\")"});
        let found = |id: &str, output: &str| json!({"type":"custom_tool_call_output","call_id":id,"output":output});
        let image = json!([{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]);
        let shown = json!({"type":"custom_tool_call_output","call_id":"b","output":image});
        let input = json!([
            call("a"),
            call("b"),
            found("a", "begun"),
            shown,
            found("a", "done"),
            call("a"),
            found("a", "again")
        ]);
        let mut out = Vec::new();
        messages(Some(&input), &mut out).expect("it can be said");
        let function = json!({"name":"exec","arguments":"{\"input\":\"text(\\\"hi\\\")\"}"});
        assert_eq!(out[0]["tool_calls"][0], json!({"id":"a","type":"function","function":function}));
        let told: Vec<_> = out[1..].iter().map(|message| (&message["role"], &message["content"])).collect();
        let (tool, user) = (json!("tool"), json!("user"));
        let image = json!([{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]);
        assert_eq!(
            told,
            [
                (&tool, &json!("begun\ndone")),
                (&tool, &json!("")),
                (&user, &image),
                (&json!("assistant"), &json!(null)),
                (&tool, &json!("again")),
            ]
        );
    }
}
