//! How long what was sent is kept in a provider's cache. Pure.

use serde_json::Value;

/// The field that marks a block, and the one in it that asks for more than the usual time.
const MARK: &str = "cache_control";
const TIME: &str = "ttl";

/// Whether a mark asks for another time than the usual. Bodies are no deeper than what was let in.
fn is_long(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(is_long),
        Value::Object(fields) => {
            fields.get(MARK).is_some_and(|mark| mark.get(TIME).is_some()) || fields.values().any(is_long)
        }
        _ => false,
    }
}

/// Writing to a cache for an hour costs more than the price in the catalog, which is that of the usual five minutes. So all
/// marks last the usual time, and what is written costs what the catalog says.
pub(in crate::gateway) fn shorten(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => {
            if let Some(Value::Object(mark)) = fields.get_mut(MARK) {
                mark.shift_remove(TIME);
            }
            fields.values_mut().for_each(shorten);
        }
        _ => {}
    }
}

/// A field of a request with marks of the usual time, where it has others; a mark may also stand for all of the request.
pub(in crate::gateway) fn usual_time(name: &str, value: &Value) -> Option<Value> {
    let long = match name {
        MARK => value.get(TIME).is_some(),
        "messages" | "tools" => is_long(value),
        _ => false,
    };
    long.then(|| {
        let mut usual = value.clone();
        match usual.as_object_mut() {
            Some(mark) if name == MARK => {
                mark.shift_remove(TIME);
            }
            _ => shorten(&mut usual),
        }
        usual
    })
}

/// A field of a request without its marks, where it has any: most providers refuse what they do not know. A message whose only
/// part is a text becomes that text, as it would have been without a mark.
pub(in crate::gateway) fn unmarked(name: &str, value: &Value) -> Option<Value> {
    let items = value.as_array().filter(|items| items.iter().any(|item| is_marked(name, item)))?;
    let mut items = items.clone();
    for item in items.iter_mut().filter(|item| is_marked(name, item)).filter_map(Value::as_object_mut) {
        item.shift_remove(MARK);
        if let Some(Value::Array(parts)) = item.get_mut("content") {
            parts.iter_mut().filter_map(Value::as_object_mut).for_each(|part| drop(part.shift_remove(MARK)));
            let only = match parts.as_slice() {
                [only] if only.get("type").and_then(Value::as_str) == Some("text") => only.get("text").cloned(),
                _ => None,
            };
            if let Some(text) = only.filter(Value::is_string) {
                item.insert("content".into(), text);
            }
        }
    }
    Some(Value::Array(items))
}

/// Whether a message or one of its parts has a mark, or a tool. What else has one by this name is no mark.
fn is_marked(name: &str, item: &Value) -> bool {
    let parts = item.get("content").and_then(Value::as_array).filter(|_| name == "messages");
    matches!(name, "messages" | "tools")
        && (item.get(MARK).is_some() || parts.is_some_and(|parts| parts.iter().any(|part| part.get(MARK).is_some())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mark_stays_and_lasts_the_usual_time() {
        let mut value = json!([{"text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},
            {"content":[{"cache_control":{"type":"ephemeral"},"ttl":"mine"}]}]);
        assert!(is_long(&value));
        shorten(&mut value);
        assert!(!is_long(&value));
        assert_eq!(
            value,
            json!([{"text":"a","cache_control":{"type":"ephemeral"}},
                {"content":[{"cache_control":{"type":"ephemeral"},"ttl":"mine"}]}])
        );
    }

    #[test]
    fn a_mark_of_the_whole_request_lasts_the_usual_time() {
        let long = json!({"type":"ephemeral","ttl":"1h"});
        assert_eq!(usual_time("cache_control", &long), Some(json!({"type":"ephemeral"})));
        assert_eq!(usual_time("cache_control", &json!({"type":"ephemeral"})), None);
        assert_eq!(usual_time("metadata", &json!({"cache_control":long})), None);
    }

    #[test]
    fn marks_are_taken_away_and_what_has_their_name_is_not() {
        let mark = json!({"type":"ephemeral"});
        let messages = json!([{"role":"system","content":[{"type":"text","text":"a","cache_control":mark}]},
            {"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c","cache_control":mark}]},
            {"role":"tool","tool_call_id":"1","content":"d","cache_control":mark},
            {"role":"user","content":[{"type":"text","text":"e"}]}]);
        let wanted = json!([{"role":"system","content":"a"},
            {"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]},
            {"role":"tool","tool_call_id":"1","content":"d"},
            {"role":"user","content":[{"type":"text","text":"e"}]}]);
        assert_eq!(unmarked("messages", &messages), Some(wanted.clone()));
        assert_eq!(unmarked("messages", &wanted), None);
        let parameters = json!({"type":"object","properties":{"cache_control":{"type":"string"}}});
        let tool = |mark: Option<&Value>| {
            let mut tool = json!({"type":"function","function":{"name":"f","parameters":parameters}});
            if let (Some(mark), Some(tool)) = (mark, tool.as_object_mut()) {
                tool.insert(MARK.into(), mark.clone());
            }
            json!([tool])
        };
        assert_eq!(unmarked("tools", &tool(Some(&mark))), Some(tool(None)));
        assert_eq!(unmarked("tools", &tool(None)), None);
        assert_eq!(unmarked("metadata", &messages), None);
    }
}
