//! Whatever a provider does, the client hears the right thing and pays for what was produced, once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::fake_upstream::{Behaviour, FakeUpstream, Refused};
use crate::support::lab::{self, Endpoint, Provider, Row};
use crate::support::{Farebox, Key, Options};

/// What the client is told.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// An answer.
    Fine,
    /// This status with an error body.
    Status(u16),
    /// 200, and later in the stream an error of this code.
    Later(u16),
}

/// What the log says was billed: prompt and answer tokens.
#[derive(Clone, Copy, Debug)]
enum Billed {
    Nothing,
    /// The numbers of the provider.
    Exactly(u64, u64),
    /// Counted here; the answer's tokens lie between these.
    Counted(u64, u64),
}

struct Fault {
    name: &'static str,
    behaviour: Behaviour,
    streamed: (Told, Billed),
    whole: (Told, Billed),
}

fn fault(name: &'static str, behaviour: Behaviour, streamed: (Told, Billed), whole: (Told, Billed)) -> Fault {
    Fault { name, behaviour, streamed, whole }
}

const BAD_GATEWAY: (Told, Billed) = (Told::Status(502), Billed::Nothing);

/// `broke` is the code of an error in the middle of a stream, which each protocol names in its own way.
fn faults(broke: u16) -> Vec<Fault> {
    use Behaviour as B;
    use Told::{Fine, Later, Status};
    let status = |status| B::Status { status, retry_after: Some(7) };
    let (default, free) = (Billed::Exactly(10, 6), Billed::Nothing);
    let (limited, busy, wrong) = ((Status(429), free), (Status(503), free), (Status(400), free));
    vec![
        fault("fine", B::default(), (Fine, default), (Fine, default)),
        fault("mute", B::HangBeforeHeaders, BAD_GATEWAY, BAD_GATEWAY),
        // Its headers and the first chunk, which has no words, were passed on.
        fault("stuck-at-once", B::HangAfter(0), (Later(502), free), BAD_GATEWAY),
        fault("stuck", B::HangAfter(3), (Later(502), Billed::Counted(3, 4)), BAD_GATEWAY),
        fault("429", status(429), limited, limited),
        fault("503", status(503), busy, busy),
        fault("500", status(500), BAD_GATEWAY, BAD_GATEWAY),
        fault("401", status(401), BAD_GATEWAY, BAD_GATEWAY),
        fault("400", status(400), wrong, wrong),
        fault("html", B::HtmlWith200, BAD_GATEWAY, BAD_GATEWAY),
        fault("cut", B::TruncatedStream(3), (Later(502), Billed::Counted(3, 4)), BAD_GATEWAY),
        fault("silent", B::NoUsage, (Fine, Billed::Counted(5, 8)), (Fine, Billed::Counted(5, 8))),
        fault("zero", B::ZeroUsage, (Fine, Billed::Exactly(0, 0)), (Fine, Billed::Exactly(0, 0))),
        fault("long", B::HugeLine(900_000), (Fine, Billed::Exactly(10, 1)), (Fine, Billed::Exactly(10, 1))),
        // A line of a stream may be as long as a megabyte, an answer in one piece much longer.
        fault("huge", B::HugeLine(3_000_000), (Later(502), free), (Fine, Billed::Exactly(10, 1))),
        fault("error", B::ErrorInStream(3), (Later(broke), Billed::Counted(3, 4)), BAD_GATEWAY),
        fault("error-at-once", B::ErrorInStream(0), (Later(broke), free), BAD_GATEWAY),
        fault("empty", B::EmptyCompletion, (Fine, Billed::Exactly(10, 0)), (Fine, Billed::Exactly(10, 0))),
        fault("split", B::SplitUtf8, (Fine, Billed::Exactly(10, 12)), (Fine, Billed::Exactly(10, 12))),
        fault("crlf", B::CrLf, (Fine, default), (Fine, default)),
    ]
}

