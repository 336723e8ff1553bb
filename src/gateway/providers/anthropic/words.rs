//! The client's own words, as the model that is asked takes them. Pure.

use serde_json::{Map, Value, json};

use super::request::{MIN_THINKING, SAMPLING, max_tokens, thinks_by_itself, upstream_model};
use crate::gateway::dialect::messages::{Words, same_words};
use crate::gateway::providers::Question;

/// The request in the client's own words, of which nothing is lost in translation.
pub(super) fn words(question: &Question<'_>, words: &Words) -> Value {
    let model = upstream_model(question);
    let longest = max_tokens(question);
    let mut out = same_words(&words.body, model, longest, question.stream);
    if let Some(fields) = out.as_object_mut() {
        if thinks_by_itself(model) {
            adapted(fields);
        } else {
            within(longest, fields);
        }
    }
    out
}

/// Thoughts are held for within the length of the answer. With interleaved thinking a larger budget would be that length
/// (<https://platform.claude.com/docs/en/build-with-claude/extended-thinking>).
fn within(longest: u64, fields: &mut Map<String, Value>) {
    let budget = |thinking: &Value| thinking.get("budget_tokens").and_then(Value::as_u64);
    if fields.get("thinking").and_then(budget).is_none_or(|budget| budget < longest) {
        return;
    }
    if longest <= MIN_THINKING {
        fields.shift_remove("thinking");
    } else if let Some(thinking) = fields.get_mut("thinking").and_then(Value::as_object_mut) {
        thinking.insert("budget_tokens".into(), (longest - 1).into());
    }
}

/// A model that decides itself how much it thinks refuses a budget for it, and how words are drawn.
fn adapted(fields: &mut Map<String, Value>) {
    for name in SAMPLING {
        fields.shift_remove(name);
    }
    let Some(thinking) = fields.get_mut("thinking").and_then(Value::as_object_mut) else { return };
    if thinking.get("type") == Some(&json!("enabled")) {
        thinking.shift_remove("budget_tokens");
        thinking.insert("type".into(), "adaptive".into());
        // With a budget, thoughts are shown unless it is said otherwise.
        thinking.entry("display").or_insert_with(|| "summarized".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::providers::tests::question;
    use crate::routing::tests::{candidate, offer};

    fn sent(model: &str, asked: &Value) -> Value {
        sent_within(model, asked, 9_000)
    }

    fn sent_within(model: &str, asked: &Value, longest: u64) -> Value {
        let mut offer = offer("a/b", "anthropic", "1", "2");
        offer.endpoint.upstream_model = model.into();
        let candidate = candidate(offer);
        let asked = Words { body: asked.as_object().cloned().unwrap_or_default(), ..Words::default() };
        let body = Map::new();
        let question = Question { cap: Some(longest), words: Some(&asked), ..question(&candidate, &body) };
        words(&question, &asked)
    }

    #[test]
    fn no_more_is_thought_than_is_held_for() {
        for (longest, budget, sent_budget) in [
            (9_000, 2_048, Some(2_048)),
            (9_000, 60_000, Some(8_999)),
            (1_025, 60_000, Some(1_024)),
            (1_024, 60_000, None),
        ] {
            let asked = json!({"messages":[],"thinking":{"type":"enabled","budget_tokens":budget}});
            let sent = sent_within("claude-haiku-4-5", &asked, longest);
            let told = sent.pointer("/thinking/budget_tokens").and_then(Value::as_u64);
            assert_eq!(told, sent_budget, "{longest} {budget}");
            assert_eq!(sent.get("thinking").is_some(), sent_budget.is_some());
        }
    }

    #[test]
    fn a_model_that_thinks_by_itself_gets_no_budget_and_no_temperature() {
        let asked = json!({"messages":[],"temperature":0,"top_p":1,"top_k":3,
            "thinking":{"type":"enabled","budget_tokens":2048}});
        let mut plain = json!({"model":"claude-sonnet-4-6","max_tokens":9000});
        for (name, value) in asked.as_object().expect("an object") {
            plain[name] = value.clone();
        }
        assert_eq!(sent("claude-sonnet-4-6", &asked), plain);
        assert_eq!(
            sent("claude-sonnet-5-5", &asked),
            json!({"model":"claude-sonnet-5-5","max_tokens":9000,"messages":[],
                "thinking":{"type":"adaptive","display":"summarized"}})
        );
        for thinking in
            [json!({"type":"adaptive"}), json!({"type":"disabled"}), json!({"type":"adaptive","display":"omitted"})]
        {
            let told = sent("claude-sonnet-5-5", &json!({"messages":[],"thinking":thinking}));
            assert_eq!(told["thinking"], thinking);
        }
    }
}
