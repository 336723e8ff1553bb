//! A call again, as a command for a shell: where it was made, with what was asked where that is stored and may be seen.

use serde_json::{Map, Value, json};

use crate::activity::Detail;
use crate::catalog::{Catalog, Task};
use crate::privacy::Seen;

/// A shell on Linux takes an argument of at most 128 KiB.
const MAX_BODY: usize = 100_000;

const CHAT: &str = "/chat/completions";
const COMPLETIONS: &str = "/completions";
const RESPONSES: &str = "/responses";
const MESSAGES: &str = "/messages";
const EMBEDDINGS: &str = "/embeddings";
const RERANK: &str = "/rerank";

/// What is sent, and where to.
pub struct Again {
    path: &'static str,
    body: Value,
    note: &'static str,
}

impl Again {
    /// `seen` is what is stored of it, for whoever may read that.
    pub fn of(call: &Detail, catalog: &Catalog, seen: Option<&Seen>) -> Again {
        let path = path(call, catalog);
        match seen.map(|seen| stored(call, seen)) {
            Some(Some(body)) => Again {
                // What is stored is what was routed: texts of other languages are a chat by then.
                path: if matches!(path, EMBEDDINGS | RERANK) { path } else { CHAT },
                body: Value::Object(body),
                note: "With what was asked, as it is stored: with what presets added.",
            },
            Some(None) => Again {
                body: placeholder(path, call),
                path,
                note: "The text is a placeholder: what was asked is too long for a command.",
            },
            None => Again { body: placeholder(path, call), path, note: "The text is a placeholder." },
        }
    }

    /// `base` is where the API is. The key stands nowhere; it is a variable of the shell.
    pub fn command(&self, base: &str) -> String {
        // In single quotes a shell takes everything as it stands, but for the quote itself.
        let body = self.body.to_string().replace('\'', "'\\''");
        format!(
            "curl {base}{} \\\n  -H \"Authorization: Bearer $FAREBOX_KEY\" \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'",
            self.path
        )
    }

    pub const fn note(&self) -> &'static str {
        self.note
    }
}

/// Each try says in which language the call was made, but for a chat. A call that nobody was asked for had no try, and one
/// of an earlier version says nothing; a model does one thing, so it still tells the most of it.
fn path(call: &Detail, catalog: &Catalog) -> &'static str {
    let told = call.attempts.get(0).and_then(|tried| tried.get("api")).and_then(Value::as_str);
    let model = if call.model.is_empty() { &call.model_asked } else { &call.model };
    match (told, catalog.model(model).map(|listed| listed.model.task())) {
        (Some("completions"), _) => COMPLETIONS,
        (Some("responses"), _) => RESPONSES,
        (Some("messages"), _) => MESSAGES,
        (Some("embeddings"), _) | (_, Some(Task::Embed)) => EMBEDDINGS,
        (Some("rerank"), _) | (_, Some(Task::Rerank)) => RERANK,
        _ => CHAT,
    }
}

/// What was asked; `None` where it was cut off, or is too long for a command.
fn stored(call: &Detail, seen: &Seen) -> Option<Map<String, Value>> {
    // What was cut off is no JSON any more.
    let Ok(Value::Object(mut body)) = serde_json::from_str(&seen.request) else { return None };
    if call.streamed {
        body.insert("stream".to_owned(), true.into());
    }
    (seen.request.len() <= MAX_BODY).then_some(body)
}

fn placeholder(path: &str, call: &Detail) -> Value {
    let mut body = json!({ "model": call.model_asked });
    let more = match path {
        COMPLETIONS => json!({ "prompt": "Hello" }),
        RESPONSES => json!({ "input": "Hello" }),
        MESSAGES => json!({ "max_tokens": 1024, "messages": [{ "role": "user", "content": "Hello" }] }),
        EMBEDDINGS => json!({ "input": "Hello" }),
        RERANK => json!({ "query": "Hello", "documents": ["Good morning", "Good night"] }),
        _ => json!({ "messages": [{ "role": "user", "content": "Hello" }] }),
    };
    if !matches!(path, EMBEDDINGS | RERANK) {
        body["stream"] = call.streamed.into();
    }
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}
