//! Events as bytes.

use serde_json::Value;

/// Appends an event with its name, as clients of the newer languages want it.
pub(super) fn named(out: &mut Vec<u8>, name: &str, data: &str) {
    for part in ["event: ", name, "\ndata: ", data, "\n\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends an event without a name.
pub(super) fn plain(out: &mut Vec<u8>, data: &str) {
    for part in ["data: ", data, "\n\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The end of a stream where it has a word of its own.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// An object as text, with one more field at its end whose value is JSON text already: amounts keep their digits that way.
pub(super) fn with(object: &Value, name: &str, json: &str) -> String {
    let mut text = object.to_string();
    text.pop();
    if text.len() > 1 {
        text.push(',');
    }
    text.push('"');
    text.push_str(name);
    text.push_str("\":");
    text.push_str(json);
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_added_with_its_digits() {
        assert_eq!(with(&json!({}), "cost", "0.000000000001"), r#"{"cost":0.000000000001}"#);
        assert_eq!(with(&json!({"a":1}), "usage", r#"{"b":2}"#), r#"{"a":1,"usage":{"b":2}}"#);
    }
}
