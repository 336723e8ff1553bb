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
