//! Traces of calls, as a collector gets them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::lab::{self, Endpoint, Provider};
use crate::support::{Farebox, Key, Options};

/// The head and the body of what was sent.
type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

const PROMPT: &str = "my-private-question-31337";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub const HEADER: &str = "collector-secret-99";

/// A field of a protobuf message.
#[derive(Clone, Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// Reads a message of protobuf: numbers of fields, and their values in the order in which they stand.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let (first, rest) = bytes.split_first().expect("a number");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return value;
            }
            shift += 7;
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => {
                let (eight, rest) = bytes.split_at(8);
                bytes = rest;
                Field::Number(u64::from_le_bytes(eight.try_into().expect("eight bytes")))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("a length");
                let (text, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(text.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, value));
    }
    found
}

fn messages(bytes: &[u8], number: u64) -> Vec<Vec<u8>> {
    let all = fields(bytes).into_iter().filter(|(field, _)| *field == number);
    all.map(|(_, value)| match value {
        Field::Bytes(bytes) => bytes,
        Field::Number(_) => panic!("field {number} is no message"),
    })
    .collect()
}

fn text(bytes: &[u8], number: u64) -> String {
    messages(bytes, number).first().map(|text| String::from_utf8(text.clone()).expect("text")).unwrap_or_default()
}

fn number(bytes: &[u8], wanted: u64) -> u64 {
    fields(bytes)
        .into_iter()
        .find_map(|(field, value)| match value {
            Field::Number(number) if field == wanted => Some(number),
            _ => None,
        })
        .unwrap_or_default()
}

fn any(bytes: &[u8]) -> Value {
    match fields(bytes).into_iter().next() {
        Some((1, Field::Bytes(text))) => json!(String::from_utf8(text).expect("text")),
        Some((2, Field::Number(yes))) => json!(yes == 1),
        Some((3, Field::Number(whole))) => json!(whole),
        Some((5, Field::Bytes(list))) => messages(&list, 1).iter().map(|one| any(one)).collect(),
        other => panic!("{other:?}"),
    }
}

fn attributes(bytes: &[u8], field: u64) -> BTreeMap<String, Value> {
    messages(bytes, field).iter().map(|pair| (text(pair, 1), any(&messages(pair, 2)[0]))).collect()
}

#[derive(Clone, Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    start: u64,
    end: u64,
    attributes: BTreeMap<String, Value>,
    failed: bool,
}

/// Takes what is sent, as a collector does, or refuses it.
pub struct Collector {
    url: String,
    /// Bodies, and the heads with which they came.
    taken: Taken,
}

