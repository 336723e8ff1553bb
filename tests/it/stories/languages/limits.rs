//! Limits of keys and organizations hold in every language, to the last cent, also for two callers at once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Call;
use crate::support::{Farebox, Key, Options};

/// Calls at once, in turns by two processes.
const CALLS: usize = 60;

fn model(call: Call) -> &'static str {
    match call {
        Call::Completions | Call::Responses | Call::Messages => "sandbox/penny",
        Call::Embeddings => "sandbox/embed",
        Call::Rerank => "sandbox/rerank",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_credits_or_no_limit_left_hears_it_in_their_own_words() {
    let farebox = Farebox::start().await;
    let poor = farebox.key("poor@example.com", "", &[]).await;
    let limited = farebox.key("ada@example.com", "10", &["--limit", "0.0000001"]).await;
    for call in Call::ALL {
        for (key, status, words) in
            [(&poor, 402, "Insufficient credits"), (&limited, 403, "Key limit exceeded (total limit)")]
        {
            for streamed in [false, true] {
                let answer = call.send(&farebox, key, model(call), json!({ "stream": streamed })).await;
                assert_eq!(answer.status(), status, "{call:?}");
                assert_eq!(answer.headers()["x-should-retry"], "false", "{call:?}");
                let body: Value = answer.json().await.expect("JSON");
                let told = call.told(status, &body);
                assert!(told.starts_with(words), "{call:?}: {told}");
                if call == Call::Messages {
                    let kind = if status == 402 { "billing_error" } else { "permission_error" };
                    assert_eq!(body["error"]["type"], kind, "{body}");
                }
            }
        }
        let stranger = Key { text: "sk-wrong".into(), ..poor.clone() };
        let answer = call.send(&farebox, &stranger, model(call), json!({})).await;
        assert_eq!(answer.status(), 401);
        call.told(401, &answer.json().await.expect("JSON"));
    }
    assert_eq!(farebox.text("select sum(spent_total)::text from meter").await, "0.000000000000");
    farebox.books_are_clean().await;
}

/// Each call costs a cent, or a tenth of one; the key's limit pays for ten of them.
async fn storm(call: Call, limit: &str) {
    let first = Farebox::start().await;
    let options = Options { database_url: Some(first.database_url.clone()), ..Options::default() };
    let second = Farebox::with(options).await;
    let key = first.key("ada@example.com", "50", &["--limit", limit]).await;
    let calls = (0..CALLS).map(|number| {
        let (farebox, key) = (if number % 2 == 0 { &first } else { &second }, &key);
        async move {
            let answer = call.send(farebox, key, model(call), json!({ "stream": number % 3 == 0 })).await;
            let status = answer.status().as_u16();
            let body = answer.text().await.expect("a body");
            if status != 200 {
                call.told(status, &serde_json::from_str(&body).expect("JSON"));
            }
            status
        }
    });
    let statuses = join_all(calls).await;
    let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(200), count(403)), (10, CALLS - 10), "{call:?}: {statuses:?}");
    first.holds_are_closed().await;
    let spent = first.text("select spent_total::text from meter where kind = 'key'").await;
    assert_eq!(spent.parse::<f64>().ok(), limit.parse::<f64>().ok(), "{call:?}");
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completions_stop_at_a_hard_limit() {
    storm(Call::Completions, "0.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_stop_at_a_hard_limit() {
    storm(Call::Responses, "0.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_stop_at_a_hard_limit() {
    storm(Call::Messages, "0.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranks_stop_at_a_hard_limit() {
    storm(Call::Rerank, "0.01").await;
}

/// Vectors cost by their tokens and hold more than that, so a limit is never passed but not always reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_stop_at_a_hard_limit() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "50", &["--limit", "0.0002"]).await;
    let calls = (0..CALLS).map(|_| {
        let (farebox, key) = (&farebox, &key);
        let input = "word ".repeat(100);
        async move {
            let answer = Call::Embeddings.send(farebox, key, "sandbox/embed", json!({ "input": input })).await;
            answer.status().as_u16()
        }
    });
    let mut statuses = join_all(calls).await;
    // One after the other, until none fits any more.
    for _ in 0..CALLS {
        let more = json!({ "input": "word ".repeat(100) });
        statuses.push(Call::Embeddings.send(&farebox, &key, "sandbox/embed", more).await.status().as_u16());
    }
    assert_eq!(statuses.last(), Some(&403), "{statuses:?}");
    farebox.holds_are_closed().await;
    let good = statuses.iter().filter(|status| **status == 200).count();
    let spent: rust_decimal::Decimal =
        farebox.text("select spent_total::text from meter where kind = 'key'").await.parse().expect("an amount");
    // A hundred words at ten cents per million.
    let each: rust_decimal::Decimal = "0.00001".parse().expect("an amount");
    assert_eq!(spent, each * rust_decimal::Decimal::from(good), "{statuses:?}");
    assert!(spent <= "0.0002".parse().expect("an amount") && good >= 1, "{spent} for {good}");
    farebox.books_are_clean().await;
}
