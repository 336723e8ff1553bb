//! A JSON schema as a short piece of code that people can read.

use serde_json::Value;

/// Objects inside objects are written out down to here; deeper ones by their name.
const MAX_DEPTH: usize = 4;

/// The value that `$ref` points to within the document, or the value itself.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    target.and_then(|path| document.pointer(path)).unwrap_or(value)
}

/// The schema of a body, written out. Empty for no schema.
pub fn written(document: &Value, schema: &Value) -> String {
    let mut out = String::new();
    write(document, schema, 0, &mut out);
    out
}

/// The kind of a value in a few words, such as `string` or `[Message]`.
pub fn kind(schema: &Value) -> String {
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        return path.rsplit('/').next().unwrap_or_default().to_owned();
    }
    for word in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema.get(word).and_then(Value::as_array) {
            let mut kinds: Vec<String> = parts.iter().map(kind).filter(|kind| kind != "null").collect();
            kinds.dedup();
            return kinds.join(if word == "allOf" { " & " } else { " or " });
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    }
    let name = match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.collect::<Vec<_>>().join(" or ")
        }
        _ if schema.get("properties").is_some() => "object".to_owned(),
        _ => "any".to_owned(),
    };
    match (name.as_str(), schema.get("items")) {
        ("array", Some(items)) => format!("[{}]", kind(items)),
        _ => name,
    }
}

fn write(document: &Value, schema: &Value, depth: usize, out: &mut String) {
    let whole = merged(document, schema, 0);
    if whole.is_empty() {
        // An array is written with what is in it.
        if let Some(items) = resolve(document, schema).get("items").filter(|_| depth < MAX_DEPTH) {
            out.push('[');
            write(document, items, depth, out);
            out.push(']');
        } else if !schema.is_null() {
            out.push_str(&kind(schema));
        }
        return;
    }
    if depth >= MAX_DEPTH {
        out.push_str(&kind(schema));
        return;
    }
    out.push_str("{\n");
    for (name, property, required) in whole {
        out.push_str(&"  ".repeat(depth + 1));
        out.push_str(&format!("\"{name}\"{}: ", if required { "" } else { "?" }));
        write(document, property, depth + 1, out);
        out.push('\n');
    }
    out.push_str(&"  ".repeat(depth));
    out.push('}');
}

/// The properties of an object, those of all its parts together, each with whether it is required.
fn merged<'a>(document: &'a Value, schema: &'a Value, depth: usize) -> Vec<(&'a str, &'a Value, bool)> {
    // A schema that is part of itself would have no end.
    if depth > MAX_DEPTH {
        return Vec::new();
    }
    let schema = resolve(document, schema);
    let required: Vec<&str> = texts(schema.get("required"));
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let own = own.map(|(name, property)| (name.as_str(), property, required.contains(&name.as_str())));
    let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let inherited = parts.flat_map(|part| merged(document, part, depth + 1));
    inherited.chain(own).collect()
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_written_out_and_has_an_end() {
        let document = json!({ "components": { "schemas": {
            "Node": { "type": "object", "required": ["name"], "properties": {
                "name": { "type": "string" }, "next": { "$ref": "#/components/schemas/Node" }
            } },
        } } });
        let node = json!({ "$ref": "#/components/schemas/Node" });
        let text = written(&document, &node);
        assert!(text.starts_with("{\n  \"name\": string\n  \"next\"?: {\n"), "{text}");
        assert!(text.contains("\"next\"?: Node\n"), "{text}");
        assert_eq!(written(&document, &json!({ "type": "array", "items": { "type": "integer" } })), "[integer]");
        assert_eq!(written(&document, &Value::Null), "");
    }

    #[test]
    fn kinds_are_short() {
        assert_eq!(kind(&json!({ "type": ["string", "null"] })), "string");
        assert_eq!(kind(&json!({ "oneOf": [{ "type": "null" }, { "$ref": "#/c/s/Usage" }] })), "Usage");
        assert_eq!(kind(&json!({ "enum": ["a", "b"] })), "\"a\" or \"b\"");
    }
}
