//! What the API answers has the shape that its own document and its clients promise, also when it refuses.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::management::provisioning;
use crate::support::document::{flaws, is_call};
use crate::support::{Farebox, Key, calendar, lab};

struct Contract<'a> {
    farebox: &'a Farebox,
    key: &'a Key,
    document: Value,
}

impl Contract<'_> {
    /// Checks an answer against what the document says of this path, method and status.
    fn check(&self, method: &str, template: &str, status: u16, body: &Value) {
        let operation = &self.document["paths"][template][method];
        assert!(operation.is_object(), "{method} {template} is not in the document");
        let schema = &operation["responses"][status.to_string()]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {template} says nothing of status {status}");
        let found = flaws(&self.document, schema, body, is_call(template));
        assert!(found.is_empty(), "{method} {template} {status}: {found:#?}\n{body}");
    }

    async fn get(&self, template: &str, path: &str, status: u16) -> Value {
        let request = self.farebox.http.get(self.farebox.url(path)).bearer_auth(&self.key.text);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body = answer.json().await.expect("JSON");
        self.check("get", template, status, &body);
        body
    }
}

impl Contract<'_> {
    /// Sends a request, and checks its answer as [`Contract::get`] does.
    async fn send(&self, method: &str, template: &str, path: &str, body: Option<Value>, status: u16) -> Value {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        let request = self.farebox.http.request(method.clone(), self.farebox.url(path)).bearer_auth(&self.key.text);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let found = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        assert_eq!(found, status, "{method} {path} {body:?}: {text}");
        let answer = serde_json::from_str(&text).expect("JSON");
        self.check(&method.as_str().to_lowercase(), template, status, &answer);
        answer
    }
}

