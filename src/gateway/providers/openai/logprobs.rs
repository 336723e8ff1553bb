//! An answer with the probabilities of its tokens. Pure.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::vectors::fields;

/// Reads an answer. The probabilities of a choice stay the text that they came as, which begins with a brace: as values they
/// would take several times as much room, and nobody here looks at them. `None` for what is no such answer.
pub(super) fn read(bytes: &[u8]) -> Option<Map<String, Value>> {
    fields(serde_json::from_slice(bytes).ok()?, |name, raw| match name {
        "choices" if raw.get().starts_with('[') => {
            let choices: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
            Some(Value::Array(choices.into_iter().map(choice).collect::<Option<_>>()?))
        }
        _ => serde_json::from_str(raw.get()).ok(),
    })
}

fn choice(raw: &RawValue) -> Option<Value> {
    let read = fields(serde_json::from_str(raw.get()).ok()?, |name, raw| match (name, raw.get()) {
        ("logprobs", list) if list.starts_with('{') => Some(Value::String(list.to_owned())),
        (_, other) => serde_json::from_str(other).ok(),
    });
    read.map(Value::Object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn probabilities_stay_the_text_that_they_came_as() {
        let read = |text: &str| read(text.as_bytes()).map(Value::Object);
        assert_eq!(
            read(
                r#"{"id":"a","choices":[{"index":0,"message":{"content":"x"},"logprobs":{"content":[{"logprob":-0.10}]}},{"logprobs":null}]}"#
            ),
            Some(json!({"id":"a","choices":[{"index":0,"message":{"content":"x"},
                "logprobs":"{\"content\":[{\"logprob\":-0.10}]}"},{"logprobs":null}]}))
        );
        assert_eq!(read(r#"{"error":{"code":500}}"#), Some(json!({"error":{"code":500}})));
        for nonsense in ["[]", r#"{"choices":[1]}"#, r#"{"choices":[{"logprobs":{"content":[}}]}"#, "<html>"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
