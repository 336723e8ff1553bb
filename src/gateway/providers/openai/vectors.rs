//! An answer with vectors. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Reads an answer. The numbers of a vector stay the text that they came as, which begins with a bracket: as values they would
/// take several times as much room, and nobody here looks at them. `None` for what is no such answer.
pub(super) fn read(bytes: &[u8]) -> Option<Map<String, Value>> {
    fields(serde_json::from_slice(bytes).ok()?, |name, raw| match name {
        "data" if raw.get().starts_with('[') => {
            let vectors: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
            Some(Value::Array(vectors.into_iter().map(vector).collect::<Option<_>>()?))
        }
        _ => serde_json::from_str(raw.get()).ok(),
    })
}

fn vector(raw: &RawValue) -> Option<Value> {
    let read = fields(serde_json::from_str(raw.get()).ok()?, |name, raw| match (name, raw.get()) {
        ("embedding", numbers) if numbers.starts_with('[') => Some(Value::String(numbers.to_owned())),
        // Base64 has no brackets; a text that is no list must not be taken for one.
        ("embedding", text) if text.starts_with("\"[") || text.starts_with("\"\\") => None,
        (_, other) => serde_json::from_str(other).ok(),
    });
    read.map(Value::Object)
}

/// The fields of an object, each read on its own.
pub(super) fn fields(
    raw: BTreeMap<String, &RawValue>,
    read: impl Fn(&str, &RawValue) -> Option<Value>,
) -> Option<Map<String, Value>> {
    raw.into_iter()
        .map(|(name, raw)| {
            let value = read(&name, raw)?;
            Some((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_stay_the_text_that_they_came_as() {
        let read = |text: &str| read(text.as_bytes()).map(Value::Object);
        assert_eq!(
            read(
                r#"{"data":[{"index":0,"embedding":[0.10, -1e-7]},{"index":1,"embedding":"AACAPw=="}],"usage":{"n":[1]}}"#
            ),
            Some(json!({"data":[{"index":0,"embedding":"[0.10, -1e-7]"},{"index":1,"embedding":"AACAPw=="}],
                "usage":{"n":[1]}}))
        );
        assert_eq!(read(r#"{"data":[],"error":{"code":500}}"#), Some(json!({"data":[],"error":{"code":500}})));
        for nonsense in [
            "[]",
            r#"{"data":[{"embedding":[1,]}]}"#,
            r#"{"data":[1]}"#,
            r#"{"data":[{"embedding":"[1"}]}"#,
            r#"{"data":[{"embedding":"\u005b1"}]}"#,
            "<html>",
        ] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
