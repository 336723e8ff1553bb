//! Answers of the API against the document that the program serves: nothing is missing, of another kind, beyond its bounds, or
//! there without being in the document.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(farebox::gateway::surface::openapi_document)
}

/// What is wrong with an answer. Empty for addresses that the document does not have.
pub fn answer(method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
    let document = document();
    let path = path.split('?').next().unwrap_or_default();
    let path = if path.starts_with("/v1/") { format!("/api{path}") } else { path.to_owned() };
    let paths = document["paths"].as_object().expect("paths");
    // A name that is written out comes before one that stands for any.
    let found = paths.keys().find(|template| **template == path).or_else(|| paths.keys().find(|one| fits(one, &path)));
    let Some(operation) = found.map(|one| &paths[one][method.to_lowercase()]).filter(|one| one.is_object()) else {
        return Vec::new();
    };
    let schema = &operation["responses"][status.to_string()]["content"]["application/json"]["schema"];
    if !schema.is_object() {
        return vec![format!("the document says nothing of status {status}")];
    }
    flaws(document, schema, body, is_call(&path))
}

/// Answers of models: the document names what clients read, and an answer may have more.
pub fn is_call(path: &str) -> bool {
    let calls =
        ["/chat/completions", "/completions", "/responses", "/messages", "/count_tokens", "/embeddings", "/rerank"];
    !path.contains("/presets/") && calls.iter().any(|end| path.ends_with(end))
}

fn fits(template: &str, path: &str) -> bool {
    let (one, other) = (template.split('/'), path.split('/'));
    one.clone().count() == other.clone().count()
        && one.zip(other).all(|(named, given)| named == given || (named.starts_with('{') && !given.is_empty()))
}

/// What is wrong with `value` by a schema of OpenAPI 3.1, as far as our document goes; patterns are not looked at. With
/// `more`, fields that the document does not have are no flaw.
pub fn flaws(document: &Value, schema: &Value, value: &Value, more: bool) -> Vec<String> {
    let mut out = Vec::new();
    Looking { document, more }.whole(schema, value, "", &mut out);
    out
}

#[derive(Clone, Copy)]
struct Looking<'a> {
    document: &'a Value,
    more: bool,
}

fn target<'a>(document: &'a Value, name: &str) -> &'a Value {
    document.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name} is not in the document"))
}

/// Every field that an object of this schema may have; `None` where it may have any.
fn fields(document: &Value, schema: &Value) -> Option<BTreeSet<String>> {
    if let Some(name) = schema["$ref"].as_str() {
        return fields(document, target(document, name));
    }
    let open = schema["additionalProperties"] == true || schema["additionalProperties"].is_object();
    if open || schema["oneOf"].is_array() || schema["anyOf"].is_array() {
        return None;
    }
    let mut all: BTreeSet<String> =
        schema["properties"].as_object().into_iter().flat_map(|map| map.keys().cloned()).collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        all.extend(fields(document, part)?);
    }
    (!all.is_empty()).then_some(all)
}

impl Looking<'_> {
    fn whole(self, schema: &Value, value: &Value, place: &str, out: &mut Vec<String>) {
        if !self.more
            && let (Some(known), Value::Object(map)) = (fields(self.document, schema), value)
        {
            let unknown = map.keys().filter(|name| !known.contains(*name));
            out.extend(unknown.map(|name| format!("{place}.{name} is not in the document")));
        }
        self.part(schema, value, place, out);
    }

    fn part(self, schema: &Value, value: &Value, place: &str, out: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.part(target(self.document, name), value, place, out);
        }
        // Of a thing that is made of several, each has a part of the fields.
        for all in schema["allOf"].as_array().into_iter().flatten() {
            self.part(all, value, place, out);
        }
        if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
            let fits = |choice: &Value| {
                let mut found = Vec::new();
                self.whole(choice, value, place, &mut found);
                found.is_empty()
            };
            if !choices.iter().any(fits) {
                out.push(format!("{place} fits none of the choices: {value}"));
            }
            return;
        }
        kind(schema, value, place, out);
        bounds(schema, value, place, out);
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            out.push(format!("{place} is not one of {allowed:?}: {value}"));
        }
        match value {
            Value::Object(map) => {
                for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if !map.contains_key(name) {
                        out.push(format!("{place}.{name} is missing"));
                    }
                }
                for (name, value) in map {
                    if let Some(schema) = schema["properties"].get(name) {
                        self.whole(schema, value, &format!("{place}.{name}"), out);
                    }
                }
            }
            Value::Array(items) if schema["items"].is_object() => {
                for (at, item) in items.iter().enumerate() {
                    self.whole(&schema["items"], item, &format!("{place}[{at}]"), out);
                }
            }
            _ => {}
        }
    }
}

fn kind(schema: &Value, value: &Value, place: &str, out: &mut Vec<String>) {
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let is = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{place} has the unknown type {other}"),
    };
    if !names.iter().any(is) {
        out.push(format!("{place} is not {names:?}: {value}"));
    }
}

/// Numbers, lengths and times.
fn bounds(schema: &Value, value: &Value, place: &str, out: &mut Vec<String>) {
    let mut outside = |name: &str, is: f64, most: bool| {
        let bound = schema[name].as_f64();
        if bound.is_some_and(|bound| if most { is > bound } else { is < bound }) {
            out.push(format!("{place} breaks {name} {}: {value}", schema[name]));
        }
    };
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            outside("minimum", number, false);
            outside("maximum", number, true);
        }
        Value::String(text) => {
            let length = f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX));
            outside("minLength", length, false);
            outside("maxLength", length, true);
            let wrong = match schema["format"].as_str() {
                Some("date-time") => chrono::DateTime::parse_from_rfc3339(text).is_err(),
                Some("date") => text.parse::<chrono::NaiveDate>().is_err(),
                Some("uri") => url::Url::parse(text).is_err(),
                _ => false,
            };
            if wrong {
                out.push(format!("{place} is no {}: {value}", schema["format"]));
            }
        }
        Value::Array(items) => {
            let length = f64::from(u32::try_from(items.len()).unwrap_or(u32::MAX));
            outside("minItems", length, false);
            outside("maxItems", length, true);
        }
        _ => {}
    }
}
