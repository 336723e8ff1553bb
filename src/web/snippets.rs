//! Pieces of code that make a first call, filled with this instance's address.

use super::views::{Snippet, Snippets};

/// Stands in examples where a reader puts their own key.
pub const KEY_PLACEHOLDER: &str = "YOUR_KEY";
/// Stands in examples while no model can be called.
pub const MODEL_PLACEHOLDER: &str = "AUTHOR/MODEL";

/// What an example needs to know.
#[derive(Clone, Copy)]
pub struct Example<'a> {
    /// Where the API is, such as `https://ai.example.com/api/v1`.
    pub base_url: &'a str,
    pub key: &'a str,
    pub model: &'a str,
}

impl Example<'_> {
    /// The call in three languages.
    #[must_use]
    pub fn languages(&self) -> Snippets {
        Snippets { label: "Language".into(), items: self.calls() }
    }

    /// The call in three languages, and what to enter in programs that people use.
    #[must_use]
    pub fn languages_and_programs(&self) -> Snippets {
        let items = self.calls().into_iter().chain(self.programs()).collect();
        Snippets { label: "Language or program".into(), items }
    }

    fn calls(&self) -> Vec<Snippet> {
        let Example { base_url, key, model } = self;
        let curl = format!(
            r#"curl {base_url}/chat/completions \
  -H "Authorization: Bearer {key}" \
  -H "Content-Type: application/json" \
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Say hello."}}]}}'"#
        );
        let python = format!(
            r#"from openai import OpenAI

client = OpenAI(base_url="{base_url}", api_key="{key}")
answer = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "Say hello."}}],
)
print(answer.choices[0].message.content)"#
        );
        let javascript = format!(
            r#"import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{base_url}", apiKey: "{key}" }});
const answer = await client.chat.completions.create({{
  model: "{model}",
  messages: [{{ role: "user", content: "Say hello." }}],
}});
console.log(answer.choices[0].message.content);"#
        );
        vec![
            snippet("curl", "curl", curl),
            snippet("python", "Python", python),
            snippet("javascript", "JavaScript", javascript),
        ]
    }

    fn programs(&self) -> Vec<Snippet> {
        let Example { base_url, key, model } = self;
        // Of each program, the way in that takes any address.
        vec![
            snippet(
                "lobechat",
                "LobeChat",
                format!("Provider: OpenAI\nAPI key: {key}\nAPI proxy URL: {base_url}\nModel: {model}"),
            ),
            snippet(
                "chatbox",
                "Chatbox",
                format!(
                    "Provider: add a custom one, OpenAI API compatible\nAPI host: {base_url}\nAPI path: /chat/completions\nAPI key: {key}\nModel: {model}"
                ),
            ),
            snippet(
                "ai-engine",
                "AI Engine",
                format!(
                    "Environment type: Custom (OpenAI compatible)\nEndpoint: {base_url}\nAPI key: {key}\nModel: {model}"
                ),
            ),
            snippet(
                "open-webui",
                "Open WebUI",
                format!("Connection: OpenAI API\nURL: {base_url}\nKey: {key}\nModel ID: {model}"),
            ),
            snippet(
                "continue",
                "Continue",
                format!(
                    "models:\n  - name: {model}\n    provider: openai\n    model: {model}\n    apiBase: {base_url}\n    apiKey: {key}"
                ),
            ),
        ]
    }
}

fn snippet(id: &str, title: &str, code: String) -> Snippet {
    Snippet { id: format!("snippet-{id}"), title: title.into(), code }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: Example<'_> =
        Example { base_url: "https://ai.example.com/api/v1", key: "sk-fb-v1-abc", model: "openai/gpt-5-mini" };

    #[test]
    fn every_program_is_given_the_address_a_key_and_a_model_where_it_asks_for_them() {
        let all = EXAMPLE.languages_and_programs().items;
        let ids: Vec<&str> = all.iter().map(|one| one.id.trim_start_matches("snippet-")).collect();
        let expected = ["curl", "python", "javascript", "lobechat", "chatbox", "ai-engine", "open-webui", "continue"];
        assert_eq!(ids, expected);
        // Of each, the lines in which it takes what it needs, in its own words.
        let lines: [&[&str]; 8] = [
            &[
                "curl https://ai.example.com/api/v1/chat/completions \\",
                "  -H \"Authorization: Bearer sk-fb-v1-abc\" \\",
            ],
            &["client = OpenAI(base_url=\"https://ai.example.com/api/v1\", api_key=\"sk-fb-v1-abc\")"],
            &["const client = new OpenAI({ baseURL: \"https://ai.example.com/api/v1\", apiKey: \"sk-fb-v1-abc\" });"],
            &["API proxy URL: https://ai.example.com/api/v1", "API key: sk-fb-v1-abc", "Model: openai/gpt-5-mini"],
            &["API host: https://ai.example.com/api/v1", "API path: /chat/completions", "API key: sk-fb-v1-abc"],
            &["Endpoint: https://ai.example.com/api/v1", "API key: sk-fb-v1-abc", "Model: openai/gpt-5-mini"],
            &["URL: https://ai.example.com/api/v1", "Key: sk-fb-v1-abc", "Model ID: openai/gpt-5-mini"],
            &[
                "    provider: openai",
                "    model: openai/gpt-5-mini",
                "    apiBase: https://ai.example.com/api/v1",
                "    apiKey: sk-fb-v1-abc",
            ],
        ];
        for (snippet, lines) in all.iter().zip(lines) {
            for line in lines {
                assert!(snippet.code.lines().any(|one| one == *line), "{}: {line}\n{}", snippet.title, snippet.code);
            }
            assert!(snippet.code.contains(EXAMPLE.model), "{}", snippet.title);
        }
    }

    #[test]
    fn what_a_command_sends_is_json() {
        let all = EXAMPLE.languages().items;
        let (_, body) = all[0].code.split_once("-d '").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body.trim_end_matches('\'')).expect("JSON");
        assert_eq!(body["model"], EXAMPLE.model);
    }
}