async fn document(farebox: &Farebox) -> Value {
    let answer = farebox.http.get(farebox.url("/openapi.json")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

/// A field and whether its value is of the right kind.
type Field = (&'static str, fn(&Value) -> bool);

fn has(value: &Value, place: &str, fields: &[Field]) {
    for (field, fits) in fields {
        assert!(fits(&value[*field]), "{place}.{field} is {}\n{value}", value[*field]);
    }
}

fn decimal(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

fn text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_shape_of_the_document() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &["--limit", "5"]).await;
    let contract = Contract { farebox: &farebox, key: &key, document: document(&farebox).await };
    let answer = farebox.chat(&key, "sandbox/echo", "hi", json!({})).await;
    let generation = answer.headers()["x-generation-id"].to_str().expect("text").to_owned();
    let answer: Value = answer.json().await.expect("JSON");
    contract.check("post", "/api/v1/chat/completions", 200, &answer);
    assert_eq!(answer["id"], generation.as_str());

    let models = contract.get("/api/v1/models", "/api/v1/models", 200).await;
    check_models(&models);
    contract.get("/api/v1/models/count", "/api/v1/models/count", 200).await;
    let endpoints = "/api/v1/models/{author}/{slug}/endpoints";
    contract.get(endpoints, "/api/v1/models/sandbox/echo/endpoints", 200).await;
    contract.get(endpoints, "/api/v1/models/nobody/nothing/endpoints", 404).await;
    contract.get("/api/v1/providers", "/api/v1/providers", 200).await;
    let shown = contract.get("/api/v1/key", "/api/v1/key", 200).await;
    check_key(&shown["data"]);
    assert_eq!(farebox.get(&key, "/api/v1/auth/key").await, shown, "an older name of the same");
    contract.get("/api/v1/credits", "/api/v1/credits", 200).await;
    contract.get("/api/v1/generation", &format!("/api/v1/generation?id={generation}"), 200).await;
    contract.get("/api/v1/generation", "/api/v1/generation?id=gen-00", 404).await;
    contract.get("/api/v1/generation/content", &format!("/api/v1/generation/content?id={generation}"), 404).await;
    let model = "/api/v1/model/{author}/{slug}";
    contract.get(model, "/api/v1/model/sandbox/echo", 200).await;
    contract.get(model, "/api/v1/model/nobody/nothing", 404).await;
    let retrieved = "/api/v1/models/{author}/{slug}";
    for path in ["/api/v1/models/sandbox/echo", "/api/v1/models/sandbox%2Fecho", "/v1/models/sandbox/echo"] {
        let model = contract.get(retrieved, path, 200).await;
        assert_eq!((&model["id"], &model["object"]), (&json!("sandbox/echo"), &json!("model")), "{path}");
    }
    for path in ["/api/v1/models/nobody/nothing", "/api/v1/models/nobody%2Fnothing", "/api/v1/models/nothing"] {
        contract.get(retrieved, path, 404).await;
    }

    for (status, model, more) in [
        (404, "nobody/nothing", json!({})),
        (400, "sandbox/echo", json!({ "max_tokens": "many" })),
        (422, "sandbox/echo", json!({ "n": 99 })),
    ] {
        let answer = farebox.chat(&key, model, "hi", more).await;
        assert_eq!(answer.status(), status);
        contract.check("post", "/api/v1/chat/completions", status, &answer.json().await.expect("JSON"));
    }
    for (path, body) in [
        ("/api/v1/completions", json!({ "model": "sandbox/echo", "prompt": "hi" })),
        (
            "/api/v1/messages",
            json!({ "model": "sandbox/echo", "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] }),
        ),
        (
            "/api/v1/messages/count_tokens",
            json!({ "model": "sandbox/echo", "messages": [{ "role": "user", "content": "hi" }] }),
        ),
        ("/api/v1/responses", json!({ "model": "sandbox/echo", "input": "hi" })),
        ("/api/v1/embeddings", json!({ "model": "sandbox/embed", "input": "hi" })),
        ("/api/v1/rerank", json!({ "model": "sandbox/rerank", "query": "hi", "documents": ["hi", "ho"] })),
    ] {
        contract.send("post", path, path, Some(body), 200).await;
        contract.send("post", path, path, Some(json!({ "model": 7 })), 400).await;
    }
    for path in ["/api/v1/models/user", "/api/v1/embeddings/models", "/api/v1/endpoints/zdr", "/api/v1/presets"] {
        contract.get(path, path, 200).await;
    }
    contract.get("/api/v1/presets/{slug}", "/api/v1/presets/none", 404).await;
    let stranger = Key { text: "sk-wrong".into(), ..key.clone() };
    for path in ["/api/v1/key", "/api/v1/credits", "/api/v1/generation"] {
        let path_with = if path.ends_with("generation") { "/api/v1/generation?id=gen-00" } else { path };
        Contract { key: &stranger, document: contract.document.clone(), ..contract }.get(path, path_with, 401).await;
    }
}

/// Every answer of the management API, good and bad, against the document.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_to_a_program_that_manages_has_the_shape_of_the_document() {
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, "ada@example.com", "10", &["--expires", "2100-01-01T00:00:00Z"]).await;
    let plain = farebox.key("ada@example.com", "", &[]).await;
    let stranger = Key { text: "sk-wrong".into(), ..plain.clone() };
    let document = document(&farebox).await;
    let contract = |key| Contract { farebox: &farebox, key, document: document.clone() };
    let by_manager = contract(&manager);
    let (keys, one, code) = ("/api/v1/keys", "/api/v1/keys/{hash}", "/api/v1/auth/keys/code");
    let made = by_manager.send("post", keys, keys, Some(json!({ "name": "a", "limit": 1 })), 201).await;
    let path = format!("{keys}/{}", made["data"]["hash"].as_str().expect("a hash"));
    by_manager.send("get", keys, "/api/v1/keys?include_disabled=true", None, 200).await;
    by_manager.send("get", one, &path, None, 200).await;
    by_manager.send("patch", one, &path, Some(json!({ "limits": { "daily": 1, "monthly": 2 } })), 200).await;
    by_manager.send("patch", one, &path, Some(json!({ "limit": 3 })), 409).await;
    by_manager.send("patch", one, &path, Some(json!({ "more": 3 })), 400).await;
    by_manager.send("post", keys, keys, Some(json!({ "name": "a", "expires_at": "2020-01-01T00:00:00Z" })), 403).await;
    by_manager.send("post", keys, keys, Some(json!({ "name": "a", "workspace_id": "x" })), 404).await;
    by_manager.send("post", keys, keys, Some(json!({ "name": "x".repeat(70_000) })), 413).await;
    by_manager.send("get", keys, "/api/v1/keys?offset=x", None, 400).await;
    for path in ["/api/v1/activity", "/api/v1/organization/members"] {
        by_manager.send("get", path, path, None, 200).await;
    }
    by_manager.send("get", "/api/v1/activity", "/api/v1/activity?date=2020-01-01", None, 404).await;
    let (meta, query) = ("/api/v1/analytics/meta", "/api/v1/analytics/query");
    by_manager.send("get", meta, meta, None, 200).await;
    let question =
        json!({ "metrics": ["request_count", "total_usage"], "dimensions": ["model"], "granularity": "day" });
    by_manager.send("post", query, query, Some(question), 200).await;
    by_manager.send("post", query, query, Some(json!({ "metrics": ["nothing"] })), 400).await;
    let (writing, preset) = ("/api/v1/presets/{slug}/chat/completions", "/api/v1/presets/poet/chat/completions");
    by_manager.send("post", writing, preset, Some(json!({ "model": "sandbox/echo" })), 200).await;
    by_manager.send("post", writing, preset, Some(json!({ "temperature": 9 })), 400).await;
    let (slug, versions) = ("/api/v1/presets/{slug}", "/api/v1/presets/{slug}/versions");
    by_manager.send("get", slug, "/api/v1/presets/poet", None, 200).await;
    by_manager.send("get", versions, "/api/v1/presets/poet/versions", None, 200).await;
    let version = "/api/v1/presets/{slug}/versions/{version}";
    by_manager.send("get", version, "/api/v1/presets/poet/versions/1", None, 200).await;
    let byok = "/api/v1/byok";
    let own = json!({ "provider": "openai", "key": "sk-own-0123456789abcdef", "is_fallback": true });
    let stored = by_manager.send("post", byok, byok, Some(own.clone()), 201).await;
    by_manager.send("post", byok, byok, Some(own), 409).await;
    by_manager.send("post", byok, byok, Some(json!({ "provider": "openai" })), 400).await;
    by_manager.send("get", byok, byok, None, 200).await;
    let (stored, named) = (format!("{byok}/{}", stored["data"]["id"].as_str().expect("an id")), "/api/v1/byok/{id}");
    by_manager.send("get", named, &stored, None, 200).await;
    by_manager.send("patch", named, &stored, Some(json!({ "name": "Research" })), 200).await;
    by_manager.send("patch", named, &stored, Some(json!({ "is_byok_only": true })), 400).await;
    by_manager.send("delete", named, &stored, None, 200).await;
    by_manager.send("get", named, &stored, None, 404).await;
    by_manager.send("get", "/api/v1/organization/members", "/api/v1/organization/members?limit=0", None, 400).await;
    let shown = by_manager.send("get", "/api/v1/key", "/api/v1/key", None, 200).await;
    assert_eq!(
        (&shown["data"]["is_provisioning_key"], &shown["data"]["is_management_key"]),
        (&json!(true), &json!(true))
    );
    let wish = json!({ "callback_url": "https://app.example/", "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" });
    let asked = by_manager.send("post", code, code, Some(wish.clone()), 200).await;
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let exchange = json!({ "code": asked["data"]["id"], "code_verifier": verifier });
    let by_nobody = contract(&stranger);
    let auth = "/api/v1/auth/keys";
    by_nobody.send("post", auth, auth, Some(exchange.clone()), 200).await;
    by_nobody.send("post", auth, auth, Some(exchange), 403).await;
    by_nobody.send("post", auth, auth, Some(json!({})), 400).await;
    by_manager.send("delete", one, &path, None, 200).await;
    by_manager.send("delete", one, &path, None, 404).await;
    for (key, status) in [(&stranger, 401), (&plain, 403)] {
        let contract = contract(key);
        for (method, template, body) in [
            ("get", keys, None),
            ("post", keys, Some(json!({ "name": "a" }))),
            ("get", one, None),
            ("patch", one, Some(json!({}))),
            ("delete", one, None),
            ("get", "/api/v1/activity", None),
            ("get", "/api/v1/organization/members", None),
            ("post", code, Some(wish.clone())),
        ] {
            contract.send(method, template, &template.replace("{hash}", "0"), body, status).await;
        }
    }
}

#[tokio::test]
async fn every_operation_of_the_document_says_what_it_answers() {
    let farebox = Farebox::start().await;
    let document = document(&farebox).await;
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 14, "{} paths", paths.len());
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("methods") {
            let answers = operation["responses"].as_object().expect("answers");
            assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}");
            for (status, answer) in answers {
                let schema = &answer["content"]["application/json"]["schema"];
                assert!(schema.is_object(), "{method} {path} {status} has no schema");
            }
            for described in ["summary", "tags", "operationId"] {
                assert!(!operation[described].is_null(), "{method} {path} has no {described}");
            }
        }
    }
}

