//! The built-in upstream: deterministic, without any network, and never a real model.
//!
//! It repeats the last message of the user. A message that starts with `call:NAME` is answered by a call of that
//! tool, if the request has tools. A token is a word. `penny` gives one fixed answer, `slow` writes twenty words,
//! one every tenth of a second. Vectors and ranks go by the words that texts share.

mod search;

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::failure::Failure;
use super::{Question, Reply, Source};
use crate::catalog::Task;

const SLOW_WORDS: usize = 20;
const SLOW_PAUSE: Duration = Duration::from_millis(100);
/// Words of an answer in one chunk, so that a long echo is still few chunks.
const WORDS_PER_CHUNK: usize = 8;
const PENNY: &str = "That cost one cent.";

pub(super) async fn ask(question: &Question<'_>) -> Result<Reply, Failure> {
    #[cfg(test)]
    assert_ne!(question.candidate.offer().endpoint.upstream_model, "panic", "a test wants to see what a panic does");
    match question.task {
        Task::Answer => {}
        Task::Embed => return Ok(Reply::Whole(search::vectors(question.body).into())),
        Task::Rerank => return Ok(Reply::Whole(search::ranking(question.body).into())),
    }
    let answer = Answer::to(question);
    if question.stream {
        return Ok(Reply::Stream(Source::Script(answer.script())));
    }
    if answer.slow {
        let words = u32::try_from(answer.words.len()).unwrap_or(u32::MAX);
        tokio::time::sleep(SLOW_PAUSE * words).await;
    }
    Ok(Reply::Whole(answer.whole().into()))
}

/// Chunks, each at its time.
pub(crate) struct Script {
    chunks: VecDeque<Map<String, Value>>,
    pause: Duration,
    next_at: Instant,
}

impl Script {
    /// Safe to drop and call again: a chunk leaves the queue only when it is returned.
    pub(super) async fn next(&mut self) -> Option<Map<String, Value>> {
        if !self.pause.is_zero() && !self.chunks.is_empty() {
            sleep_until(self.next_at).await;
            self.next_at = Instant::now() + self.pause;
        }
        self.chunks.pop_front()
    }
}

struct Answer {
    words: Vec<String>,
    tool: Option<String>,
    finish: &'static str,
    prompt_tokens: usize,
    slow: bool,
}

