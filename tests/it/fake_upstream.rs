//! The fake upstream does what its behaviours say. Nothing else could be trusted if it did not.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::support::fake_upstream::{Behaviour, Dialect, FakeUpstream, Refused};

const SOON: Duration = Duration::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "the fake is on this machine, where the guarded client does not go")]
fn client() -> reqwest::Client {
    // Somebody else may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().build().expect("a client")
}

async fn chat(fake: &FakeUpstream, model: &str, stream: bool) -> reqwest::Response {
    let body = json!({
        "model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream,
        "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {}}}],
    });
    let url = format!("{}/chat/completions", fake.base_url());
    client().post(url).bearer_auth("sk-up").json(&body).send().await.expect("headers")
}

async fn messages(fake: &FakeUpstream, model: &str, stream: bool) -> reqwest::Response {
    let body = json!({
        "model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}],
        "stream": stream, "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
    });
    let request = client().post(format!("{}/messages", fake.base_url()));
    request.header("anthropic-version", "2023-06-01").json(&body).send().await.expect("headers")
}

/// The JSON of each event. Panics on lines that are no part of an event stream.
fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| match line.split_once(": ") {
            Some(("data", "[DONE]")) => None,
            Some(("data", json)) => Some(serde_json::from_str(json).expect("JSON")),
            Some(("event", _)) => None,
            _ if line.is_empty() => None,
            _ => panic!("no event: {line}"),
        })
        .collect()
}

fn openai_text(events: &[Value]) -> String {
    events.iter().filter_map(|e| e.pointer("/choices/0/delta/content")?.as_str()).collect()
}

#[actix_web::test]
async fn a_good_answer_is_logged_with_its_tokens() {
    let fake = FakeUpstream::start();
    fake.behave("m", Behaviour::Ok { prompt: 7, completion: 3, text: "one two three".into() });
    let whole: Value = chat(&fake, "m", false).await.json().await.expect("JSON");
    assert_eq!(whole["usage"]["total_tokens"], 10);
    assert_eq!(whole["choices"][0]["message"]["content"], "one two three");

    let text = chat(&fake, "m", true).await.text().await.expect("a body");
    assert!(text.ends_with("data: [DONE]\n\n"));
    let events = events(&text);
    assert_eq!(openai_text(&events), "one two three");
    assert_eq!(events.last().expect("a last one")["usage"]["completion_tokens"], 3);

    let log = fake.produced();
    assert_eq!(log.len(), 2);
    for entry in &log {
        assert!(entry.completed && entry.usage_sent && entry.client_cancelled_at.is_none());
        assert_eq!((entry.prompt_tokens, entry.completion_tokens_sent), (7, 3));
        assert_eq!(entry.headers["authorization"], "Bearer sk-up");
        assert_eq!(entry.dialect, Dialect::OpenAi);
    }
    assert_eq!((log[0].chunks_sent, log[1].chunks_sent), (1, 3));
}

#[actix_web::test]
async fn anthropic_messages_have_their_events_in_order() {
    let fake = FakeUpstream::start();
    let thinks = Behaviour::Reasoning {
        prompt: 11,
        completion: 8,
        reasoning: 4,
        thought: "Let me see.".into(),
        text: "It is so.".into(),
    };
    fake.behave("claude", thinks);
    let whole: Value = messages(&fake, "claude", false).await.json().await.expect("JSON");
    assert_eq!(whole["usage"]["input_tokens"], 11);
    assert_eq!(whole["content"][1]["text"], "It is so.");

    let events = events(&messages(&fake, "claude", true).await.text().await.expect("a body"));
    let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 8);
    assert!(fake.produced().iter().all(|e| e.completed && e.completion_tokens_sent == 8));

    let bare = client().post(format!("{}/messages", fake.base_url())).json(&json!({"model": "claude"}));
    assert_eq!(bare.send().await.expect("an answer").status(), 400);
}

#[actix_web::test]
async fn faults_before_the_body() {
    let fake = FakeUpstream::start();
    fake.behave_once("m", Behaviour::Status { status: 429, retry_after: Some(7) });
    fake.behave_once("m", Behaviour::Status { status: 401, retry_after: None });
    fake.behave_once("m", Behaviour::HtmlWith200);
    let limited = chat(&fake, "m", true).await;
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"7".parse().expect("ASCII")));
    assert!(chat(&fake, "m", true).await.text().await.expect("a body").contains("sk-up"));
    assert_eq!(chat(&fake, "m", false).await.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(chat(&fake, "m", false).await.status(), 200, "after the queue the default is back");
    assert!(client().get(Refused::new().base_url()).send().await.expect_err("nobody").is_connect());
}

