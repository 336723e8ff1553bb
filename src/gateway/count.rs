//! Counting tokens here, where an upstream did not.

use serde_json::{Map, Value};
use tokio::runtime::Handle;

/// The tokenizer takes a time that grows faster than its text where there are no spaces, so it gets pieces.
const PIECE: usize = 1_024;
/// Of a longer text a part is counted and the rest taken to be alike.
const MAX_COUNTED: usize = 2 * 1_024 * 1_024;
/// What a tokenizer adds around each message, and once around all.
const PER_MESSAGE: u64 = 4;
const PER_PROMPT: u64 = 3;
/// Documents that one unit of a search pays for, at the providers that charge by it.
pub(super) const DOCUMENTS_PER_UNIT: u64 = 100;
/// Base64 bytes of sound for a token: ten tokens a second at the rate of a usual MP3.
const AUDIO_BYTES_PER_TOKEN: u64 = 2_048;
/// Tokens of one image where nobody said how many; the price of a large image at most providers.
pub(super) const PER_IMAGE: u64 = 1_100;

/// Tokens of a text, counted off the threads that answer requests: the first use loads a vocabulary.
/// Never fails: should the tokenizer do, four bytes are a token.
pub(super) async fn count_text(handle: &Handle, text: String) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let fallback = tokens_of_bytes(text.len());
    handle.spawn_blocking(move || count(&text)).await.unwrap_or(fallback)
}

/// Tokens of a prompt.
pub(super) async fn count_prompt(handle: &Handle, body: &Map<String, Value>) -> u64 {
    let mut seen = Prompt::default();
    seen.visit(body);
    // Each document is read together with the question.
    let documents = body.get("documents").and_then(Value::as_array).map_or(0, Vec::len);
    let query = body.get("query").and_then(Value::as_str).filter(|_| documents > 0).unwrap_or_default();
    let asked = count_text(handle, query.to_owned()).await.saturating_mul(u64::try_from(documents).unwrap_or(u64::MAX));
    let fixed = asked + seen.messages * PER_MESSAGE + PER_PROMPT + seen.images * PER_IMAGE + seen.tokens;
    count_text(handle, seen.text).await + fixed
}

/// Units of a search, where the provider did not say.
pub(super) fn search_units(documents: usize) -> u64 {
    u64::try_from(documents).unwrap_or(u64::MAX).div_ceil(DOCUMENTS_PER_UNIT).max(1)
}

#[derive(Default)]
struct Prompt {
    text: String,
    messages: u64,
    images: u64,
    /// Tokens that were sent as such, and those of sound.
    tokens: u64,
}

impl Prompt {
    fn visit(&mut self, body: &Map<String, Value>) {
        for message in body.get("messages").and_then(Value::as_array).into_iter().flatten() {
            self.messages += 1;
            self.message(message);
        }
        for name in ["tools", "functions", "response_format", "prediction"] {
            if let Some(value) = body.get(name) {
                self.text.push_str(&value.to_string());
            }
        }
        if let Some(input) = body.get("input") {
            self.input(input);
        }
        for document in body.get("documents").and_then(Value::as_array).into_iter().flatten() {
            match document {
                Value::Object(fields) => {
                    for (name, words) in fields.iter().filter(|(name, words)| *name != "image" || !words.is_string()) {
                        self.text.push_str(name);
                        self.document(words);
                    }
                }
                words => self.document(words),
            }
            self.images += u64::from(document.get("image").is_some());
        }
    }

    /// Wherever a message has words, they are read.
    fn message(&mut self, message: &Value) {
        // One thought may stand there under several names.
        let mut thought = String::new();
        for (name, value) in message.as_object().into_iter().flatten() {
            match (name.as_str(), value) {
                ("role" | "tool_call_id", _) | (_, Value::Null | Value::Bool(_) | Value::Number(_)) => {}
                ("images", Value::Array(images)) => self.images += u64::try_from(images.len()).unwrap_or(u64::MAX),
                // What is no text is no text in its letters either.
                ("audio" | "annotations", _) => {}
                ("content", Value::Array(parts)) => parts.iter().for_each(|part| self.part(part)),
                ("reasoning" | "reasoning_content" | "reasoning_details", value) => {
                    let told = thought_of(value);
                    if told.len() > thought.len() {
                        thought = told;
                    }
                }
                (_, Value::String(text)) => self.text.push_str(text),
                (_, value) => self.text.push_str(&value.to_string()),
            }
        }
        self.text.push_str(&thought);
    }

