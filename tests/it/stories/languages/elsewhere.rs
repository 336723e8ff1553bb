//! What LobeChat, Chatbox and AI Engine send to an address that somebody sets there: programs that do not run in these
//! tests. Their requests are written down here as they make them, and what they read of the answers.

use serde_json::{Value, json};

use super::events;
use crate::support::{Farebox, Key};

async fn start() -> (Farebox, Key) {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    (farebox, key)
}

async fn list(farebox: &Farebox, path: &str, key: Option<&Key>) -> Vec<Value> {
    let request = farebox.http.get(farebox.url(path)).header("accept", "application/json");
    let request = match key {
        Some(key) => request.bearer_auth(&key.text),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    assert_eq!(answer.headers()["access-control-allow-origin"], "*", "a page in a browser may read it");
    let list: Value = answer.json().await.expect("JSON");
    let models = list["data"].as_array().expect("a list").clone();
    assert!(models.len() > 3, "{list}");
    models
}

/// The text of a stream, and its usage. Every chunk is one that a strict reader takes.
async fn read(answer: reqwest::Response) -> (String, Value) {
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().expect("text").starts_with("text/event-stream"));
    let chunks = events(&answer.text().await.expect("a body"));
    for (name, chunk) in &chunks {
        assert!(name.is_empty(), "chat streams have no names of events");
        for field in ["id", "object", "created", "model", "choices"] {
            assert!(!chunk[field].is_null(), "{field}: {chunk}");
        }
        for choice in chunk["choices"].as_array().expect("choices") {
            assert!(choice["delta"].is_object() && choice.get("finish_reason").is_some(), "{chunk}");
            assert!(choice["delta"].get("tool_calls").is_none_or(Value::is_array), "omitted, not null: {chunk}");
            assert!(choice["delta"].get("role").is_none_or(|role| role == "assistant"), "{chunk}");
        }
    }
    let text = chunks.iter().filter_map(|(_, chunk)| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    let usage = chunks.iter().rev().find_map(|(_, chunk)| chunk.get("usage").filter(|usage| usage.is_object()));
    (text, usage.expect("a usage").clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requests_of_lobechat_are_answered() {
    let (farebox, key) = start().await;
    // Its OpenAI provider asks from the server with a key, its page with none but the address.
    for (path, key) in [("/api/v1/models", None), ("/api/v1/models", Some(&key)), ("/v1/models", Some(&key))] {
        for model in list(&farebox, path, key).await {
            // One field that it cannot read loses it the whole list.
            let created = model["created"].as_i64().expect("seconds");
            assert!(chrono::DateTime::from_timestamp(created, 0).is_some(), "{model}");
            let known = model["supported_parameters"].as_array().expect("a list to look things up in");
            assert!(known.iter().all(Value::is_string));
            assert!(model["context_length"].is_u64() && model["description"].is_string(), "{model}");
            for price in ["prompt", "completion"] {
                let price = model["pricing"][price].as_str().expect("a text");
                assert!(!price.contains('e') && price.parse::<rust_decimal::Decimal>().is_ok(), "{price}");
            }
            assert!(model["architecture"]["input_modalities"].is_array(), "{model}");
        }
    }
    let body = json!({ "model": "sandbox/echo:online", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "hi" }],
        "temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0,
        "reasoning": {}, "include_reasoning": true, "user": "lobe-1" });
    let request = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text).json(&body);
    let request = request.header("origin", "https://lobe.example.com").header("x-title", "LobeHub");
    let answer = request.header("http-referer", "https://lobehub.com").send().await.expect("an answer");
    let (text, usage) = read(answer).await;
    assert_eq!((text.as_str(), usage["total_tokens"].is_u64()), ("You said: hi", true));
    // From a browser it asks first whether it may.
    let asked = farebox.http.request(reqwest::Method::OPTIONS, farebox.url("/api/v1/chat/completions"));
    let asked = asked.header("origin", "https://lobe.example.com").header("access-control-request-method", "POST");
    let asked = asked.header("access-control-request-headers", "authorization,content-type,x-title,http-referer");
    let answer = asked.send().await.expect("an answer");
    let allowed = answer.headers()["access-control-allow-headers"].to_str().expect("text").to_owned();
    for header in ["authorization", "content-type", "x-title", "http-referer"] {
        assert!(answer.status().is_success() && allowed.contains(header), "{header}: {allowed}");
    }
    farebox.holds_are_closed().await;
    assert_eq!(farebox.text("select app from usage").await, "LobeHub");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requests_of_chatbox_are_answered() {
    let (farebox, key) = start().await;
    // Its API host and its path are two fields, which people fill in either way.
    for path in ["/api/v1/models", "/v1/models", "/api//v1/models"] {
        for model in list(&farebox, path, Some(&key)).await {
            assert!(model["id"].is_string(), "{model}");
        }
    }
    for path in ["/api/v1/chat/completions", "/v1/chat/completions"] {
        let body = json!({ "model": "sandbox/echo", "stream": true, "stream_options": { "include_usage": true },
            "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }] }],
            "max_tokens": null, "temperature": 0.7, "top_p": 1, "tools": [], "usage": { "include": true } });
        let request = farebox.http.post(farebox.url(path)).bearer_auth(&key.text).json(&body);
        let request = request.header("user-agent", "ai-sdk/openai-compatible").header("x-title", "Chatbox AI");
        let (text, usage) = read(request.send().await.expect("an answer")).await;
        assert_eq!(text, "You said: hi", "{path}");
        // The provider of the AI SDK wants numbers wherever there is an object of details.
        for (group, number) in
            [("prompt_tokens_details", "cached_tokens"), ("completion_tokens_details", "reasoning_tokens")]
        {
            assert!(usage[group][number].is_u64(), "{usage}");
        }
        assert!(usage["cost"].is_number() && usage["cost_details"].is_object(), "{usage}");
    }
    // What it shows where something is wrong is the message.
    let wrong = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth("sk-wrong");
    let wrong = wrong.json(&json!({ "model": "sandbox/echo", "messages": [] })).send().await.expect("an answer");
    assert_eq!(wrong.status(), 401);
    let told: Value = wrong.json().await.expect("JSON");
    assert!(told["error"]["message"].is_string() && told["error"]["code"] == 401, "{told}");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requests_of_ai_engine_are_answered() {
    let (farebox, key) = start().await;
    // It reads the list twice, the second time what knows tools, and the models that make vectors; all without a key.
    for model in list(&farebox, "/api/v1/models", None).await {
        let arrow = model["architecture"]["modality"].as_str().expect("a text");
        let (takes, gives) = arrow.split_once("->").expect("an arrow");
        assert!(takes.split('+').any(|one| one == "text") && gives.split('+').any(|one| one == "text"), "{arrow}");
        assert!(model["top_provider"]["context_length"].is_u64() && model["name"].is_string(), "{model}");
    }
    let tools = farebox.http.get(farebox.url("/api/v1/models?supported_parameters=tools"));
    let tools: Value = tools.send().await.expect("an answer").json().await.expect("JSON");
    assert!(tools["data"].is_array(), "{tools}");
    let vectors = farebox.http.get(farebox.url("/api/v1/embeddings/models"));
    let vectors: Value = vectors.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(vectors["data"][0]["id"], "sandbox/embed", "{vectors}");
    // What only another router knows is passed over.
    let body = json!({ "model": "sandbox/echo", "stream": true, "n": 1, "max_tokens": 1024, "temperature": 0.8,
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "hi" }],
        "transforms": ["middle-out"], "plugins": [{ "id": "web" }], "usage": { "include": true },
        "stream_options": { "include_usage": true } });
    let request = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text).json(&body);
    let request = request.header("http-referer", "https://blog.example.com").header("x-title", "AI Engine");
    let (text, usage) = read(request.send().await.expect("an answer")).await;
    assert_eq!(text, "You said: hi");
    let told: rust_decimal::Decimal = usage["cost"].to_string().parse().expect("an amount");
    farebox.holds_are_closed().await;
    let booked: rust_decimal::Decimal =
        farebox.text("select cost::text from usage where app = 'AI Engine'").await.parse().expect("an amount");
    assert_eq!(told, booked, "its statistics are what the books say");
    let body = json!({ "model": "sandbox/embed", "input": "hello there", "encoding_format": "float" });
    let answer = farebox.post(&key, "/api/v1/embeddings", &body).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    assert!(answer["data"][0]["embedding"].as_array().is_some_and(|vector| vector.len() > 3), "{answer}");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}