#[actix_web::test]
async fn faults_in_the_body() {
    let fake = FakeUpstream::start();
    fake.behave("cut", Behaviour::TruncatedStream(2));
    for stream in [true, false] {
        assert!(chat(&fake, "cut", stream).await.text().await.is_err());
    }
    let cut = fake.produced();
    assert_eq!((cut[0].chunks_sent, cut[0].completion_tokens_sent), (2, 2));
    assert!(cut.iter().all(|e| !e.completed && !e.usage_sent && e.client_cancelled_at.is_none()));

    fake.behave("bad", Behaviour::ErrorInStream(2));
    let events_of = async |model| events(&chat(&fake, model, true).await.text().await.expect("a body"));
    assert!(events_of("bad").await.last().expect("a last one").get("error").is_some());
    for (behaviour, expected) in
        [(Behaviour::NoUsage, None), (Behaviour::ZeroUsage, Some(0)), (Behaviour::default(), Some(6))]
    {
        fake.behave("u", behaviour);
        let told = events_of("u").await.last().and_then(|e| e["usage"]["completion_tokens"].as_u64());
        assert_eq!(told, expected);
    }
    fake.behave("huge", Behaviour::HugeLine(2_000_000));
    assert_eq!(openai_text(&events_of("huge").await).len(), 2_000_000);
    fake.behave("empty", Behaviour::EmptyCompletion);
    assert_eq!(openai_text(&events_of("empty").await), "");
    fake.behave("crlf", Behaviour::CrLf);
    assert!(chat(&fake, "crlf", true).await.text().await.expect("a body").ends_with("\r\n\r\n"));
    fake.behave("tool", Behaviour::ToolCall);
    let call = &events_of("tool").await[1]["choices"][0]["delta"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "weather");
}

#[actix_web::test]
async fn split_answers_arrive_in_pieces_that_cut_characters() {
    let fake = FakeUpstream::start();
    fake.behave("m", Behaviour::SplitUtf8);
    let mut pieces = Vec::new();
    let mut body = chat(&fake, "m", true).await.bytes_stream();
    while let Some(piece) = body.next().await {
        pieces.push(piece.expect("bytes"));
    }
    assert!(pieces.iter().any(|piece| std::str::from_utf8(piece).is_err()), "a character is cut");
    let text = String::from_utf8(pieces.concat()).expect("whole again");
    assert!(openai_text(&events(&text)).contains("世界"));
    assert_eq!(fake.produced()[0].completion_tokens_sent, 12);
}

#[actix_web::test]
async fn a_client_that_leaves_is_noticed() {
    let fake = FakeUpstream::start();
    fake.behave("slow", Behaviour::Slow { chunks: 500, ms_per_chunk: 5 });
    fake.behave("mute", Behaviour::HangBeforeHeaders);
    fake.behave("stuck", Behaviour::HangAfter(3));

    let mut body = chat(&fake, "slow", true).await.bytes_stream();
    for _ in 0..4 {
        body.next().await.expect("a chunk").expect("bytes");
    }
    drop(body);
    let never = tokio::time::timeout(Duration::from_secs(1), chat(&fake, "mute", true)).await;
    assert!(never.is_err());
    let mut body = chat(&fake, "stuck", true).await.bytes_stream();
    let stuck = async { while body.next().await.is_some() {} };
    assert!(tokio::time::timeout(Duration::from_millis(100), stuck).await.is_err());
    drop(body);

    let log = fake.wait_until(SOON, |log| log.len() == 3 && log.iter().all(|entry| entry.ended())).await;
    let left: Vec<usize> = log.iter().filter_map(|entry| entry.client_cancelled_at).collect();
    assert!((1..500).contains(&left[0]), "left in the middle, not after {} chunks", left[0]);
    assert_eq!(left[1..], [0, 3]);
    assert!(log.iter().all(|entry| !entry.completed && !entry.usage_sent));
}

#[actix_web::test]
async fn a_maximum_of_tokens_cuts_the_answer_unless_it_is_ignored() {
    let fake = FakeUpstream::start();
    let text = "x".repeat(4000);
    fake.behave("obeys", Behaviour::Ok { prompt: 5, completion: 4000, text: text.clone() });
    fake.behave("ignores", Behaviour::IgnoresCap { prompt: 5, completion: 4000, text });
    fake.behave("cached", Behaviour::Cached { prompt: 50, cached: 40, completion: 2, text: "ok".into() });
    for (model, stop, tokens) in
        [("obeys", "max_tokens", 1000), ("ignores", "end_turn", 4000), ("cached", "end_turn", 2)]
    {
        let answer: Value = messages(&fake, model, false).await.json().await.expect("JSON");
        assert_eq!((&answer["stop_reason"], &answer["usage"]["output_tokens"]), (&json!(stop), &json!(tokens)));
    }
    let cached = &fake.produced_by("cached")[0];
    assert!(!cached.streamed && cached.body["max_tokens"] == 1000);
    fake.forget();
    assert!(fake.produced().is_empty());
}
