//! The messages of a conversation as the provider that is asked takes them. Pure.

use serde_json::{Map, Value, json};

/// What Google takes for the signature of a call of a tool that another model has made
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";
/// What was thought in a turn, by the name that DeepSeek has for it.
const THOUGHT: &str = "reasoning_content";

/// Messages that this provider takes; `None` where it takes them as they are.
pub(super) fn fitted(slug: &str, model: &str, messages: &Value) -> Option<Value> {
    let messages = messages.as_array()?;
    let signs = slug == "google" && model.contains("gemini-3");
    let (thinks, unknown, names) = (slug == "deepseek", unknown(slug), names_developers(slug));
    let is_developer = |role: Option<&Value>| role.and_then(Value::as_str) == Some("developer");
    let is_foreign = |message: &Value| {
        let calls = (signs || thinks) && message.get("tool_calls").is_some();
        calls || unknown.iter().any(|name| message.get(name).is_some()) || (!names && is_developer(message.get("role")))
    };
    if !messages.iter().any(is_foreign) {
        return None;
    }
    let mut messages = messages.clone();
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        if !names && is_developer(message.get("role")) {
            message.insert("role".into(), "system".into());
        }
        if signs {
            sign(message);
        }
        if thinks {
            recall(message);
        }
        for name in unknown {
            message.shift_remove(*name);
        }
    }
    Some(Value::Array(messages))
}

/// Whether a provider knows the role that OpenAI has instead of `system`. Others know that one only.
fn names_developers(slug: &str) -> bool {
    matches!(slug, "openai" | "openrouter") || slug.starts_with("azure")
}

/// Where what was thought before may stand, and this provider does not know it. Groq, Cerebras and Mistral refuse a message
/// with any field that they do not know.
fn unknown(slug: &str) -> &'static [&'static str] {
    match slug {
        "deepseek" => &["reasoning", "reasoning_details"],
        "groq" | "cerebras" => &[THOUGHT, "reasoning_details"],
        "mistral" => &[THOUGHT, "reasoning", "reasoning_details"],
        _ => &[],
    }
}

/// Gemini 3 refuses a conversation in which the first call of a tool in a turn has no signature. The languages that know
/// none lose it, and other models give none.
fn sign(message: &mut Map<String, Value>) {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    let first = calls.and_then(|calls| calls.first_mut()).and_then(Value::as_object_mut);
    if let Some(call) = first.filter(|call| !call.contains_key("extra_content")) {
        call.insert("extra_content".into(), json!({ "google": { "thought_signature": NO_SIGNATURE } }));
    }
}

/// DeepSeek refuses a turn that called tools without what it thought in it (<https://api-docs.deepseek.com/guides/thinking_mode>).
/// Clients send that back under the names that they have got it by. A model that thought nothing has nothing to send back.
fn recall(message: &mut Map<String, Value>) {
    if message.get("role") != Some(&json!("assistant")) || message.get(THOUGHT).is_some_and(Value::is_string) {
        return;
    }
    let thought = match message.get("reasoning").and_then(Value::as_str).filter(|thought| !thought.is_empty()) {
        Some(thought) => thought.to_owned(),
        None => {
            let details = message.get("reasoning_details").and_then(Value::as_array);
            details.into_iter().flatten().filter_map(|detail| detail.get("text")?.as_str()).collect()
        }
    };
    if !thought.is_empty() || message.contains_key("tool_calls") {
        message.insert(THOUGHT.into(), thought.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_tool_without_a_signature_gets_one_for_gemini_3() {
        let messages = json!([{"role":"assistant","tool_calls":[{"id":"1"},{"id":"2"}]},
            {"role":"assistant","tool_calls":[{"id":"3","extra_content":{"google":{"thought_signature":"s"}}}]}]);
        let mut wanted = messages.clone();
        wanted[0]["tool_calls"][0]["extra_content"] = json!({"google":{"thought_signature":NO_SIGNATURE}});
        assert_eq!(fitted("google", "gemini-3.1-pro-preview", &messages), Some(wanted));
        assert_eq!(fitted("google", "gemini-2.5-pro", &messages), None);
        assert_eq!(fitted("openai", "gemini-3.1-pro-preview", &messages), None);
    }

    #[test]
    fn deepseek_gets_what_it_thought_under_its_own_name() {
        let calls = json!([{"id":"1"}]);
        let details = json!([{"type":"reasoning.text","text":"a"},{"type":"reasoning.text","text":"b"}]);
        let messages = json!([
            {"role":"user","content":"x"},
            {"role":"assistant","content":null,"reasoning":"hm","reasoning_details":details,"tool_calls":calls},
            {"role":"assistant","content":null,"reasoning_details":details,"tool_calls":calls},
            {"role":"assistant","content":"y","reasoning_content":"own","reasoning":"other"},
            {"role":"assistant","content":null,"tool_calls":calls},
            {"role":"assistant","content":"z"},
        ]);
        let wanted = json!([
            {"role":"user","content":"x"},
            {"role":"assistant","content":null,"tool_calls":calls,"reasoning_content":"hm"},
            {"role":"assistant","content":null,"tool_calls":calls,"reasoning_content":"ab"},
            {"role":"assistant","content":"y","reasoning_content":"own"},
            {"role":"assistant","content":null,"tool_calls":calls,"reasoning_content":""},
            {"role":"assistant","content":"z"},
        ]);
        assert_eq!(fitted("deepseek", "deepseek-v4-pro", &messages), Some(wanted));
        assert_eq!(fitted("fireworks", "deepseek-v4-pro", &messages), None, "others pass as they are");
    }
    #[test]
    fn thoughts_go_to_nobody_who_refuses_them() {
        let all =
            json!([{"role":"assistant","content":"y","reasoning_content":"a","reasoning":"a","reasoning_details":[]}]);
        let left = |slug: &str| fitted(slug, "up", &all);
        assert_eq!(left("mistral"), Some(json!([{"role":"assistant","content":"y"}])));
        assert_eq!(left("groq"), Some(json!([{"role":"assistant","content":"y","reasoning":"a"}])));
        assert_eq!(left("openrouter"), None);
    }
    #[test]
    fn a_developer_is_the_system_where_nobody_knows_the_role() {
        let messages = json!([{"role":"developer","content":"be brief"},{"role":"user","content":"x"}]);
        let wanted = json!([{"role":"system","content":"be brief"},{"role":"user","content":"x"}]);
        for slug in ["deepseek", "mistral", "my-server"] {
            assert_eq!(fitted(slug, "up", &messages), Some(wanted.clone()), "{slug}");
        }
        for slug in ["openai", "openrouter", "azure", "azure-eu"] {
            assert_eq!(fitted(slug, "up", &messages), None, "{slug}");
        }
    }
}
