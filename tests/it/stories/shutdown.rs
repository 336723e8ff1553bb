//! A process that is told to stop takes no new work, ends what runs, settles it, and goes.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use crate::support::{Farebox, lab, scale};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_properly_although_the_process_is_told_to_stop() {
    let mut farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let answer = farebox.chat(&key, "sandbox/slow", "hello", json!({ "stream": true })).await;
    assert_eq!(answer.status(), 200);
    let mut body = answer.bytes_stream();
    let mut text = String::from_utf8_lossy(&body.next().await.expect("a chunk").expect("bytes")).into_owned();

    farebox.ask_to_stop();
    not_ready_within(&farebox, Duration::from_secs(1)).await;
    while let Some(piece) = body.next().await {
        text.push_str(&String::from_utf8_lossy(&piece.expect("the stream goes on to its end")));
    }
    let events = lab::events(&text);
    let last = events.last().expect("a last event");
    assert_eq!(last["usage"]["completion_tokens"], 20, "{text}");
    // A second signal would mean "at once", so this only waits.
    let status = farebox.ended().await;
    assert_eq!(status.code(), Some(0), "{}", farebox.log());
    // Nothing of that is a fault, and what is no terminal gets no colours.
    let log = farebox.log();
    assert!(!log.lines().any(|line| line.contains("failed") && line.contains("/readyz")), "{log}");
    assert!(!log.contains("deregister") && !log.contains('\u{1b}'), "{log}");

    assert_eq!(farebox.text("select count(*)::text from hold").await, "0", "settled before the end");
    let row = lab::row(&farebox, "sandbox/slow").await;
    assert_eq!((row.status.as_str(), row.completion_tokens), ("success", 20), "{row:?}");
    farebox.books_are_clean().await;
}

/// Load balancers hear it.
async fn not_ready_within(farebox: &Farebox, limit: Duration) {
    let deadline = std::time::Instant::now() + limit;
    loop {
        let answer = farebox.http.get(farebox.url("/readyz")).send().await.expect("readyz still answers");
        if answer.status() == 503 {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "still ready\n{}", farebox.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_idle_process_stops_at_once() {
    let mut farebox = Farebox::start().await;
    let begin = std::time::Instant::now();
    assert_eq!(farebox.stop().await.code(), Some(0), "{}", farebox.log());
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_a_process_at_once() {
    let mut farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let answer = farebox.chat(&key, "sandbox/slow", "hello", json!({ "stream": true })).await;
    assert_eq!(answer.status(), 200);
    farebox.ask_to_stop();
    not_ready_within(&farebox, Duration::from_secs(1)).await;
    let begin = std::time::Instant::now();
    assert_eq!(farebox.stop().await.code(), Some(130), "{}", farebox.log());
    // The code says that it did not wait for the answer that runs.
    assert!(begin.elapsed() < scale(Duration::from_secs(5), Duration::from_secs(1)), "{:?}", begin.elapsed());
}
