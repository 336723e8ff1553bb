//! The client's own words for an upstream that speaks the same. Pure.

use serde_json::{Map, Value};

use super::super::text;
use crate::gateway::wire::shorten;

/// Fields that the model is asked with. Everything else speaks to the router, or chooses what runs at the provider at a
/// price that is not in the catalog.
const PASSED: [&str; 12] = [
    "messages",
    "system",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "metadata",
    "output_config",
    "cache_control",
];

/// A request as its client wrote it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    pub body: Map<String, Value>,
    /// The betas that it needs, as the value of a header; empty for none.
    pub betas: String,
}

/// The request with the model, the length and the way of answering that the router has decided.
pub(in crate::gateway) fn same_words(words: &Map<String, Value>, model: &str, max_tokens: u64, stream: bool) -> Value {
    let mut out = Map::new();
    out.insert("model".into(), model.into());
    out.insert("max_tokens".into(), max_tokens.into());
    for name in PASSED {
        if let Some(value) = words.get(name).filter(|value| !value.is_null()) {
            out.insert(name.into(), value.clone());
        }
    }
    if let Some(Value::Array(turns)) = out.get_mut("messages") {
        leave_out_unsigned(turns);
    }
    if stream {
        out.insert("stream".into(), true.into());
    }
    let mut out = Value::Object(out);
    shorten(&mut out);
    out
}

/// What another model thought in this conversation is not signed, and refused. A turn of nothing else is left out with it.
fn leave_out_unsigned(turns: &mut Vec<Value>) {
    let is_signed = |block: &Value| text(block, "signature").is_some_and(|signature| !signature.is_empty());
    turns.retain_mut(|turn| {
        let Some(Value::Array(blocks)) = turn.get_mut("content") else { return true };
        let before = blocks.len();
        blocks.retain(|block| text(block, "type") != Some("thinking") || is_signed(block));
        before == blocks.len() || !blocks.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_pass_and_what_costs_more_does_not() {
        let words = json!({"model":"a/b","max_tokens":9,"stream":false,"provider":{"order":["x"]},"service_tier":"auto",
            "speed":"fast","messages":[{"role":"user","content":[{"type":"text","text":"hi",
                "cache_control":{"type":"ephemeral","ttl":"1h"}}]}],"thinking":{"type":"adaptive"},"top_k":null,
            "cache_control":{"type":"ephemeral","ttl":"1h"}});
        let words = words.as_object().cloned().unwrap_or_default();
        assert_eq!(
            same_words(&words, "up", 5, true),
            json!({"model":"up","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"hi",
                "cache_control":{"type":"ephemeral"}}]}],"thinking":{"type":"adaptive"},"stream":true,
                "cache_control":{"type":"ephemeral"}})
        );
    }
    #[test]
    fn what_another_model_thought_stays_behind() {
        let thought = |signature: &str| json!({"type":"thinking","thinking":"hm","signature":signature});
        let said = json!({"type":"text","text":"hi"});
        let words = json!({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[thought("")]},
            {"role":"assistant","content":[thought(""),said,{"type":"thinking","thinking":"hm"},thought("s")]}]});
        let words = words.as_object().cloned().unwrap_or_default();
        assert_eq!(
            same_words(&words, "up", 5, false)["messages"],
            json!([{"role":"user","content":"x"},{"role":"assistant","content":[said,thought("s")]}])
        );
    }
}
