//! A limit holds to the last cent, whoever calls how often from where.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Farebox, Key, Options, calendar};

/// Calls at once; each costs exactly one cent.
const CALLS: usize = 500;

async fn two_processes() -> (Farebox, Farebox) {
    let first = Farebox::start().await;
    let options = Options { database_url: Some(first.database_url.clone()), ..Options::default() };
    let second = Farebox::with(options).await;
    (first, second)
}

async fn storm(first: &Farebox, second: &Farebox, key: &Key) -> Vec<u16> {
    let calls = (0..CALLS).map(|number| async move {
        let farebox = if number % 2 == 0 { first } else { second };
        let more = if number % 3 == 0 { json!({ "stream": true }) } else { json!({}) };
        let answer = farebox.chat(key, "sandbox/penny", "one cent", more).await;
        let status = answer.status().as_u16();
        let body = answer.text().await.expect("a body");
        if status != 200 {
            assert!(body.contains(&format!("\"code\":{status}")), "{body}");
        }
        status
    });
    join_all(calls).await
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|s| **s == status).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_with_a_dollar_makes_a_hundred_calls_of_a_cent() {
    let (first, second) = two_processes().await;
    let key = first.key("ada@example.com", "50", &["--limit", "1"]).await;
    let statuses = storm(&first, &second, &key).await;
    assert_eq!(count(&statuses, 200), 100, "{statuses:?}");
    assert_eq!(count(&statuses, 403), CALLS - 100, "the rest is told of the key's limit");
    first.holds_are_closed().await;
    let spent = first.text("select spent_total::text from meter where kind = 'key'").await;
    assert_eq!(spent, "1.000000000000");
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_with_a_dollar_makes_a_hundred_calls_of_a_cent() {
    let (first, second) = two_processes().await;
    let key = first.key("ada@example.com", "1", &[]).await;
    let statuses = storm(&first, &second, &key).await;
    assert_eq!(count(&statuses, 200), 100, "{statuses:?}");
    assert_eq!(count(&statuses, 402), CALLS - 100, "the rest is told of the credits");
    first.holds_are_closed().await;
    assert_eq!(first.text("select posted::text from credit").await, "0.000000000000");
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_windows_stand_on_one_key() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "5", &["--limit-daily", "0.03", "--limit-monthly", "1"]).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = farebox.chat(&key, "sandbox/penny", "x", json!({})).await;
        statuses.push(answer.status().as_u16());
        if answer.status() == 403 {
            let body = answer.text().await.expect("a body");
            assert!(body.contains("daily limit"), "{body}");
        }
    }
    assert_eq!(statuses, [200, 200, 200, 403, 403]);
    let shown = farebox.get(&key, "/api/v1/key").await;
    assert_eq!(shown["data"]["usage_daily"].to_string(), "0.03", "{shown}");
}