/// What parsers of clients demand of each model.
fn check_models(list: &Value) {
    let models = list["data"].as_array().expect("a list");
    assert!(models.len() >= 4 && list["object"] == "list", "{} models", models.len());
    assert_eq!(list["total_count"], models.len());
    for model in models {
        has(
            model,
            "model",
            &[
                ("id", text),
                ("name", text),
                ("description", text),
                ("canonical_slug", text),
                ("created", Value::is_u64),
                ("context_length", Value::is_u64),
                ("supported_parameters", Value::is_array),
                ("top_provider", Value::is_object),
                ("links", Value::is_object),
                ("default_parameters", Value::is_object),
                ("per_request_limits", Value::is_null),
            ],
        );
        assert_eq!(model["object"], "model", "{model}");
        assert!(text(&model["owned_by"]), "{model}");
        has(&model["pricing"], "pricing", &[("prompt", decimal), ("completion", decimal)]);
        for optional in ["input_cache_read", "input_cache_write"] {
            assert!(model["pricing"].get(optional).is_none_or(decimal), "{model}");
        }
        has(
            &model["architecture"],
            "architecture",
            &[
                ("modality", |value| value.as_str().is_some_and(|text| text.contains("->"))),
                ("input_modalities", Value::is_array),
                ("output_modalities", Value::is_array),
                ("tokenizer", text),
            ],
        );
    }
}

