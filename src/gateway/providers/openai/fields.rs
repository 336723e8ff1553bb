//! Fields that are left out of a question: those that say nothing where others are missing, and for which OpenAI refuses the
//! call, and wishes of the client where nobody knows them. Pure.

use serde_json::Value;

use crate::gateway::providers::Question;

/// What is said of tools, without which it means nothing.
const OF_TOOLS: [&str; 3] = ["tools", "tool_choice", "parallel_tool_calls"];
/// Notes that OpenAI keeps with an answer that it stores.
const NOTES: &str = "metadata";
/// How a cache is found again. Many programs send it with every call, and some providers refuse what they do not know.
const CACHE: [&str; 2] = ["prompt_cache_key", "prompt_cache_retention"];
/// How much is written, where the model can be told.
const VERBOSITY: &str = "verbosity";

/// Fields that are left out of this question.
#[derive(Clone, Copy)]
pub(super) struct LeftOut {
    tools: bool,
    notes: bool,
    cache: bool,
    verbosity: bool,
}

impl LeftOut {
    pub(super) fn of(question: &Question<'_>) -> LeftOut {
        let lists = |value: &Value| value.as_array().is_none_or(|tools| !tools.is_empty());
        let has_tools = question.fields().any(|(name, value)| name == "tools" && !value.is_null() && lists(value));
        let is_stored = question.body.get("store") == Some(&Value::Bool(true));
        let slug = question.candidate.provider_slug();
        let takes_wishes = slug == "openai" || !is_shipped(slug);
        let known = &question.candidate.offer().endpoint.supported_parameters;
        LeftOut {
            tools: !has_tools,
            notes: slug == "openai" && !is_stored,
            cache: !takes_wishes,
            verbosity: !takes_wishes && !known.iter().any(|name| name == VERBOSITY),
        }
    }

    pub(super) fn has(self, name: &str) -> bool {
        (self.tools && OF_TOOLS.contains(&name))
            || (self.notes && name == NOTES)
            || (self.cache && CACHE.contains(&name))
            || (self.verbosity && name == VERBOSITY)
    }
}

/// Whether a provider is one of this language that the catalog comes with, of which it is known what they take. An operator's
/// own may be a router, or OpenAI's models elsewhere.
pub(super) fn is_shipped(slug: &str) -> bool {
    const SHIPPED: [&str; 10] =
        ["openai", "google", "mistral", "deepseek", "groq", "xai", "together", "fireworks", "deepinfra", "cerebras"];
    SHIPPED.contains(&slug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Offer;
    use crate::gateway::providers::tests::question;
    use crate::routing::tests::{candidate, offer};
    use serde_json::json;

    fn of(offer: Offer, body: &Value, added: &[String]) -> LeftOut {
        let candidate = candidate(offer);
        let body = body.as_object().cloned().unwrap_or_default();
        LeftOut::of(&Question { added, ..question(&candidate, &body) })
    }

    fn left_out(slug: &str, body: &Value, added: &[String]) -> Vec<&'static str> {
        let left_out = of(offer("a/b", slug, "1", "2"), body, added);
        OF_TOOLS.into_iter().chain([NOTES]).filter(|name| left_out.has(name)).collect()
    }

    #[test]
    fn what_is_said_of_tools_is_left_out_where_there_are_none() {
        let f = json!({"type":"function","function":{"name":"f"}});
        for (body, added, is_left_out) in [
            (json!({"tool_choice":"auto","parallel_tool_calls":false}), vec![], true),
            (json!({"tools":[],"tool_choice":"auto"}), vec![], true),
            (json!({"tools":null,"tool_choice":"auto"}), vec![], true),
            (json!({"tools":[f],"tool_choice":"auto"}), vec![], false),
            // A preset has added them, and nobody there knows any.
            (json!({"tools":[f],"tool_choice":"auto"}), vec!["tools".to_owned()], true),
            // What is wrong is for the provider to say.
            (json!({"tools":{"f":1}}), vec![], false),
        ] {
            let wanted: &[&str] = if is_left_out { &OF_TOOLS } else { &[] };
            assert_eq!(left_out("groq", &body, &added), wanted, "{body}");
        }
    }

    #[test]
    fn openai_gets_notes_for_what_it_stores_only() {
        let f = json!({"type":"function","function":{"name":"f"}});
        let body = |store: Value| json!({"tools":[f],"store":store,"metadata":{"a":"b"}});
        assert_eq!(left_out("openai", &body(json!(null)), &[]), [NOTES]);
        assert_eq!(left_out("openai", &body(json!(false)), &[]), [NOTES]);
        assert!(left_out("openai", &body(json!(true)), &[]).is_empty());
        assert!(left_out("groq", &body(json!(null)), &[]).is_empty());
    }

    #[test]
    fn wishes_go_to_those_who_know_them() {
        let wishes = || CACHE.into_iter().chain([VERBOSITY]);
        let body = json!({"prompt_cache_key":"k","prompt_cache_retention":"24h","verbosity":"low"});
        let known = ["openai", "openrouter", "azure", "my-server"].map(|slug| (slug, true));
        for (slug, is_known) in known.into_iter().chain([("groq", false), ("cerebras", false)]) {
            let left_out = of(offer("a/b", slug, "1", "2"), &body, &[]);
            assert!(wishes().all(|name| left_out.has(name) != is_known), "{slug}");
        }
        let mut listed = offer("a/b", "together", "1", "2");
        listed.endpoint.supported_parameters.push(VERBOSITY.to_owned());
        let left_out = of(listed, &body, &[]);
        assert!(!left_out.has(VERBOSITY) && left_out.has("prompt_cache_key"), "the catalog says that it knows it");
    }
}
