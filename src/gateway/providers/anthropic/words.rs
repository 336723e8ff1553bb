//! The client's own words, as the model that is asked takes them. Pure.

use serde_json::{Map, Value, json};

use super::request::{SAMPLING, max_tokens, thinks_by_itself, upstream_model};
use crate::gateway::dialect::messages::{Words, same_words};
use crate::gateway::providers::Question;

/// The request in the client's own words, of which nothing is lost in translation.
pub(super) fn words(question: &Question<'_>, words: &Words) -> Value {
    let model = upstream_model(question);
    let mut out = same_words(&words.body, model, max_tokens(question), question.stream);
    if let Some(fields) = out.as_object_mut().filter(|_| thinks_by_itself(model)) {
        adapted(fields);
    }
    out
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
    use crate::catalog::Task;
    use crate::routing::tests::{candidate, offer};

    fn sent(model: &str, asked: &Value) -> Value {
        let mut offer = offer("a/b", "anthropic", "1", "2");
        offer.endpoint.upstream_model = model.into();
        let candidate = candidate(offer);
        let asked = Words { body: asked.as_object().cloned().unwrap_or_default(), ..Words::default() };
        let body = Map::new();
        let question = Question {
            candidate: &candidate,
            body: &body,
            added: &[],
            cap: Some(9),
            longest: 100,
            stream: false,
            task: Task::Answer,
            words: Some(&asked),
        };
        words(&question, &asked)
    }

    #[test]
    fn a_model_that_thinks_by_itself_gets_no_budget_and_no_temperature() {
        let asked = json!({"messages":[],"temperature":0,"top_p":1,"top_k":3,
            "thinking":{"type":"enabled","budget_tokens":2048}});
        let mut plain = json!({"model":"claude-sonnet-4-6","max_tokens":9});
        for (name, value) in asked.as_object().expect("an object") {
            plain[name] = value.clone();
        }
        assert_eq!(sent("claude-sonnet-4-6", &asked), plain);
        assert_eq!(
            sent("claude-sonnet-5-5", &asked),
            json!({"model":"claude-sonnet-5-5","max_tokens":9,"messages":[],
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
