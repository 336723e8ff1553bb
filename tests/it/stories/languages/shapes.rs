//! Every answer has the fields that readers of each language demand, and those of our own document.

use serde_json::{Value, json};

use super::{Call, events};
use crate::support::Farebox;

/// Fields that must be there, if only as null.
fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "{field} is missing in {value}");
    }
}

const USAGE_OF_MESSAGES: [&str; 12] = [
    "input_tokens",
    "output_tokens",
    "output_tokens_details",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation",
    "inference_geo",
    "server_tool_use",
    "service_tier",
    "cost",
    "is_byok",
    "cost_details",
];

const RESPONSE: [&str; 20] = [
    "id",
    "object",
    "created_at",
    "completed_at",
    "error",
    "incomplete_details",
    "instructions",
    "metadata",
    "model",
    "output",
    "parallel_tool_calls",
    "presence_penalty",
    "frequency_penalty",
    "status",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "usage",
    "provider",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_answers_have_every_field() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for call in Call::ALL {
        let model = match call {
            Call::Embeddings => "sandbox/embed",
            Call::Rerank => "sandbox/rerank",
            _ => "sandbox/echo",
        };
        let body: Value = call.send(&farebox, &key, model, json!({})).await.json().await.expect("JSON");
        match call {
            Call::Completions => {
                has(&body, &["id", "object", "created", "model", "provider", "choices", "usage", "system_fingerprint"]);
                has(&body["choices"][0], &["text", "index", "logprobs", "finish_reason"]);
                assert_eq!(
                    (&body["object"], &body["choices"][0]["text"]),
                    (&json!("text_completion"), &json!("You said: hello there"))
                );
            }
            Call::Responses => {
                has(&body, &RESPONSE);
                has(&body["output"][0], &["id", "type", "role", "status", "content"]);
                has(&body["output"][0]["content"][0], &["type", "text", "annotations"]);
                has(&body["usage"], &["input_tokens_details", "output_tokens_details", "total_tokens", "cost"]);
            }
            Call::Messages => {
                let fields = [
                    "id",
                    "type",
                    "role",
                    "model",
                    "content",
                    "stop_reason",
                    "stop_sequence",
                    "stop_details",
                    "container",
                ];
                has(&body, &fields);
                has(&body["content"][0], &["type", "text", "citations"]);
                has(&body["usage"], &USAGE_OF_MESSAGES);
            }
            Call::Embeddings => {
                has(&body, &["id", "object", "data", "model", "provider", "usage"]);
                has(&body["data"][0], &["object", "index", "embedding"]);
            }
            Call::Rerank => {
                has(&body, &["id", "model", "provider", "results", "usage"]);
                has(&body["results"][0], &["index", "relevance_score", "document"]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_begin_go_on_and_end_as_readers_expect() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let seen = |call: Call| {
        let (farebox, key) = (&farebox, &key);
        async move {
            let answer = call.send(farebox, key, "sandbox/echo", json!({ "stream": true })).await;
            assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
            events(&answer.text().await.expect("a body"))
        }
    };
    let messages = seen(Call::Messages).await;
    assert!(messages.iter().all(|(name, event)| event["type"] == name.as_str()), "each names itself: {messages:?}");
    let start = &messages.first().expect("a start").1["message"];
    has(
        start,
        &[
            "id",
            "type",
            "role",
            "model",
            "content",
            "stop_reason",
            "stop_sequence",
            "stop_details",
            "container",
            "usage",
        ],
    );
    has(&start["usage"], &["input_tokens", "output_tokens", "service_tier"]);
    assert_eq!(start["usage"]["input_tokens"], 2, "the sandbox says at once what it has read");
    let end = &messages[messages.len() - 2].1;
    has(&end["delta"], &["stop_reason", "stop_sequence", "stop_details", "container"]);
    has(&end["usage"], &USAGE_OF_MESSAGES);

    let responses = seen(Call::Responses).await;
    for (at, (name, event)) in responses.iter().enumerate() {
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(name), &json!(at)), "{responses:?}");
    }
    has(&responses[0].1["response"], &["id", "object", "status", "output", "tools", "metadata"]);
    has(&responses.last().expect("an end").1["response"], &RESPONSE);

    let completions = seen(Call::Completions).await;
    for (_, chunk) in &completions {
        has(chunk, &["id", "object", "created", "model", "provider", "choices"]);
        has(&chunk["choices"][0], &["text", "index", "finish_reason"]);
    }
    let echoed = Call::Completions.send(&farebox, &key, "sandbox/echo", json!({ "stream": true, "echo": true })).await;
    let text: String = events(&echoed.text().await.expect("a body"))
        .iter()
        .filter_map(|(_, chunk)| chunk["choices"][0]["text"].as_str())
        .collect();
    assert_eq!(text, "hello thereYou said: hello there");
}

/// What Open WebUI 0.12 sends to a connection, as its program and its page were seen to do: the list; for the first message of a
/// chat the answer as a stream with its tools, and a title, follow-ups and tags as whole answers; who asks, where it forwards that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requests_of_open_webui_are_answered() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for path in ["/api/v1/models", "/api/v1//models", "/v1//models", "/v1/models"] {
        let request =
            farebox.http.get(farebox.url(path)).bearer_auth(&key.text).header("content-type", "application/json");
        let list: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        assert_eq!(list["object"], "list");
        for model in list["data"].as_array().expect("models") {
            assert!(model["id"].is_string() && model["name"].is_string(), "one without a name is dropped: {model}");
        }
    }
    let said = |text: &str| json!([{ "role": "user", "content": text }]);
    let tool = json!({ "type": "function", "function": { "name": "get_current_timestamp", "description": "The time now.",
        "parameters": { "properties": {}, "type": "object" } } });
    let ask = async |path: &str, body: &Value, headers: &[(&'static str, &'static str)]| {
        let mut request = farebox.http.post(farebox.url(path)).bearer_auth(&key.text).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path} {body}");
        answer.text().await.expect("a body")
    };
    let page = json!({ "stream": true, "model": "sandbox/echo", "messages": said("hi"), "tools": [tool] });
    let whose = [
        ("x-openwebui-auth-type", "jwt"),
        ("x-openwebui-user-name", "Ada"),
        ("x-openwebui-user-id", "39b57954-392b-4142-a774-34a8ea30b667"),
        ("x-openwebui-user-email", "ada@example.com"),
        ("x-openwebui-user-role", "admin"),
        ("x-openwebui-chat-id", "6d8d7a4e-7d7b-4a6e-9a43-0f4f5ad0a001"),
    ];
    for (path, headers) in [("/api/v1/chat/completions", &whose[..]), ("/v1//chat/completions", &[])] {
        let chunks = events(&ask(path, &page, headers).await);
        let text: String =
            chunks.iter().filter_map(|(_, chunk)| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, "You said: hi");
        assert!(chunks.last().expect("chunks").1["usage"]["total_tokens"].is_u64(), "whether or not it was asked for");
    }
    for more in [json!({ "stream": false, "max_tokens": 1_000 }), json!({ "stream": false })] {
        let mut body = json!({ "model": "sandbox/echo", "messages": said("### Task:\nGenerate a concise title.") });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let answer: Value = serde_json::from_str(&ask("/api/v1/chat/completions", &body, &[]).await).expect("JSON");
        assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
    }
    farebox.holds_are_closed().await;
    assert_eq!(farebox.text("select string_agg(distinct app, ',') from usage").await, "", "it does not name itself");
    // Unless its connection is given a header.
    ask("/api/v1/chat/completions", &page, &[("x-title", "Open WebUI")]).await;
    farebox.holds_are_closed().await;
    assert_eq!(farebox.text("select count(*)::text from usage where app = 'Open WebUI'").await, "1");
    assert_eq!(farebox.text("select count(*)::text from usage where user_agent ilike '%ada%'").await, "0");
    farebox.books_are_clean().await;
}
