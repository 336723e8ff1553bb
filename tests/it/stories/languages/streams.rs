//! Whole and streamed answers, errors of providers, and clients that leave.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::{Call, catalog, events, is_booked, laboratory, usage};
use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::{Options, lab};

/// The words of an answer, whole or streamed.
fn words(call: Call, seen: &[(String, Value)]) -> String {
    let of = |event: &Value| match call {
        Call::Completions => event["choices"][0]["text"].as_str().map(str::to_owned),
        Call::Responses if event["object"] == "response" => event["output_text"].as_str().map(str::to_owned),
        Call::Responses if event["type"] == "response.output_text.delta" => event["delta"].as_str().map(str::to_owned),
        Call::Messages if event["type"] == "message" => event["content"][0]["text"].as_str().map(str::to_owned),
        Call::Messages if event["type"] == "content_block_delta" => event["delta"]["text"].as_str().map(str::to_owned),
        _ => None,
    };
    seen.iter().filter_map(|(_, event)| of(event)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_the_same_whole_and_streamed_and_billed_once() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    let good = Behaviour::Ok { prompt: 20, completion: 8, text: "Grüße aus dem Labor.".into() };
    for model in ["lab/text", "lab/claude"] {
        upstream.behave(model.trim_start_matches("lab/"), good.clone());
        for call in Call::WRITTEN {
            for streamed in [false, true] {
                let answer = call.send(&farebox, &key, model, json!({ "stream": streamed })).await;
                assert_eq!(answer.status(), 200, "{call:?}");
                let id = answer.headers()["x-generation-id"].to_str().expect("text").to_owned();
                let text = answer.text().await.expect("a body");
                let seen = if streamed {
                    events(&text)
                } else {
                    vec![(String::new(), serde_json::from_str(&text).expect("JSON"))]
                };
                assert_eq!(words(call, &seen), "Grüße aus dem Labor.", "{call:?} {model}: {text}");
                assert!(text.contains(&id), "{call:?} tells its own id: {text}");
                assert!(
                    !text.contains("chatcmpl-fake") && !text.contains("msg_fake"),
                    "the provider's own ids stay inside: {text}"
                );
                // One row for each call; asked by this name it is the newest.
                let told = usage(call, &seen);
                sqlx::query("update usage set model_asked = 'earlier' where model_asked = $1 and id <> $2")
                    .bind(model)
                    .bind(id.parse::<farebox::base::ids::CallId>().expect("an id").0)
                    .execute(&farebox.pool)
                    .await
                    .expect("renamed");
                is_booked(&farebox, model, &told, "0.000036").await;
            }
        }
    }
    let asked = upstream.produced();
    assert_eq!(asked.len(), 12, "every call asked once");
    assert!(asked.iter().all(|one| one.body["model"] == one.model.as_str()), "by the provider's own name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_provider_is_told_in_the_clients_words() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    for call in Call::ALL {
        for (status, told) in [(400, 400), (429, 429), (500, 502), (503, 503), (401, 502)] {
            upstream
                .behave(call.model().trim_start_matches("lab/"), Behaviour::Status { status, retry_after: Some(7) });
            let answer = call.send(&farebox, &key, call.model(), json!({})).await;
            assert_eq!(answer.status(), told, "{call:?} {status}");
            assert_eq!(answer.headers().get("retry-after").is_some(), matches!(told, 429 | 503), "{call:?} {status}");
            // A key that is refused is so again.
            let is_final = answer.headers().get("x-should-retry").is_some_and(|told| told == "false");
            assert_eq!(is_final, matches!(status, 400 | 401), "{call:?} {status}");
            let body: Value = answer.json().await.expect("JSON");
            let message = call.told(told, &body);
            assert!(message.starts_with("Provider returned error"), "{body}");
            // Why is told where it is about the request.
            assert_eq!(message.contains("error: "), told < 500, "{body}");
        }
    }
    farebox.holds_are_closed().await;
    assert_eq!(farebox.text("select posted::text from credit").await, "10.000000000000", "errors cost nothing");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_ends_in_the_clients_words_and_what_was_written_is_billed() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    for model in ["lab/text", "lab/claude"] {
        upstream.behave(model.trim_start_matches("lab/"), Behaviour::ErrorInStream(3));
        for call in Call::WRITTEN {
            let answer = call.send(&farebox, &key, model, json!({ "stream": true })).await;
            assert_eq!(answer.status(), 200);
            let text = answer.text().await.expect("a body");
            let seen = events(&text);
            let (name, last) = seen.last().expect("events");
            match call {
                Call::Completions => {
                    assert_eq!(last["choices"][0]["finish_reason"], "error", "{text}");
                    assert!(last["error"]["message"].is_string() && text.ends_with("data: [DONE]\n\n"), "{text}");
                }
                Call::Responses => {
                    assert_eq!(name, "response.failed", "{text}");
                    assert_eq!(last["response"]["status"], "failed");
                    assert!(last["response"]["error"]["message"].is_string(), "{text}");
                }
                Call::Messages => {
                    assert_eq!((name.as_str(), &last["type"]), ("error", &json!("error")), "{text}");
                    assert!(last["error"]["type"].is_string(), "{text}");
                }
                Call::Embeddings | Call::Rerank => unreachable!("they do not stream"),
            }
            assert!(usage(call, &seen)["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{text}");
        }
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

/// Leaves a stream in the middle. What was written until then is paid for where that ends the provider's bill, and all of it
/// where it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_a_stream_pays_what_the_provider_bills() {
    for stops in [true, false] {
        let upstream = FakeUpstream::start();
        let farebox = lab::start(&catalog(&upstream, stops), Options::default()).await;
        let key = farebox.key("ada@example.com", "10", &[]).await;
        for (model, call) in [
            ("lab/text", Call::Completions),
            ("lab/text", Call::Responses),
            ("lab/text", Call::Messages),
            ("lab/claude", Call::Messages),
        ] {
            upstream.forget();
            let slow = Behaviour::Slow { chunks: 12, ms_per_chunk: 120 };
            upstream.behave(model.trim_start_matches("lab/"), slow);
            let answer = call.send(&farebox, &key, model, json!({ "stream": true })).await;
            assert_eq!(answer.status(), 200);
            let (mut body, mut text) = (answer.bytes_stream(), String::new());
            while text.matches("tick").count() < 4 {
                let piece = body.next().await.expect("the stream goes on").expect("bytes");
                text.push_str(&String::from_utf8_lossy(&piece));
            }
            drop(body);
            let log = upstream.wait_until(Duration::from_secs(20), |log| log.iter().any(|one| one.ended())).await;
            farebox.holds_are_closed().await;
            let row = lab::rows(&farebox, model).await.pop().expect("a row");
            assert!(row.cancelled && row.status == "success", "{call:?}: {row:?}");
            assert_eq!(row.cost, row.priced(), "{call:?}: {row:?}");
            let billed = usize::try_from(row.completion_tokens).expect("a count");
            if stops {
                let sent = log[0].client_cancelled_at.expect("the provider heard it");
                assert!((4..=sent + 1).contains(&billed) && sent < 12, "{call:?}: {row:?} {sent}");
            } else {
                assert!(log[0].completed && billed == 12, "{call:?}: {row:?}");
            }
        }
        farebox.books_are_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_vectors_and_ranks_pays_for_them() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    for call in [Call::Embeddings, Call::Rerank] {
        upstream.forget();
        let name = call.model().trim_start_matches("lab/");
        upstream.behave(name, Behaviour::Slow { chunks: 10, ms_per_chunk: 40 });
        let asked = upstream.wait_until(Duration::from_secs(20), |log| !log.is_empty());
        tokio::select! {
            _ = call.send(&farebox, &key, call.model(), json!({})) => panic!("an answer came before the client could leave"),
            _ = asked => {}
        }
        let row = lab::row(&farebox, call.model()).await;
        let cost = if call == Call::Embeddings { "0.000010000000" } else { "0.001000000000" };
        assert_eq!((row.cost.as_str(), row.cancelled), (cost, true), "{row:?}");
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}