/// What clients read of the key.
fn check_key(key: &Value) {
    has(
        key,
        "key",
        &[
            ("label", text),
            ("limit", Value::is_number),
            ("limit_remaining", Value::is_number),
            ("usage", Value::is_number),
            ("usage_daily", Value::is_number),
            ("usage_weekly", Value::is_number),
            ("usage_monthly", Value::is_number),
            ("byok_usage", Value::is_number),
            ("is_free_tier", Value::is_boolean),
            ("is_provisioning_key", Value::is_boolean),
            ("include_byok_in_limit", Value::is_boolean),
        ],
    );
    has(&key["rate_limit"], "rate_limit", &[("requests", Value::is_i64), ("interval", text)]);
    for field in ["limit_reset", "expires_at", "creator_user_id"] {
        assert!(key.get(field).is_some(), "{field} is missing: {key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_all_that_clients_read_streamed_or_not() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let answer: Value = farebox.chat(&key, "sandbox/echo", "hi", json!({})).await.json().await.expect("JSON");
    assert!(answer.get("system_fingerprint").is_some(), "present, if only as null: {answer}");
    check_usage(&answer["usage"]);
    let message = answer["choices"][0]["message"].as_object().expect("a message");
    for omitted in ["tool_calls", "reasoning_content", "tool_call_id"] {
        assert!(!message.contains_key(omitted), "{omitted} is left out, not null: {answer}");
    }
    let stream = farebox.chat(&key, "sandbox/echo", "hi", json!({ "stream": true })).await;
    let events = lab::events(&stream.text().await.expect("a body"));
    let (last, chunks) = events.split_last().expect("chunks");
    check_usage(&last["usage"]);
    for chunk in chunks {
        for choice in chunk["choices"].as_array().expect("choices") {
            assert!(choice["delta"].is_object() && choice.get("finish_reason").is_some(), "{chunk}");
            assert!(matches!(choice["delta"]["role"].as_str(), None | Some("assistant")), "{chunk}");
            assert!(choice["delta"].as_object().is_some_and(|delta| delta.values().all(|v| !v.is_null())), "{chunk}");
        }
    }
}

fn check_usage(usage: &Value) {
    has(
        usage,
        "usage",
        &[
            ("prompt_tokens", Value::is_u64),
            ("completion_tokens", Value::is_u64),
            ("total_tokens", Value::is_u64),
            ("cost", Value::is_number),
            ("is_byok", Value::is_boolean),
            ("cost_details", Value::is_object),
        ],
    );
    assert!(usage["prompt_tokens_details"]["cached_tokens"].is_u64(), "{usage}");
    assert!(usage["completion_tokens_details"]["reasoning_tokens"].is_u64(), "{usage}");
}

/// A request, as raw as needed, and the status that it must be refused with.
async fn refused(farebox: &Farebox, key: &Key, method: Method, path: &str, body: Vec<u8>, status: u16) {
    let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
    let request = farebox.http.request(method.clone(), farebox.url(path)).bearer_auth(&key.text);
    let answer = request.header("content-type", "application/json").body(body).send().await.expect("an answer");
    let (found, kind) = (answer.status(), answer.headers().get("content-type").cloned());
    let text = answer.text().await.expect("a body");
    assert_eq!(found, StatusCode::from_u16(status).expect("a status"), "{method} {path} {shown}: {text}");
    assert_eq!(kind.expect("a type"), "application/json", "{method} {path}");
    assert!(text.starts_with(&format!("{{\"error\":{{\"code\":{status},\"message\":\"")), "{method} {path}: {text}");
    let error: Value = serde_json::from_str(&text).expect("JSON");
    assert!(error["error"]["metadata"]["error_type"].is_string(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused_in_one_shape() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let message = json!({ "role": "user", "content": "hi" });
    let many = json!({ "model": "sandbox/echo", "messages": vec![&message; 1_001] }).to_string();
    let deep = format!("{{\"model\":\"sandbox/echo\",\"messages\":[{}{}]}}", "[".repeat(200), "]".repeat(200));
    let deeper = "[".repeat(200_000);
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("\u{0}", 400),
        ("null", 400),
        ("[]", 400),
        ("\"text\"", 400),
        ("{\"model\":\"sandbox/echo\"}", 400),
        ("{\"model\":\"sandbox/echo\",\"messages\":[]}", 400),
        ("{\"model\":\"sandbox/echo\",\"messages\":{}}", 400),
        ("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", 400),
        (deep.as_str(), 422),
        (deeper.as_str(), 422),
        (many.as_str(), 422),
    ] {
        refused(&farebox, &key, Method::POST, "/api/v1/chat/completions", body.into(), status).await;
    }
    refused(&farebox, &key, Method::POST, "/api/v1/chat/completions", b"{\"model\":\"\xff\"}".to_vec(), 400).await;
    for path in ["/api/v1/nothing", "/api/v1", "/v1/nothing", "/api/v1/chat"] {
        refused(&farebox, &key, Method::GET, path, Vec::new(), 404).await;
        refused(&farebox, &key, Method::POST, path, b"{}".to_vec(), 404).await;
    }
    for path in ["/api/v1/batches", "/v1/files/file-1", "/api/v1/audio/speech", "/api/v1/responses/resp_1"] {
        refused(&farebox, &key, Method::POST, path, b"{}".to_vec(), 404).await;
        let told = farebox.get(&key, path).await;
        let message = told["error"]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(path) && message.contains("not offered here"), "{told}");
    }
    for (method, path) in [
        (Method::GET, "/api/v1/chat/completions"),
        (Method::DELETE, "/api/v1/chat/completions"),
        (Method::POST, "/api/v1/models"),
        (Method::PUT, "/api/v1/key"),
        (Method::PATCH, "/v1/credits"),
    ] {
        refused(&farebox, &key, method, path, b"{}".to_vec(), 405).await;
    }
    refused(&farebox, &key, Method::POST, "/api/v1/credits/coinbase", b"{}".to_vec(), 410).await;
    refused(&farebox, &key, Method::GET, "/api/v1/credits/coinbase", Vec::new(), 405).await;
    assert_eq!(farebox.text("select posted::text from credit").await, "10.000000000000", "refusals cost nothing");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_beyond_the_limit_is_refused_with_or_without_its_length() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let body = json!({ "model": "sandbox/echo", "messages": [{ "role": "user", "content": "x".repeat(21_000_000) }] });
    let body = body.to_string();
    refused(&farebox, &key, Method::POST, "/api/v1/chat/completions", body.clone().into(), 413).await;
    // In chunks, nobody says beforehand how much will come.
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        body.as_bytes().chunks(1_000_000).map(|piece| Ok(piece.to_vec())).collect();
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text).body(stream);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 413);
    let answer = farebox.chat(&key, "sandbox/echo", &"word ".repeat(1_000), json!({ "max_tokens": 5 })).await;
    assert_eq!(answer.status(), 200, "the process goes on");
}