    fn input(&mut self, input: &Value) {
        match (input, input.get("content")) {
            (Value::Number(_), _) => self.tokens += 1,
            (Value::String(text), _) => {
                self.text.push_str(text);
                self.text.push('\n');
            }
            // As deep as a list of lists of tokens at most; deeper ones were refused.
            (Value::Array(list), _) => list.iter().for_each(|one| self.input(one)),
            (_, Some(Value::Array(parts))) => parts.iter().for_each(|part| self.part(part)),
            _ => {}
        }
    }

    fn document(&mut self, words: &Value) {
        match words {
            Value::String(text) => self.text.push_str(text),
            words => self.text.push_str(&words.to_string()),
        }
        self.text.push('\n');
    }

    fn part(&mut self, part: &Value) {
        if let Some(Value::String(text)) = part.get("text") {
            self.text.push_str(text);
        } else if part.get("type").and_then(Value::as_str).is_some_and(|kind| kind.contains("image")) {
            self.images += 1;
        } else if let Some(Value::String(data)) = part.get("input_audio").and_then(|audio| audio.get("data")) {
            self.tokens += u64::try_from(data.len()).unwrap_or(u64::MAX) / AUDIO_BYTES_PER_TOKEN + 1;
        }
    }
}

/// A thought as a text, or as parts of which some are for the provider's own eyes.
fn thought_of(value: &Value) -> String {
    let Value::Array(parts) = value else { return value.as_str().unwrap_or_default().to_owned() };
    let words = |part: &Value| {
        let words = part.get("text").or_else(|| part.get("summary")).and_then(Value::as_str);
        words.unwrap_or_default().to_owned()
    };
    parts.iter().map(words).collect()
}

fn count(text: &str) -> u64 {
    let tokenizer = tiktoken_rs::o200k_base_singleton();
    let (mut rest, mut total, mut counted) = (text, 0_usize, 0_usize);
    while !rest.is_empty() && counted < MAX_COUNTED {
        let (piece, after) = rest.split_at(piece_end(rest));
        total += tokenizer.count_ordinary(piece);
        counted += piece.len();
        rest = after;
    }
    u64::try_from(total.saturating_mul(text.len()) / counted.max(1)).unwrap_or(u64::MAX)
}

/// Where to cut: before the last space within the limit, so that words stay whole; else between characters.
fn piece_end(text: &str) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let end = (0..=PIECE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    let head = text.get(..end).unwrap_or(text);
    head.rfind(' ').filter(|at| *at > 0).unwrap_or(end)
}

fn tokens_of_bytes(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn words_and_prompts_are_counted() {
        let handle = Handle::current();
        assert_eq!(count_text(&handle, String::new()).await, 0);
        assert_eq!(count_text(&handle, "Hello, world!".into()).await, 4);
        let body = json!({"messages":[{"role":"user","content":"Hello, world!"}]});
        let Value::Object(body) = body else { return };
        assert_eq!(count_prompt(&handle, &body).await, 4 + PER_MESSAGE + PER_PROMPT);
    }

    #[tokio::test]
    async fn words_count_wherever_a_message_has_them() {
        let handle = Handle::current();
        let words = "Hello, world!";
        for message in [
            json!({"content":words}),
            json!({"content":[{"type":"text","text":words}]}),
            json!({"content":null,"refusal":words}),
            json!({"content":null,"reasoning_content":words}),
            json!({"reasoning":words,"reasoning_content":words,"reasoning_details":[{"text":words,"signature":"AAAA"}]}),
            json!({"reasoning":"","reasoning_details":[{"summary":"Hello,"},{"text":" world!"}]}),
        ] {
            let body = json!({"messages":[message]}).as_object().cloned().unwrap_or_default();
            assert_eq!(count_prompt(&handle, &body).await, 4 + PER_MESSAGE + PER_PROMPT, "{body:?}");
        }
        let long = words.repeat(1_000);
        for body in [
            json!({"messages":[{"role":"assistant","function_call":{"name":"f","arguments":long}}]}),
            json!({"messages":[{"role":"assistant","tool_calls":[{"custom":{"name":"f","input":long}}]}]}),
            json!({"messages":[],"prediction":{"type":"content","content":long}}),
            json!({"messages":[],"documents":[{"title":"t","doc":{"body":long}}]}),
        ] {
            let body = body.as_object().cloned().unwrap_or_default();
            assert!(count_prompt(&handle, &body).await > 2_000);
        }
    }

    #[test]
    fn a_long_text_is_cut_at_spaces_and_ends() {
        let words = "lorem ipsum dolor ".repeat(300);
        let (mut rest, mut pieces) = (words.as_str(), Vec::new());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_end(rest));
            assert!(!piece.is_empty() && piece.len() <= PIECE);
            pieces.push(piece);
            rest = after;
        }
        assert_eq!(pieces.concat(), words);
        assert!(piece_end(&"ä".repeat(PIECE)) <= PIECE);
    }
}
