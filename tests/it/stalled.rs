//! Connections on which nothing comes: bodies that stop arriving, bodies that come slowly, and many connections at once.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Farebox, Options};

const PATIENCE: Duration = Duration::from_secs(4);
/// The patience, what the server takes to end a connection on which more is to come, and a busy machine.
const ENDED_WITHIN: Duration = Duration::from_secs(25);
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

async fn farebox() -> Farebox {
    let env = vec![("FAREBOX_TIMEOUT_BODY_SECONDS", PATIENCE.as_secs().to_string())];
    Farebox::with(Options { env, ..Options::default() }).await
}

fn host(farebox: &Farebox) -> &str {
    farebox.base.trim_start_matches("http://")
}

fn head(farebox: &Farebox, what: &str, kind: &str, more: &str) -> String {
    format!("{what} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n{more}\r\n", host(farebox))
}

/// Sends these bytes and no more, and reads until the server ends the connection. Returns when its answer came, too.
async fn until_ended(farebox: &Farebox, request: &str) -> (String, Duration) {
    let began = Instant::now();
    let mut socket = TcpStream::connect(host(farebox)).await.expect("a connection");
    socket.write_all(request.as_bytes()).await.expect("sent");
    let (mut answer, mut came) = (Vec::new(), None);
    loop {
        let read = timeout(ENDED_WITHIN, socket.read_buf(&mut answer)).await;
        if read.unwrap_or_else(|_| panic!("still open: {request}")).expect("an answer and an end") == 0 {
            break;
        }
        came.get_or_insert_with(|| began.elapsed());
    }
    (String::from_utf8(answer).expect("a text"), came.expect("an answer"))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_stops_in_the_middle_of_its_body_is_not_waited_for() {
    let farebox = farebox().await;
    // What anybody can send, without an account. The last ones are answered without their body.
    let chunked = "Transfer-Encoding: chunked\r\n";
    let requests = [
        (true, head(&farebox, "POST /sign-in", FORM, "Content-Length: 1000\r\n") + "email=a"),
        (true, head(&farebox, "POST /sign-up", FORM, "Content-Length: 1000\r\n")),
        (true, head(&farebox, "POST /sign-in", FORM, chunked) + "5\r\nema"),
        (true, head(&farebox, "POST /api/v1/auth/keys", JSON, "Content-Length: 1000\r\n") + "{\"code\""),
        (true, head(&farebox, "POST /api/v1/auth/keys", JSON, chunked) + "8\r\n{\"code\""),
        (false, head(&farebox, "GET /healthz", JSON, "Content-Length: 1000\r\n")),
        (false, head(&farebox, "GET /healthz", JSON, chunked)),
        (false, head(&farebox, "POST /api/v1/chat/completions", JSON, chunked) + "1\r\n{"),
    ];
    let answers = requests.iter().map(|(_, request)| until_ended(&farebox, request));
    for ((waits, request), (answer, came)) in requests.iter().zip(futures_util::future::join_all(answers).await) {
        let refused = (400..500).contains(&status(&answer));
        assert!(refused || request.starts_with("GET /healthz"), "{request}: {answer}");
        assert_eq!(came >= PATIENCE, *waits, "{request}: {came:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_told_so_and_costs_nothing_and_one_that_comes_slowly_is_made() {
    let farebox = farebox().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let body = r#"{"model":"sandbox/echo","messages":[{"role":"user","content":"Hello"}]}"#;
    let more = format!("Authorization: Bearer {}\r\nContent-Length: {}\r\n", key.text, body.len());
    let head = head(&farebox, "POST /api/v1/chat/completions", JSON, &more);

    let (answer, came) = until_ended(&farebox, &format!("{head}{}", &body[..20])).await;
    assert!(status(&answer) == 408 && came >= PATIENCE, "{came:?}: {answer}");
    let told: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    assert_eq!(told["error"]["code"], 408);
    let message = told["error"]["message"].as_str().expect("a message");
    assert!(message.contains("stopped arriving") && message.contains("Send the request again"), "{message}");
    let held = sqlx::query_scalar::<_, i64>("select count(*) from hold").fetch_one(&farebox.pool).await;
    assert_eq!(held.expect("a count"), 0);

    // Longer than its patience in all, and never nearly so long at once. The second call finds the connection open.
    let mut socket = TcpStream::connect(host(&farebox)).await.expect("a connection");
    for pause in [PATIENCE / 4, Duration::ZERO] {
        socket.write_all(head.as_bytes()).await.expect("sent");
        for piece in body.as_bytes().chunks(body.len().div_ceil(6)) {
            tokio::time::sleep(pause).await;
            socket.write_all(piece).await.expect("sent");
        }
        let mut answer = String::new();
        while !answer.ends_with('}') {
            let mut piece = vec![0; 4_096];
            let length = timeout(ENDED_WITHIN, socket.read(&mut piece)).await.expect("in time").expect("an answer");
            assert!(length > 0, "the connection was closed: {answer}");
            answer.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_connections_may_be_open_than_the_usual_limit_of_a_process() {
    const USUAL: u32 = 128;
    /// Connections that send nothing are closed after ten seconds, and make room for others.
    const AT_ONCE: Duration = Duration::from_secs(9);
    let mut farebox = Farebox::with(Options { open_files: Some(USUAL), ..Options::default() }).await;
    let mut open = Vec::new();
    for _ in 0..2 * USUAL {
        open.push(TcpStream::connect(host(&farebox)).await.expect("a connection"));
    }
    // The last one is answered although all the others are open.
    let request = head(&farebox, "GET /healthz", JSON, "Connection: close\r\n");
    let (answer, came) = until_ended(&farebox, &request).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(came < AT_ONCE, "answered when the others had gone: {came:?}");
    drop(open);
    assert!(farebox.stop().await.success());
}
