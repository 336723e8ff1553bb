//! Vectors and ranks.

use serde_json::{Value, json};

use super::{Call, is_billed, is_booked, laboratory};
use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::{Farebox, lab};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_cost_what_was_read_and_ranks_their_units() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    upstream.behave("vectors", Behaviour::Ok { prompt: 25, completion: 0, text: String::new() });
    let more = json!({ "dimensions": 3, "encoding_format": "float", "user": "u1" });
    let answer = Call::Embeddings.send(&farebox, &key, "lab/vectors", more).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!((&body["object"], &body["model"]), (&json!("list"), &json!("lab/vectors")));
    assert_eq!(body["data"][1], json!({"object":"embedding","index":1,"embedding":[0.25,-0.5,1]}));
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["total_tokens"]), (&json!(25), &json!(25)));
    let sent = upstream.produced().pop().expect("it was asked").body;
    assert_eq!(
        sent,
        json!({"model":"vectors","input":["hello there","you"],"dimensions":3,"encoding_format":"float","user":"u1"})
    );
    is_booked(&farebox, "lab/vectors", &body["usage"], "0.000025").await;

    let documents: Vec<String> = (0..250).map(|number| format!("document {number}")).collect();
    let answer = Call::Rerank.send(&farebox, &key, "lab/ranks", json!({ "documents": documents, "top_n": 5 })).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["results"][0], json!({"index":249,"relevance_score":0.5,"document":{"text":"document 249"}}));
    assert_eq!(body["usage"]["search_units"], 3);
    is_booked(&farebox, "lab/ranks", &body["usage"], "0.003").await;
    is_billed(&farebox, "lab/ranks", &[("Input tokens", 10), ("Search units", 3)]).await;
    let id = body["id"].as_str().expect("an id");
    let record = farebox.get(&key, &format!("/api/v1/generation?id={id}")).await;
    assert_eq!(record["data"]["api_type"], "rerank", "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_provider_does_not_count_is_counted_here() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    for call in [Call::Embeddings, Call::Rerank] {
        upstream.behave(call.model().trim_start_matches("lab/"), Behaviour::NoUsage);
        let answer = call.send(&farebox, &key, call.model(), json!({})).await;
        assert_eq!(answer.status(), 200);
        let row = lab::row(&farebox, call.model()).await;
        assert_eq!((row.counted_by.as_str(), row.status.as_str()), ("here", "success"), "{row:?}");
        assert!((3..=20).contains(&row.prompt_tokens), "{row:?}");
        let cost = if call == Call::Embeddings {
            lab::price(row.prompt_tokens.unsigned_abs(), 0)
        } else {
            "0.001000000000".into()
        };
        assert_eq!(row.cost, cost, "{row:?}");
    }
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_answers_without_any_account() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    // Tokens instead of texts, as one library sends them.
    for input in [json!("the cat"), json!([11, 22]), json!([[11, 22], [33]])] {
        let answer = Call::Embeddings.send(&farebox, &key, "sandbox/embed", json!({ "input": input })).await;
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["data"][0]["embedding"].as_array().map(Vec::len), Some(256), "{body}");
    }
    let more = json!({ "query": "capital of France", "documents": ["Berlin", "Paris, the capital of France"] });
    let answer = Call::Rerank.send(&farebox, &key, "sandbox/rerank", more).await;
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(
        (&body["results"][0]["index"], body["usage"]["cost"].to_string().as_str()),
        (&json!(1), "0.001"),
        "{body}"
    );
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_called_for_what_it_does() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for (call, model, place) in [
        (Call::Embeddings, "sandbox/echo", "/chat/completions"),
        (Call::Rerank, "sandbox/embed", "/embeddings"),
        (Call::Messages, "sandbox/rerank", "/rerank"),
    ] {
        let answer = call.send(&farebox, &key, model, json!({})).await;
        assert_eq!(answer.status(), 404, "{call:?} {model}");
        let told = call.told(404, &answer.json().await.expect("JSON"));
        assert!(told.contains(place) && told.contains(model), "{told}");
    }
    // Where another of the named models can do it, that one does.
    let more = json!({ "models": ["sandbox/embed"] });
    let answer = Call::Embeddings.send(&farebox, &key, "sandbox/echo", more).await;
    assert_eq!(answer.json::<Value>().await.expect("JSON")["model"], "sandbox/embed");
}
