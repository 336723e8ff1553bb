//! Several processes on one database: what one is told, the others obey within a second.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fake_upstream::FakeUpstream;
use crate::support::lab::{self, Endpoint, Provider};
use crate::support::size::heard_within;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, Options};

async fn two() -> (Farebox, Farebox) {
    let first = Farebox::start().await;
    let options = Options { database_url: Some(first.database_url.clone()), ..Options::default() };
    let second = Farebox::with(options).await;
    (first, second)
}

async fn status(farebox: &Farebox, key: &Key, model: &str) -> u16 {
    farebox.chat(key, model, "hi", json!({})).await.status().as_u16()
}

/// Calls until the status is as expected, which must be soon.
pub async fn turns_to(farebox: &Farebox, key: &Key, model: &str, expected: u16) {
    let begin = Instant::now();
    loop {
        let asked = begin.elapsed();
        let status = status(farebox, key, model).await;
        if status == expected {
            return;
        }
        assert!(asked < heard_within(), "{status} instead of {expected} after {asked:?}\n{}", farebox.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn run(farebox: &Farebox, statement: &'static str) {
    let done = sqlx::query(statement).execute(&farebox.pool).await.expect("the statement");
    assert_eq!(done.rows_affected(), 1, "{statement}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_disabled_or_deleted_is_refused_everywhere_within_a_second() {
    let (first, second) = two().await;
    let key = first.key("ada@example.com", "10", &[]).await;
    for farebox in [&first, &second] {
        // The key is remembered by both.
        assert_eq!(status(farebox, &key, "sandbox/echo").await, 200);
    }
    run(&first, "update api_key set disabled_at = now()").await;
    turns_to(&second, &key, "sandbox/echo", 403).await;
    turns_to(&first, &key, "sandbox/echo", 403).await;
    run(&second, "update api_key set disabled_at = null").await;
    turns_to(&first, &key, "sandbox/echo", 200).await;
    turns_to(&second, &key, "sandbox/echo", 200).await;
    run(&first, "update api_key set deleted_at = now()").await;
    turns_to(&second, &key, "sandbox/echo", 401).await;
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_member_does_on_one_node_counts_on_the_other_within_a_second() {
    let (first, second) = two().await;
    let mut ada = Visitor::member(&first, "ada@example.com", "correct horse battery").await;
    let key = first.key("ada@example.com", "10", &[]).await;
    assert_eq!(status(&second, &key, "sandbox/echo").await, 200);
    for (action, expected) in [("disable", 403), ("enable", 200), ("delete", 401)] {
        let page = ada.submit("/settings/profile", &format!("/keys/{}/{action}", key.id), &[]).await;
        assert_eq!(page.status, 303, "{action}: {}", page.body);
        turns_to(&second, &key, "sandbox/echo", expected).await;
        turns_to(&first, &key, "sandbox/echo", expected).await;
    }
    // Signed in here is signed in there.
    let mut there = Visitor::with_cookies(&second, ada.cookies());
    assert_eq!(there.get("/keys").await.status, 200);
    ada.submit("/settings/profile", "/sign-out", &[]).await;
    assert_eq!(there.get("/keys").await.status, 303, "and signed out there too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_organization_is_refused_everywhere_within_a_second() {
    let (first, second) = two().await;
    let key = first.key("ada@example.com", "10", &[]).await;
    assert_eq!(status(&second, &key, "sandbox/echo").await, 200);
    run(&first, "update org set frozen_at = now()").await;
    turns_to(&second, &key, "sandbox/echo", 403).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_limit_counts_for_the_next_call_on_every_node() {
    let (first, second) = two().await;
    let key = first.key("ada@example.com", "10", &[]).await;
    for farebox in [&first, &second] {
        assert_eq!(status(farebox, &key, "sandbox/penny").await, 200);
    }
    run(&first, "update meter set limit_total = 0.02 where kind = 'key'").await;
    assert_eq!(status(&second, &key, "sandbox/penny").await, 403, "two cents were spent already");
    run(&first, "update meter set limit_total = 0.03 where kind = 'key'").await;
    assert_eq!(status(&second, &key, "sandbox/penny").await, 200);
    assert_eq!(status(&first, &key, "sandbox/penny").await, 403);
    let spent = first.text("select spent_total::text from meter where kind = 'key'").await;
    assert_eq!(spent, "0.030000000000", "changing a limit resets nothing");
    first.holds_are_closed().await;
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_catalog_is_served_by_every_node_within_a_second() {
    let fake = FakeUpstream::start();
    let url = fake.base_url();
    let provider = Provider { slug: "fake", kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoint = Endpoint { model: "fake/model", provider: "fake", upstream_model: "model" };
    let catalog = lab::catalog(&[provider], &[endpoint]);
    let (first, second) = two().await;
    let key = first.key("ada@example.com", "10", &[]).await;
    assert_eq!(status(&second, &key, "fake/model").await, 404);
    lab::apply(&first.database_url, &catalog).await;
    turns_to(&second, &key, "fake/model", 200).await;
    turns_to(&first, &key, "fake/model", 200).await;

    let dearer = catalog.replace("prompt = \"1\"", "prompt = \"5\"");
    assert_ne!(dearer, catalog);
    lab::apply(&first.database_url, &dearer).await;
    let begin = Instant::now();
    loop {
        let asked = begin.elapsed();
        let answer: Value = second.chat(&key, "fake/model", "hi", json!({})).await.json().await.expect("JSON");
        // Ten at five dollars and six at two.
        let cost = answer["usage"]["cost"].to_string();
        if cost == "0.000062" {
            break;
        }
        assert!(asked < heard_within(), "the old price after {asked:?}: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listed = first.get(&key, "/api/v1/models/fake/model/endpoints").await;
    assert_eq!(listed["data"]["endpoints"][0]["pricing"]["prompt"], "0.000005", "{listed}");

    let closed = dearer.replace("retains_logs = false\n", "retains_logs = false\nenabled = false\n");
    lab::apply(&first.database_url, &closed).await;
    let begin = Instant::now();
    loop {
        let asked = begin.elapsed();
        let refused = status(&second, &key, "fake/model").await;
        if matches!(refused, 404 | 503) {
            break;
        }
        assert!(asked < heard_within(), "{refused} after {asked:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.books_are_clean().await;
}