impl Answer {
    fn to(question: &Question<'_>) -> Answer {
        let upstream = question.candidate.offer().endpoint.upstream_model.as_str();
        let (prompt, last) = read(question.body);
        let prompt_tokens = prompt.split_whitespace().count();
        let slow = upstream == "slow";
        let has_tools = question.body.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty());
        let called = last.trim_start().strip_prefix("call:").and_then(|rest| rest.split_whitespace().next());
        if let Some(name) = called.filter(|_| has_tools) {
            let tool = Some(name.to_owned());
            return Answer { words: Vec::new(), tool, finish: "tool_calls", prompt_tokens, slow: false };
        }
        let text = if upstream == "penny" { PENNY.to_owned() } else { format!("You said: {last}") };
        let words = pieces(&text);
        let mut words = if slow { words.iter().cycle().take(SLOW_WORDS).cloned().collect() } else { words };
        let cap = question.cap.unwrap_or(u64::MAX).min(question.longest);
        let cap = usize::try_from(cap).unwrap_or(usize::MAX);
        let finish = if words.len() > cap { "length" } else { "stop" };
        words.truncate(cap);
        Answer { words, tool: None, finish, prompt_tokens, slow }
    }

    fn usage(&self, completion: usize) -> Value {
        json!({ "prompt_tokens": self.prompt_tokens, "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion })
    }

    fn tool_calls(&self) -> Option<Value> {
        let name = self.tool.as_ref()?;
        let function = json!({ "name": name, "arguments": "{}" });
        Some(json!([{ "index": 0, "id": "call_sandbox", "type": "function", "function": function }]))
    }

    fn tokens(&self) -> usize {
        if self.tool.is_some() { 1 } else { self.words.len() }
    }

    fn whole(&self) -> Map<String, Value> {
        let message = match self.tool_calls() {
            Some(calls) => json!({ "role": "assistant", "content": null, "tool_calls": calls }),
            None => json!({ "role": "assistant", "content": self.words.concat() }),
        };
        let choice = json!({ "index": 0, "message": message, "finish_reason": self.finish });
        object(json!({ "id": "sandbox", "choices": [choice], "usage": self.usage(self.tokens()) }))
    }

    /// Every chunk says what was used so far, so that a call that is broken off is billed to the word.
    fn script(&self) -> Script {
        let chunk = |delta: Value, finish: Value, tokens: usize| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
            object(json!({ "id": "sandbox", "choices": [choice], "usage": self.usage(tokens) }))
        };
        let mut chunks = VecDeque::new();
        let mut written = 0;
        for words in self.words.chunks(if self.slow { 1 } else { WORDS_PER_CHUNK }) {
            written += words.len();
            let role = if chunks.is_empty() { json!("assistant") } else { Value::Null };
            chunks.push_back(chunk(json!({ "role": role, "content": words.concat() }), Value::Null, written));
        }
        if let Some(calls) = self.tool_calls() {
            chunks.push_back(chunk(json!({ "role": "assistant", "tool_calls": calls }), Value::Null, 1));
        }
        chunks.push_back(chunk(json!({}), self.finish.into(), self.tokens()));
        let pause = if self.slow { SLOW_PAUSE } else { Duration::ZERO };
        Script { chunks, pause, next_at: Instant::now() + pause }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Words with the space in front of each, so that joining them gives the text again.
fn pieces(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for piece in text.split_inclusive(char::is_whitespace) {
        match out.last_mut() {
            Some(last) if last.trim().is_empty() => last.push_str(piece),
            _ => out.push(piece.to_owned()),
        }
    }
    out
}

/// All text of the prompt, and that of the user's last message.
fn read(body: &Map<String, Value>) -> (String, String) {
    let (mut all, mut last) = (String::new(), String::new());
    for message in body.get("messages").and_then(Value::as_array).into_iter().flatten() {
        let text = match message.get("content") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
                texts.join(" ")
            }
            _ => String::new(),
        };
        all.push_str(&text);
        all.push('\n');
        if message.get("role").and_then(Value::as_str) == Some("user") {
            last = text;
        }
    }
    (all, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::providers::tests::question;
    use crate::routing::tests::{candidate, offer};

    fn answer(model: &str, body: &Value, cap: Option<u64>) -> Answer {
        let mut offer = offer("a/b", "sandbox", "1", "2");
        offer.endpoint.upstream_model = model.into();
        let candidate = candidate(offer);
        let body = body.as_object().cloned().unwrap_or_default();
        Answer::to(&Question { cap, longest: 1_000, ..question(&candidate, &body) })
    }

    fn hi() -> Value {
        json!({"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"good day to you"}]})
    }

    #[test]
    fn it_echoes_and_counts_words() {
        let whole = Value::Object(answer("echo", &hi(), None).whole());
        assert_eq!(whole["choices"][0]["message"]["content"], "You said: good day to you");
        assert_eq!(whole["usage"], json!({"prompt_tokens":6,"completion_tokens":6,"total_tokens":12}));
    }

    #[test]
    fn it_stops_at_the_cap() {
        let whole = Value::Object(answer("echo", &hi(), Some(3)).whole());
        assert_eq!(whole["choices"][0]["finish_reason"], "length");
        assert_eq!(whole["usage"]["completion_tokens"], 3);
    }

    #[test]
    fn it_calls_a_tool_when_told_to() {
        let body = json!({"messages":[{"role":"user","content":"call:weather now"}],"tools":[{"type":"function"}]});
        let whole = Value::Object(answer("echo", &body, None).whole());
        assert_eq!(
            whole["choices"][0]["message"]["tool_calls"][0]["function"],
            json!({"name":"weather","arguments":"{}"})
        );
        assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    }

    #[tokio::test]
    async fn slow_writes_twenty_words_in_two_seconds() {
        let mut script = answer("slow", &hi(), None).script();
        let started = Instant::now();
        let mut chunks = 0;
        while script.next().await.is_some() {
            chunks += 1;
        }
        assert_eq!(chunks, SLOW_WORDS + 1);
        assert!(started.elapsed() >= SLOW_PAUSE * 21);
    }
}