fn impatient() -> Options {
    let env = vec![("FAREBOX_TIMEOUT_FIRST_BYTE_SECONDS", "4".into()), ("FAREBOX_TIMEOUT_IDLE_SECONDS", "2".into())];
    Options { env, ..Options::default() }
}

/// The name of a model: the same fault is asked for streamed and whole, each under a name of its own.
fn model(kind: &str, fault: &Fault, stream: bool) -> String {
    format!("lab-{kind}/{}-{}", fault.name, if stream { "stream" } else { "whole" })
}

/// What one call saw.
struct Seen {
    status: u16,
    retry_after: Option<String>,
    body: String,
}

async fn call(farebox: &Farebox, key: &Key, model: &str, more: Value) -> Seen {
    let answer = farebox.chat(key, model, "Say something.", more).await;
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
    Seen { status: answer.status().as_u16(), retry_after, body: answer.text().await.expect("a body") }
}

fn check_told(name: &str, told: Told, stream: bool, seen: &Seen) {
    let Seen { status, retry_after, body } = seen;
    match told {
        Told::Status(expected) => {
            assert_eq!(*status, expected, "{name}: {body}");
            let error: Value = serde_json::from_str(body).expect("an error body");
            assert_eq!(error["error"]["code"], expected, "{name}: {body}");
            assert!(error["error"]["message"].is_string(), "{name}: {body}");
            let waits = matches!(expected, 429 | 503).then(|| "7".to_owned());
            assert_eq!(retry_after, &waits, "{name}: {body}");
        }
        Told::Fine if stream => {
            let events = lab::events(body);
            let last = events.last().expect("a last event");
            assert!(*status == 200 && last["usage"]["cost"].is_number(), "{name}: {body}");
            assert!(events.iter().all(|event| event.get("error").is_none()), "{name}: {body}");
        }
        Told::Fine => {
            let answer: Value = serde_json::from_str(body).expect("JSON");
            assert!(*status == 200 && answer["usage"]["cost"].is_number(), "{name}: {body}");
        }
        Told::Later(code) => {
            assert_eq!(*status, 200, "{name}: {body}");
            let events = lab::events(body);
            let last = events.last().expect("a last event");
            assert_eq!(last["error"]["code"], code, "{name}: {last}");
            assert_eq!(last["choices"][0]["finish_reason"], "error", "{name}: {last}");
        }
    }
}

fn check_billed(name: &str, billed: Billed, row: &Row) {
    assert_eq!(row.overrun, "0.000000000000", "{name}: {row:?}");
    let tokens = (row.prompt_tokens.unsigned_abs(), row.completion_tokens.unsigned_abs());
    assert_eq!(row.cost, row.priced(), "{name}: {row:?}");
    match billed {
        Billed::Nothing => assert_eq!((tokens, row.counted_by.as_str()), ((0, 0), "nobody"), "{name}: {row:?}"),
        Billed::Exactly(prompt, completion) => {
            assert_eq!((tokens, row.counted_by.as_str()), ((prompt, completion), "upstream"), "{name}: {row:?}");
        }
        Billed::Counted(least, most) => {
            assert_eq!(row.counted_by, "here", "{name}: {row:?}");
            assert!(tokens.0 > 0 && (least..=most).contains(&tokens.1), "{name}: {row:?}");
        }
    }
}