#[tokio::test]
async fn scripts_of_any_site_may_call_with_a_key() {
    let farebox = Farebox::start().await;
    for path in ["/api/v1/chat/completions", "/v1/models", "/api/v1/nothing"] {
        let preflight = farebox
            .http
            .request(Method::OPTIONS, farebox.url(path))
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, content-type, x-title");
        let answer = preflight.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("access-control-allow-origin"), "*");
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
        assert!(!answer.headers().contains_key("set-cookie"));
        let allowed = header("access-control-allow-headers");
        for name in ["authorization", "content-type", "x-title", "http-referer", "x-stainless-lang"] {
            assert!(allowed.contains(name), "{name} is not in {allowed}");
        }
        assert!(header("access-control-allow-methods").contains("POST"));
        let shown = header("access-control-expose-headers");
        for name in ["x-request-id", "x-generation-id", "retry-after", "idempotency-replayed", "x-ratelimit-remaining"]
        {
            assert!(shown.split(", ").any(|one| one == name), "{name} is not in {shown}");
        }
    }
    let plain = farebox.http.get(farebox.url("/api/v1/models")).header("origin", "https://app.example");
    let plain = plain.send().await.expect("an answer");
    assert_eq!(plain.headers()["access-control-allow-origin"], "*");
    for name in ["access-control-allow-methods", "access-control-allow-headers", "access-control-max-age"] {
        assert!(!plain.headers().contains_key(name), "{name} is of a preflight only");
    }
    // Pages are another matter.
    let page = farebox.http.get(farebox.url("/sign-in")).header("origin", "https://app.example");
    assert!(!page.send().await.expect("an answer").headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn careless_addresses_reach_the_same() {
    let farebox = Farebox::start().await;
    for path in ["/v1/models", "/api/v1/models/", "//api/v1//models", "/api//v1/models"] {
        let answer = farebox.http.get(farebox.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
    }
}

/// Whoever reads the reference finds every field that decides something.
#[test]
fn the_document_names_what_a_call_is_read_for() {
    let document = farebox::gateway::surface::openapi_document();
    let schemas = &document["components"]["schemas"];
    let has = |name: &str, fields: &[&str]| {
        let properties = &schemas[name]["properties"];
        for field in fields {
            assert!(properties.get(*field).is_some(), "{name} has no {field}: {properties}");
        }
    };
    let routed = ["provider", "preset", "session_id", "max_cost"];
    for name in ["ChatCompletionRequest", "CompletionRequest", "ResponseRequest", "EmbeddingsRequest", "RerankRequest"]
    {
        has(name, &routed);
        has(name, &["models"]);
    }
    has("MessageRequest", &routed);
    has("MessageRequest", &["fallbacks"]);
    has("ChatCompletionRequest", &["reasoning", "n", "response_format", "repetition_penalty"]);
    has(
        "ProviderPreferences",
        &[
            "order",
            "only",
            "ignore",
            "allow_fallbacks",
            "require_parameters",
            "data_collection",
            "zdr",
            "quantizations",
        ],
    );
    has("ProviderPreferences", &["sort", "max_price", "preferred_min_throughput", "preferred_max_latency"]);
    has("MaxPrices", &["prompt", "completion", "request", "image", "audio"]);
    let sorting = schemas["Sorting"].to_string();
    assert!(sorting.contains("balanced") && sorting.contains("partition"), "{sorting}");
    assert!(schemas["PreferredSpeed"].to_string().contains("p90"));
}