impl Collector {
    pub async fn start(status: u16) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, status, Arc::clone(&shared)));
            }
        });
        Collector { url, taken }
    }

    pub fn raw(&self) -> Vec<u8> {
        self.taken.lock().expect("the bodies").iter().flat_map(|(_, body)| body.clone()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let hex = |bytes: &Vec<u8>| hex::encode(bytes);
        let mut spans = Vec::new();
        for (head, body) in self.taken.lock().expect("the bodies").iter() {
            assert!(head.starts_with("POST /v1/traces "), "{head}");
            let head = head.to_lowercase();
            assert!(head.contains("content-type: application/x-protobuf"), "{head}");
            assert!(head.contains(&format!("authorization: bearer {HEADER}")), "{head}");
            for resource in messages(body, 1) {
                let about = attributes(&messages(&resource, 1)[0], 1);
                assert_eq!(about["service.name"], "farebox-of-a-test");
                for scope in messages(&resource, 2) {
                    assert_eq!(text(&messages(&scope, 1)[0], 1), "farebox");
                    for span in messages(&scope, 2) {
                        spans.push(Span {
                            trace: hex(&messages(&span, 1)[0]),
                            id: hex(&messages(&span, 2)[0]),
                            parent: messages(&span, 4).first().map(hex).unwrap_or_default(),
                            name: text(&span, 5),
                            kind: number(&span, 6),
                            start: number(&span, 7),
                            end: number(&span, 8),
                            attributes: attributes(&span, 9),
                            failed: messages(&span, 15).first().is_some_and(|status| number(status, 3) == 2),
                        });
                    }
                }
            }
        }
        spans
    }

    /// Waits until so many traces have come whole; they are sent in one piece each.
    async fn wait_for(&self, roots: usize) -> Vec<Span> {
        for _ in 0..200 {
            let spans = self.spans();
            if spans.iter().filter(|span| span.kind == 2).count() >= roots {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("traces are missing: {:?}", self.spans());
    }
}

async fn serve(mut socket: TcpStream, status: u16, taken: Taken) {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 16_384];
        let Ok(count) = socket.read(&mut piece).await else { return };
        if count == 0 {
            return;
        }
        bytes.extend_from_slice(&piece[..count]);
        let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.unwrap_or_default();
        if bytes.len() < at + 4 + length {
            continue;
        }
        taken.lock().expect("the bodies").push((head, bytes[at + 4..at + 4 + length].to_vec()));
        bytes.drain(..at + 4 + length);
        let answer = format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\n\r\n");
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn farebox(fake: &FakeUpstream, env: Vec<(&'static str, String)>) -> (Farebox, Key) {
    let url = fake.base_url();
    let provider = |slug| Provider { slug, kind: "openai", base_url: &url, cancel_stops_billing: true };
    let endpoint = |provider, upstream_model| Endpoint { model: "lab/model", provider, upstream_model };
    let catalog =
        lab::catalog(&[provider("one"), provider("two")], &[endpoint("one", "broken"), endpoint("two", "model")]);
    fake.behave("broken", Behaviour::Status { status: 500, retry_after: None });
    let farebox = lab::start(&catalog, Options { env, ..Options::default() }).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    (farebox, key)
}

pub fn traced(collector: &Collector, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut env = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{HEADER}")),
        ("OTEL_SERVICE_NAME", "farebox-of-a-test".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
    ];
    env.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    env
}

async fn call(farebox: &Farebox, key: &Key, model: &str, parent: Option<&str>, stream: bool) -> u16 {
    let body = json!({
        "model": model, "stream": stream, "max_tokens": 50, "provider": { "order": ["one", "two"] },
        "messages": [{ "role": "user", "content": PROMPT }],
    });
    let mut request = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text).json(&body);
    if let Some(parent) = parent {
        request = request.header("traceparent", parent);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    answer.bytes().await.expect("its body");
    status
}

async fn metric(farebox: &Farebox, name: &str) -> u64 {
    let text = farebox.http.get(farebox.url("/metrics")).send().await.expect("an answer").text().await.expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_a_tree_of_spans_without_any_content() {
    let (fake, collector) = (FakeUpstream::start(), Collector::start(200).await);
    let (farebox, key) = farebox(&fake, traced(&collector, &[])).await;
    assert_eq!(call(&farebox, &key, "lab/model", Some(PARENT), true).await, 200);
    let spans = collector.wait_for(1).await;
    let root = spans.iter().find(|span| span.kind == 2).expect("the call");
    assert_eq!((root.trace.as_str(), root.parent.as_str()), ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"));
    assert_eq!(root.name, "chat lab/model");
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["chat lab/model", "authenticate", "route", "admit", "chat broken", "chat model", "settle"]);
    for span in &spans[1..] {
        assert_eq!((&span.trace, &span.parent), (&root.trace, &root.id), "{}", span.name);
        assert!(span.start <= span.end && root.start <= span.start && span.end <= root.end, "{span:?} in {root:?}");
    }
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}"));
    let (broken, answered, settle) = (of("chat broken"), of("chat model"), of("settle"));
    assert!(broken.failed && !answered.failed && !root.failed && broken.kind == 3);
    assert_eq!(broken.attributes["error.type"], "error");
    assert_eq!(broken.attributes["http.response.status_code"], 500);
    let row: (String, i64, i64, String) = sqlx::query_as(
        "select id::text, prompt_tokens, completion_tokens, trim_scale(cost)::text from usage where status = 'success'",
    )
    .fetch_one(&farebox.pool)
    .await
    .expect("the row");
    for (span, name, value) in [
        (answered, "gen_ai.operation.name", json!("chat")),
        (answered, "gen_ai.provider.name", json!("two")),
        (answered, "gen_ai.request.model", json!("model")),
        (answered, "gen_ai.request.max_tokens", json!(50)),
        (answered, "gen_ai.response.model", json!("lab/model")),
        (answered, "gen_ai.response.finish_reasons", json!(["stop"])),
        (answered, "gen_ai.usage.input_tokens", json!(row.1)),
        (answered, "gen_ai.usage.output_tokens", json!(row.2)),
        (root, "gen_ai.request.model", json!("lab/model")),
        (root, "gen_ai.request.stream", json!(true)),
        (root, "http.response.status_code", json!(200)),
        (root, "farebox.call", json!(format!("gen-{}", row.0.replace('-', "")))),
        (settle, "farebox.charged_usd", json!(row.3)),
        (settle, "farebox.durable", json!("committed")),
    ] {
        assert_eq!(span.attributes.get(name), Some(&value), "{name} of {}: {:?}", span.name, span.attributes);
    }
    assert!(!root.attributes.contains_key("gen_ai.usage.input_tokens"), "tokens stand once");
    // The upstreams are told of their own span.
    let told: Vec<String> = fake.produced().iter().map(|one| one.headers["traceparent"].clone()).collect();
    assert_eq!(told, [broken, answered].map(|span| format!("00-{}-{}-01", span.trace, span.id)));

    // A call that is refused is one, too, and one in one piece.
    assert_eq!(call(&farebox, &key, "nobody/nothing", None, false).await, 404);
    assert_eq!(call(&farebox, &key, "lab/model", None, false).await, 200);
    let spans = collector.wait_for(3).await;
    let refused = spans.iter().find(|span| span.name == "chat nobody/nothing").expect("the refused call");
    assert!(refused.failed && refused.parent.is_empty() && refused.attributes["http.response.status_code"] == 404);
    let traces: std::collections::BTreeSet<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), 3);

    let raw = String::from_utf8_lossy(&collector.raw()).into_owned();
    for (what, secret) in [
        ("the prompt", PROMPT),
        ("the answer", "Hello from the fake"),
        ("the key", key.text.as_str()),
        ("the key's secret", &key.text["sk-fb-v1-".len()..]),
        ("the collector's key", HEADER),
        ("an address", "ada@example.com"),
    ] {
        assert!(!raw.contains(secret) && !farebox.log().contains(secret), "{what} is in a trace or the log");
    }
    assert!(metric(&farebox, "farebox_spans_exported_total").await >= 7);
    assert_eq!(metric(&farebox, "farebox_spans_dropped_total").await, 0);
}

/// What a client does not wait for has no status that nobody sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_whose_client_left_is_cancelled_and_not_answered() {
    let (fake, collector) = (FakeUpstream::start(), Collector::start(200).await);
    let (farebox, key) = farebox(&fake, traced(&collector, &[])).await;
    fake.behave("broken", Behaviour::HangBeforeHeaders);
    let body = json!({ "model": "lab/model", "stream": true, "provider": { "order": ["one"] },
        "messages": [{ "role": "user", "content": PROMPT }] });
    let ask = || farebox.post(&key, "/api/v1/chat/completions", &body);
    // Before anything came.
    tokio::select! {
        _ = ask() => panic!("an answer came before the client could leave"),
        _ = fake.wait_until(Duration::from_secs(20), |log| log.iter().any(|one| one.model == "broken")) => {}
    }
    let spans = collector.wait_for(1).await;
    let of = |spans: &[Span], kind| spans.iter().rfind(|span| span.kind == kind).cloned().expect("a span");
    let (root, asked) = (of(&spans, 2), of(&spans, 3));
    assert!(asked.failed && root.failed, "{asked:?} {root:?}");
    assert_eq!(
        (&asked.attributes["error.type"], &root.attributes["error.type"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    assert!(!asked.attributes.contains_key("http.response.status_code"), "{asked:?}");
    assert_eq!(root.attributes["farebox.cancelled"], json!(true));

    // In the middle: that much was answered, and is charged, so the call did not fail.
    fake.behave("broken", Behaviour::Slow { chunks: 40, ms_per_chunk: 100 });
    let mut answer = ask().await;
    let mut read = String::new();
    while read.matches("\"content\":\"tick").count() < 3 {
        read.push_str(&String::from_utf8_lossy(&answer.chunk().await.expect("bytes").expect("a piece")));
    }
    drop(answer);
    let spans = collector.wait_for(2).await;
    let (root, asked) = (of(&spans, 2), of(&spans, 3));
    assert!(asked.failed && !root.failed, "{asked:?} {root:?}");
    assert_eq!(
        (&asked.attributes["error.type"], &asked.attributes["http.response.status_code"]),
        (&json!("cancelled"), &json!(200))
    );
    farebox.holds_are_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_may_decide_and_without_a_collector_nothing_is_made() {
    let (fake, collector) = (FakeUpstream::start(), Collector::start(200).await);
    let (farebox, key) =
        self::farebox(&fake, traced(&collector, &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")])).await;
    call(&farebox, &key, "lab/model", None, false).await;
    call(&farebox, &key, "lab/model", Some(&PARENT.replace("-01", "-00")), false).await;
    call(&farebox, &key, "lab/model", Some("no context"), false).await;
    call(&farebox, &key, "lab/model", Some(PARENT), false).await;
    let spans = collector.wait_for(1).await;
    assert_eq!(spans.iter().filter(|span| span.kind == 2).count(), 1, "{spans:?}");

    let fake = FakeUpstream::start();
    let (off, key) = self::farebox(&fake, Vec::new()).await;
    assert_eq!(call(&off, &key, "lab/model", Some(PARENT), false).await, 200);
    assert!(fake.produced().iter().all(|one| !one.headers.contains_key("traceparent")));
    assert_eq!(metric(&off, "farebox_spans_exported_total").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_does_not_take_them_costs_no_call_anything() {
    let (fake, collector) = (FakeUpstream::start(), Collector::start(400).await);
    let small = [("OTEL_BSP_MAX_QUEUE_SIZE", "2"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")];
    let (farebox, key) = self::farebox(&fake, traced(&collector, &small)).await;
    for _ in 0..6 {
        assert_eq!(call(&farebox, &key, "lab/model", None, false).await, 200);
    }
    farebox.holds_are_closed().await;
    for _ in 0..100 {
        if metric(&farebox, "farebox_spans_dropped_total").await >= 6 * 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(metric(&farebox, "farebox_spans_dropped_total").await >= 6 * 5);
    assert_eq!(metric(&farebox, "farebox_spans_exported_total").await, 0);
    assert!(!farebox.log().contains(HEADER));
    farebox.books_are_clean().await;
}