/// Every fault, streamed and whole, at once.
async fn all_faults_of(kind: &str, faults: &[Fault]) {
    let fake = FakeUpstream::start();
    let url = fake.base_url();
    let mut names = Vec::new();
    for fault in faults {
        for stream in [true, false] {
            let name = model(kind, fault, stream);
            fake.behave(&name, fault.behaviour.clone());
            names.push((name, fault, stream));
        }
    }
    let endpoints: Vec<Endpoint<'_>> =
        names.iter().map(|(name, ..)| Endpoint { model: name, provider: "fake", upstream_model: name }).collect();
    let provider = Provider { slug: "fake", kind, base_url: &url, cancel_stops_billing: true };
    let farebox = lab::start(&lab::catalog(&[provider], &endpoints), impatient()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;

    let calls = names.iter().map(|(name, fault, stream)| {
        let (farebox, key) = (&farebox, &key);
        async move {
            let seen = call(farebox, key, name, json!({ "stream": stream, "max_tokens": 4000 })).await;
            let (told, billed) = if *stream { fault.streamed } else { fault.whole };
            check_told(name, told, *stream, &seen);
            let row = lab::row(farebox, name).await;
            check_billed(name, billed, &row);
            assert_eq!(row.http_status.unsigned_abs(), seen.status, "{name}: {row:?}");
            let fine = if matches!(told, Told::Fine) { "success" } else { "failed" };
            assert_eq!((row.status.as_str(), row.tries), (fine, 1), "{name}: {row:?}");
            let ends_badly = matches!(told, Told::Later(_)) && row.completion_tokens > 0;
            assert!(!ends_badly || row.finish_reason == "error", "{name}: {row:?}");
        }
    });
    join_all(calls).await;

    // One row for each generation that the provider produced.
    for produced in fake.produced().iter().filter(|produced| produced.completed && produced.usage_sent) {
        let rows: Vec<Row> = lab::rows(&farebox, &produced.model).await;
        assert_eq!(rows.len(), 1, "{}", produced.model);
        // An answer that could not be read was not delivered; its row has no more than that.
        let named = rows[0].status == "failed" || rows[0].upstream_id == produced.request_id;
        assert!(named, "{}: {:?}", produced.model, rows[0]);
    }
    assert_eq!(fake.produced().len(), names.len(), "nothing was asked twice");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_an_openai_upstream_are_told_and_billed_right() {
    all_faults_of("openai", &faults(502)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_an_anthropic_upstream_are_told_and_billed_right() {
    all_faults_of("anthropic", &faults(503)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_endpoint_answers_when_the_first_cannot() {
    let (fake, refused) = (FakeUpstream::start(), Refused::new());
    let (url, nobody) = (fake.base_url(), refused.base_url());
    let status = |status| Behaviour::Status { status, retry_after: None };
    let broken = [
        ("mute", Behaviour::HangBeforeHeaders),
        ("429", status(429)),
        ("500", status(500)),
        ("503", status(503)),
        ("401", status(401)),
        ("html", Behaviour::HtmlWith200),
    ];
    let mut names = vec![("both/refused".to_owned(), "nobody")];
    for (name, behaviour) in &broken {
        fake.behave(&format!("{name}-broken"), behaviour.clone());
        names.push((format!("both/{name}"), "broken"));
    }
    let upstream: Vec<String> = names.iter().map(|(name, _)| format!("{}-broken", &name["both/".len()..])).collect();
    let mut endpoints = Vec::new();
    for ((name, first), upstream_model) in names.iter().zip(&upstream) {
        endpoints.push(Endpoint { model: name, provider: first, upstream_model });
        endpoints.push(Endpoint { model: name, provider: "good", upstream_model: "good" });
    }
    for provider in ["nobody", "broken"] {
        endpoints.push(Endpoint { model: "all/down", provider, upstream_model: "500-broken" });
    }
    let provider = |slug, base_url| Provider { slug, kind: "openai", base_url, cancel_stops_billing: true };
    let providers = [provider("nobody", &nobody), provider("broken", &url), provider("good", &url)];
    let farebox = lab::start(&lab::catalog(&providers, &endpoints), impatient()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;

    let calls = names.iter().enumerate().map(|(at, (name, first))| {
        let (farebox, key) = (&farebox, &key);
        async move {
            let stream = at % 2 == 0;
            let order = json!({ "order": [first, "good"] });
            let seen = call(farebox, key, name, json!({ "stream": stream, "provider": order })).await;
            check_told(name, Told::Fine, stream, &seen);
            let row = lab::row(farebox, name).await;
            check_billed(name, Billed::Exactly(10, 6), &row);
            assert_eq!((row.provider.as_str(), row.tries), ("good", 2), "{name}: {row:?}");
        }
    });
    join_all(calls).await;

    // With a single try allowed, the fault is the answer.
    let only = json!({ "provider": { "order": ["nobody"], "allow_fallbacks": false } });
    let seen = call(&farebox, &key, "both/refused", only).await;
    check_told("both/refused", Told::Status(502), false, &seen);
    assert!(!seen.body.contains("previous_errors"), "there was none before: {}", seen.body);
    // When the last one fails as well, the error is about that, and names those before it; in a stream too.
    for stream in [false, true] {
        let order = json!({ "stream": stream, "provider": { "order": ["nobody", "broken"] } });
        let seen = call(&farebox, &key, "all/down", order).await;
        check_told("all/down", Told::Status(502), stream, &seen);
        let error: Value = serde_json::from_str(&seen.body).expect("an error body");
        let metadata = &error["error"]["metadata"];
        assert_eq!(metadata["provider_name"], "Lab broken", "{}", seen.body);
        let before = metadata["previous_errors"].as_array().expect("a list");
        assert_eq!(before.len(), 1, "{}", seen.body);
        assert_eq!((&before[0]["provider"], &before[0]["code"]), (&json!("nobody"), &json!(502)), "{}", seen.body);
        assert!(before[0]["message"].is_string() && before[0]["status"].is_null(), "{}", seen.body);
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_is_not_sent_to_the_next_endpoint() {
    let fake = FakeUpstream::start();
    let url = fake.base_url();
    fake.behave("picky", Behaviour::Status { status: 400, retry_after: None });
    let provider = |slug| Provider { slug, kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoints = [
        Endpoint { model: "both/picky", provider: "first", upstream_model: "picky" },
        Endpoint { model: "both/picky", provider: "second", upstream_model: "good" },
    ];
    let farebox = lab::start(&lab::catalog(&[provider("first"), provider("second")], &endpoints), impatient()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let seen = call(&farebox, &key, "both/picky", json!({ "provider": { "order": ["first", "second"] } })).await;
    check_told("both/picky", Told::Status(400), false, &seen);
    assert!(fake.produced_by("good").is_empty(), "another endpoint would say the same");
    farebox.holds_are_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_key_reaches_the_provider_and_nobody_else() {
    const UPSTREAM_KEY: &str = "sk-upstream-do-not-tell-4711";
    let fake = FakeUpstream::start();
    let url = fake.base_url();
    fake.behave("leaky", Behaviour::Status { status: 401, retry_after: None });
    let provider = Provider { slug: "keyed", kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoint = |model, upstream_model| Endpoint { model, provider: "keyed", upstream_model };
    let endpoints = [endpoint("keyed/leaky", "leaky"), endpoint("keyed/fine", "fine")];
    let catalog = lab::catalog(&[provider], &endpoints)
        .replace("kind = \"openai\"\n", "kind = \"openai\"\nkey_env = \"LAB_KEY\"\n");
    let farebox = lab::start(&catalog, Options::default()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let without = call(&farebox, &key, "keyed/fine", json!({})).await;
    assert_eq!(without.status, 503, "without its key a provider cannot serve: {}", without.body);
    assert!(fake.produced().is_empty());

    let stored = farebox.cli_with(&["providers", "set-key", "keyed"], UPSTREAM_KEY).await;
    assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
    let mut status = 0;
    for _ in 0..40 {
        status = call(&farebox, &key, "keyed/fine", json!({})).await.status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 200, "the stored key is used without a restart\n{}", farebox.log());
    let leaked = call(&farebox, &key, "keyed/leaky", json!({})).await;
    assert_eq!(leaked.status, 502, "{}", leaked.body);
    assert!(!leaked.body.contains(UPSTREAM_KEY) && !farebox.log().contains(UPSTREAM_KEY), "{}", leaked.body);
    let sent = fake.produced();
    assert!(sent.iter().all(|one| one.headers["authorization"] == format!("Bearer {UPSTREAM_KEY}")));
    assert!(
        !sent.iter().any(|one| format!("{one:?}").contains(&key.text)),
        "our key is none of the provider's business"
    );
}
