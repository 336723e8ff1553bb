//! Clients leave at every moment. What they pay is what the provider bills: all of it where hanging up does not
//! end its bill, and what was produced until then where it does.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use crate::support::fake_upstream::{Behaviour, FakeUpstream, Produced};
use crate::support::lab::{self, Endpoint, Provider, Row};
use crate::support::{Farebox, Key, Options};

/// Chunks of a whole answer, one token each.
const CHUNKS: usize = 12;
const MS_PER_CHUNK: u64 = 150;
/// More than the whole answer takes.
const SOON: Duration = Duration::from_secs(20);

/// When the client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The provider was asked and has not answered.
    BeforeHeaders,
    /// The headers are here, and no word of the answer.
    BeforeFirstToken,
    /// This many chunks with words were read.
    Middle,
    /// The usage was read, and the end of the stream was not.
    AfterUsage,
}

const MOMENTS: [Moment; 4] = [Moment::BeforeHeaders, Moment::BeforeFirstToken, Moment::Middle, Moment::AfterUsage];
/// What is read before the client leaves in the middle.
const READ: usize = 4;

/// Makes a streamed call and leaves. Returns how many chunks with words were read.
async fn stream_and_leave(farebox: &Farebox, key: &Key, fake: &FakeUpstream, model: &str, moment: Moment) -> usize {
    let call = farebox.chat(key, model, "Count.", json!({ "stream": true }));
    if moment == Moment::BeforeHeaders {
        let asked = fake.wait_until(SOON, |log| log.iter().any(|one| one.model == model));
        tokio::select! {
            _ = call => panic!("an answer came before the client could leave"),
            _ = asked => {}
        }
        return 0;
    }
    let answer = call.await;
    assert_eq!(answer.status(), 200);
    if moment == Moment::BeforeFirstToken {
        return 0;
    }
    let (mut body, mut text) = (answer.bytes_stream(), String::new());
    while let Some(piece) = body.next().await {
        text.push_str(&String::from_utf8_lossy(&piece.expect("bytes")));
        let words = text.matches("\"content\":\"tick").count();
        if (moment == Moment::Middle && words >= READ) || text.contains("\"cost\":") {
            return words;
        }
    }
    panic!("the stream ended before the client left: {text}");
}

async fn ended(fake: &FakeUpstream, model: &str) -> Produced {
    let log = fake.wait_until(SOON, |log| log.iter().any(|one| one.model == model && one.ended())).await;
    log.into_iter().find(|one| one.model == model).expect("it is there")
}

/// All was produced, and all is paid for.
fn paid_in_full(name: &str, row: &Row, produced: &Produced) {
    assert!(produced.completed && produced.client_cancelled_at.is_none(), "{name}: {produced:?}");
    let tokens = (row.prompt_tokens.unsigned_abs(), row.completion_tokens.unsigned_abs());
    assert_eq!(tokens, (produced.prompt_tokens, produced.completion_tokens_sent), "{name}: {row:?}");
    assert_eq!(row.counted_by, "upstream", "{name}: {row:?}");
    assert_eq!(row.status, "success", "{name}: {row:?}");
}

/// The provider heard the client leave. What it had sent by then is paid for; a little may have been on the way.
fn paid_until_then(name: &str, row: &Row, produced: &Produced, read: usize) {
    let sent = produced.client_cancelled_at.unwrap_or_else(|| panic!("{name}: the provider went on: {produced:?}"));
    assert!(sent < CHUNKS, "{name}: the provider was not told in time: {produced:?}");
    let billed = usize::try_from(row.completion_tokens).expect("a count");
    if read == 0 && billed == 0 {
        assert_eq!((row.cost.as_str(), row.status.as_str()), ("0.000000000000", "failed"), "{name}: {row:?}");
        return;
    }
    // The trailing space of the text may be a token of its own.
    assert!((read..=sent + 1).contains(&billed), "{name}: read {read}, sent {sent}, billed {row:?}");
    assert_eq!((row.counted_by.as_str(), row.status.as_str()), ("here", "success"), "{name}: {row:?}");
}

async fn leaving(kind: &str) {
    let fake = FakeUpstream::start();
    let url = fake.base_url();
    let slow = Behaviour::Slow { chunks: CHUNKS, ms_per_chunk: MS_PER_CHUNK };
    let mut cases = Vec::new();
    for stops in [true, false] {
        for moment in MOMENTS {
            let name = format!("leave/{moment:?}-{}", if stops { "stops" } else { "goes-on" }).to_lowercase();
            fake.behave(&name, slow.clone());
            cases.push((name, stops, moment));
        }
    }
    let provider = |slug, stops| Provider { slug, kind, base_url: &url, cancel_stops_billing: stops };
    let endpoints: Vec<Endpoint<'_>> = cases
        .iter()
        .map(|(name, stops, _)| Endpoint {
            model: name,
            provider: if *stops { "stops" } else { "goes-on" },
            upstream_model: name,
        })
        .collect();
    let catalog = lab::catalog(&[provider("stops", true), provider("goes-on", false)], &endpoints);
    let farebox = lab::start(&catalog, Options::default()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;

    let calls = cases.iter().map(|(name, stops, moment)| {
        let (farebox, key, fake) = (&farebox, &key, &fake);
        async move {
            let read = stream_and_leave(farebox, key, fake, name, *moment).await;
            let produced = ended(fake, name).await;
            let row = lab::row(farebox, name).await;
            assert_eq!(row.cost, row.priced(), "{name}: {row:?}");
            if *stops && *moment != Moment::AfterUsage {
                paid_until_then(name, &row, &produced, read);
            } else {
                paid_in_full(name, &row, &produced);
            }
            assert_eq!(row.cancelled, *moment != Moment::AfterUsage, "{name}: {row:?}");
            let heard = if *moment == Moment::BeforeHeaders { row.http_status != 0 } else { row.http_status == 200 };
            assert!(heard, "{name}: {row:?}");
        }
    });
    futures_util::future::join_all(calls).await;
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_a_stream_pays_what_an_openai_upstream_bills() {
    leaving("openai").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_a_stream_pays_what_an_anthropic_upstream_bills() {
    leaving("anthropic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_an_answer_in_one_piece_pays_for_all_of_it() {
    let fake = FakeUpstream::start();
    let url = fake.base_url();
    let names = ["leave/stops", "leave/goes-on"];
    let provider = |slug, stops| Provider { slug, kind: "openai", base_url: &url, cancel_stops_billing: stops };
    let endpoints = names.map(|model| Endpoint { model, provider: &model["leave/".len()..], upstream_model: model });
    let catalog = lab::catalog(&[provider("stops", true), provider("goes-on", false)], &endpoints);
    let farebox = lab::start(&catalog, Options::default()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for name in names {
        fake.behave(name, Behaviour::Slow { chunks: CHUNKS, ms_per_chunk: 40 });
        let asked = fake.wait_until(SOON, |log| log.iter().any(|one| one.model == name));
        tokio::select! {
            _ = farebox.chat(&key, name, "Count.", json!({})) => panic!("an answer came before the client could leave"),
            _ = asked => {}
        }
        let produced = ended(&fake, name).await;
        let row = lab::row(&farebox, name).await;
        paid_in_full(name, &row, &produced);
        assert_eq!(row.cost, lab::price(10, CHUNKS as u64), "{row:?}");
        assert!(row.cancelled, "{row:?}");
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}
