//! Messages, with any provider.

use serde_json::{Value, json};

use super::{Call, events, is_booked, laboratory};
use crate::support::fake_upstream::{Behaviour, Dialect, FakeUpstream};
use crate::support::{Farebox, Options, lab};

fn tool() -> Value {
    json!({ "name": "get_weather", "description": "The weather.",
        "input_schema": { "type": "object", "properties": { "city": { "type": "string" } } } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_of_the_same_language_gets_the_clients_own_words() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    let thinking = Behaviour::Reasoning {
        prompt: 30,
        completion: 9,
        reasoning: 4,
        thought: "Let me see.".into(),
        text: "Yes.".into(),
    };
    upstream.behave("claude", thinking);
    let more = json!({
        "system": [{ "type": "text", "text": "be brief", "cache_control": { "type": "ephemeral", "ttl": "1h" } }],
        "thinking": { "type": "enabled", "budget_tokens": 1024 }, "max_tokens": 2000, "temperature": 1,
        "metadata": { "user_id": "u1" }, "provider": { "order": ["claude"] }, "service_tier": "auto",
    });
    let answer = Call::Messages.send(&farebox, &key, "lab/claude", more).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["content"][0], json!({"type":"thinking","thinking":"Let me see.","signature":"ZmFrZQ=="}));
    assert_eq!((&body["content"][1]["text"], &body["model"]), (&json!("Yes."), &json!("lab/claude")));
    let sent = upstream.produced().pop().expect("it was asked");
    assert_eq!(sent.dialect, Dialect::Anthropic);
    assert_eq!(sent.body["thinking"], json!({"type":"enabled","budget_tokens":1024}));
    assert_eq!(sent.body["system"], json!([{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}]));
    for passed_over in ["provider", "service_tier"] {
        assert!(sent.body.get(passed_over).is_none(), "{passed_over} was sent: {}", sent.body);
    }
    is_booked(&farebox, "lab/claude", &body["usage"], "0.000048").await;
}

/// An hour in a cache is dearer at the provider than the price in the catalog, which is that of five minutes. So nobody gets
/// it: the mark stays, its time does not, and what is written costs what the catalog says, in every language.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_to_a_cache_costs_its_price_whatever_time_was_asked_for() {
    let upstream = FakeUpstream::start();
    let priced = super::catalog(&upstream, true).replace(
        "upstream_model = \"claude\"\ncontext_length = 32000\nmax_output = 4096\n\
             supported_parameters = [\"max_tokens\", \"tools\"]\nprice = { prompt = \"1\", completion = \"2\" }",
        "upstream_model = \"claude\"\ncontext_length = 32000\nmax_output = 4096\n\
             supported_parameters = [\"max_tokens\", \"tools\"]\n\
             price = { prompt = \"1\", completion = \"2\", cache_write = \"1.25\" }",
    );
    assert!(priced.contains("cache_write"), "{priced}");
    let farebox = lab::start(&priced, Options::default()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    // Thirty of the hundred are fresh: 30 at 1, 70 at 1.25 and 4 at 2 dollars a million.
    upstream.behave("claude", Behaviour::Written { prompt: 100, written: 70, completion: 4 });
    let marked = json!([{ "type": "text", "text": "a long text ".repeat(40),
        "cache_control": { "type": "ephemeral", "ttl": "1h" } }]);
    let messages = json!([{ "role": "system", "content": marked }, { "role": "user", "content": marked }]);
    let tool = json!({ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } },
        "cache_control": { "type": "ephemeral", "ttl": "1h" } });
    let mut holds = Vec::new();
    for (path, body) in [
        (
            "/api/v1/chat/completions",
            json!({ "model": "lab/claude", "max_tokens": 50, "messages": messages, "tools": [tool] }),
        ),
        (
            "/api/v1/chat/completions",
            json!({ "model": "lab/claude", "max_tokens": 50, "messages": messages, "stream": true }),
        ),
        (
            "/api/v1/messages",
            json!({ "model": "lab/claude", "max_tokens": 50, "system": marked,
            "messages": [{ "role": "user", "content": marked }] }),
        ),
    ] {
        upstream.forget();
        let answer = farebox.post(&key, path, &body).await;
        assert_eq!(answer.status(), 200, "{path}");
        let told = answer.text().await.expect("a body");
        assert!(told.contains("\"cost\":0.0001255"), "{path}: {told}");
        let sent = upstream.produced().pop().expect("it was asked").body.to_string();
        assert!(sent.contains("cache_control") && !sent.contains("ttl"), "{path}: {sent}");
        farebox.holds_are_closed().await;
        let row: (String, String, bool) =
            sqlx::query_as("select cost::text, overrun::text, hold >= cost from usage order by id desc limit 1")
                .fetch_one(&farebox.pool)
                .await
                .expect("a row");
        assert_eq!((row.0.as_str(), row.1.as_str()), ("0.000125500000", "0.000000000000"), "{path}");
        holds.push(row.2);
    }
    assert_eq!(holds, [true; 3], "what is held covers it");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_are_called_with_every_kind_of_provider() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    for model in ["lab/text", "lab/claude"] {
        upstream.behave(model.trim_start_matches("lab/"), Behaviour::ToolCall);
        let more = json!({ "tools": [tool()], "tool_choice": { "type": "any" } });
        let answer = Call::Messages.send(&farebox, &key, model, more.clone()).await;
        let body: Value = answer.json().await.expect("JSON");
        let call = &body["content"][0];
        assert_eq!((&call["type"], &call["name"]), (&json!("tool_use"), &json!("get_weather")), "{model}: {body}");
        assert_eq!(
            (&call["input"], &body["stop_reason"]),
            (&json!({"city":"Zürich"}), &json!("tool_use")),
            "{model}: {body}"
        );

        let mut streamed = more;
        streamed["stream"] = json!(true);
        let answer = Call::Messages.send(&farebox, &key, model, streamed).await;
        let seen = events(&answer.text().await.expect("a body"));
        let parts: String = seen.iter().filter_map(|(_, event)| event["delta"]["partial_json"].as_str()).collect();
        assert_eq!(serde_json::from_str::<Value>(&parts).ok(), Some(json!({"city":"Zürich"})), "{model}: {seen:?}");
        let end = seen.iter().find(|(name, _)| name == "message_delta").expect("an end");
        assert_eq!(end.1["delta"]["stop_reason"], "tool_use", "{model}");
        assert_eq!(seen.last().map(|(name, _)| name.as_str()), Some("message_stop"), "{model}");

        // And the result goes back.
        upstream.behave(model.trim_start_matches("lab/"), Behaviour::default());
        let turns = json!({ "tools": [tool()], "messages": [
            { "role": "user", "content": "How is it?" },
            { "role": "assistant", "content": [call] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": call["id"], "content": "12 degrees" }] },
        ]});
        let answer = Call::Messages.send(&farebox, &key, model, turns).await;
        assert_eq!(answer.status(), 200, "{model}");
        let sent = upstream.produced().pop().expect("it was asked").body;
        let last = sent["messages"].as_array().and_then(|turns| turns.last()).expect("turns").to_string();
        assert!(last.contains("12 degrees") && last.contains(call["id"].as_str().expect("an id")), "{model}: {sent}");
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_either_header_opens_and_tokens_are_counted_for_nothing() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let body = Call::Messages.body("sandbox/echo", json!({}));
    let request = |path: &str| {
        let request = farebox.http.post(farebox.url(path)).header("anthropic-version", "2023-06-01");
        request.header("x-api-key", &key.text).json(&body)
    };
    let answer = request("/api/v1/messages").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!(answer["content"][0]["text"], "You said: hello there");
    assert_eq!(answer["usage"]["input_tokens"], 2);
    let counted = request("/api/v1/messages/count_tokens").send().await.expect("an answer");
    assert_eq!(counted.status(), 200);
    let counted: Value = counted.json().await.expect("JSON");
    assert!(counted["input_tokens"].as_u64().is_some_and(|count| (2..20).contains(&count)), "{counted}");
    farebox.holds_are_closed().await;
    assert_eq!(farebox.text("select count(*)::text from usage").await, "1", "counting is no call");
    let nobody =
        farebox.http.post(farebox.url("/api/v1/messages/count_tokens")).json(&body).send().await.expect("an answer");
    assert_eq!(nobody.status(), 401);
    assert_eq!(nobody.json::<Value>().await.expect("JSON")["error"]["type"], "authentication_error");
}

/// A provider of the same language takes what a beta allows only with its header, and others are not told of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn betas_go_with_the_clients_own_words_unless_they_cost_more() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    for (model, told) in [("lab/claude", Some("per-turn-control-2026-07-01,effort-2025-11-24")), ("lab/text", None)] {
        let body = Call::Messages.body(model, json!({}));
        let request = farebox.http.post(farebox.url("/api/v1/messages")).header("x-api-key", &key.text).json(&body);
        let request = request.header("anthropic-beta", "context-1m-2025-08-07,per-turn-control-2026-07-01");
        let answer = request.header("anthropic-beta", "effort-2025-11-24").send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{model}");
        let sent = upstream.produced().pop().expect("it was asked");
        assert_eq!(sent.headers.get("anthropic-beta").map(String::as_str), told, "{model}");
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

/// Claude Code looks for tools, and gets them by reference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_was_found_goes_on_in_every_language() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    let result = json!({ "type": "tool_result", "tool_use_id": "t1",
        "content": [{ "type": "tool_reference", "tool_name": "get_weather" }] });
    let mut deferred = tool();
    deferred["defer_loading"] = json!(true);
    let turns = json!({ "tools": [deferred], "messages": [
        { "role": "user", "content": "How is it?" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "ToolSearch", "input": {} }] },
        { "role": "user", "content": [result] },
        { "role": "system", "content": [{ "type": "tool_addition",
            "tool": { "type": "tool_reference", "name": "get_weather" } }] },
    ]});
    for (model, last) in [
        ("lab/claude", turns["messages"][3].clone()),
        ("lab/text", json!({ "role": "system", "content": "Tool loaded: get_weather" })),
    ] {
        let answer = Call::Messages.send(&farebox, &key, model, turns.clone()).await;
        assert_eq!(answer.status(), 200, "{model}");
        let sent = upstream.produced().pop().expect("it was asked").body;
        assert_eq!(sent["messages"].as_array().and_then(|turns| turns.last()), Some(&last), "{model}: {sent}");
        let found = sent["messages"][2].to_string();
        assert!(
            found.contains("tool_reference") == (model == "lab/claude") && found.contains("get_weather"),
            "{found}"
        );
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

/// Claude Code and its kin name models as Anthropic does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_of_anthropic_is_found_by_anthropics_name_for_it() {
    let upstream = FakeUpstream::start();
    let catalog = super::catalog(&upstream, true).replace("lab/claude", "anthropic/claude-lab-9.1");
    let farebox = lab::start(&catalog, Options::default()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for name in ["claude-lab-9-1", "claude-lab-9-1[1m]", "claude-lab-9-1-20260101", "claude-lab-9.1"] {
        let answer = Call::Messages.send(&farebox, &key, name, json!({})).await;
        assert_eq!(answer.status(), 200, "{name}");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["model"], "anthropic/claude-lab-9.1", "{name}");
        assert_eq!(upstream.produced().pop().expect("it was asked").body["model"], "claude", "{name}");
        let counting = Call::Messages.body(name, json!({}));
        assert_eq!(farebox.post(&key, "/api/v1/messages/count_tokens", &counting).await.status(), 200, "{name}");
    }
    for (call, name) in [(Call::Messages, "claude-lab-9-2"), (Call::Responses, "claude-lab-9-1")] {
        assert_eq!(call.send(&farebox, &key, name, json!({})).await.status(), 404, "{call:?} {name}");
    }
    farebox.holds_are_closed().await;
    let logged = "select count(*)::text from usage where model = 'anthropic/claude-lab-9.1'";
    assert_eq!(farebox.text(logged).await, "4");
    farebox.books_are_clean().await;
}

/// A preset adds to what is asked, so the client's own words no longer say all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preset_counts_for_messages_too() {
    let upstream = FakeUpstream::start();
    let (farebox, _) = laboratory(&upstream).await;
    let manager = crate::stories::management::provisioning(&farebox, "ada@example.com", "10", &["--may-call"]).await;
    let preset = json!({ "model": "lab/claude", "messages": [{ "role": "system", "content": "Talk like a pirate." }] });
    let made = farebox.post(&manager, "/api/v1/presets/pirate/messages", &preset).await;
    assert_eq!(made.status(), 200, "{}", made.text().await.unwrap_or_default());
    let mut row = 0;
    for call in [Call::Messages, Call::Responses, Call::Completions] {
        let answer = call.send(&farebox, &manager, "@preset/pirate", json!({})).await;
        assert_eq!(answer.status(), 200, "{call:?}");
        let sent = upstream.produced().pop().expect("it was asked").body;
        assert_eq!(sent["system"], json!([{"type":"text","text":"Talk like a pirate."}]), "{call:?}: {sent}");
        row += 1;
    }
    farebox.holds_are_closed().await;
    assert_eq!(lab::rows(&farebox, "@preset/pirate").await.len(), row);
    farebox.books_are_clean().await;
}
