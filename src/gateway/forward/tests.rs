//! Exchanges with an upstream on a real socket that says what each test wants it to say.

use std::future::ready;
use std::sync::Mutex;

use super::*;
use crate::base::ids::{CallId, KeyId, OrgId};
use crate::catalog::{ListedProvider, Offer, ProviderKind};
use crate::gateway::settle::Durable;
use crate::gateway::{CountedBy, Status};
use crate::outgoing::HttpClientConfig;
use crate::routing::tests::{listed, offer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Keeps what was settled.
#[derive(Default)]
struct Books(Mutex<Vec<(Usd, Ended)>>);

impl Settles for Books {
    fn settle(&self, _call: Call, hold: Usd, ended: Ended) -> BoxFuture<'_, Receipt> {
        let charged = ended.cost.min(hold);
        let overrun = ended.cost - charged;
        self.0.lock().expect("no test panics with it").push((hold, ended));
        async move { Receipt { charged, overrun, discount: Usd::ZERO, durable: Durable::Committed } }.boxed()
    }
}

struct World {
    deps: Arc<Deps>,
    books: Arc<Books>,
}

impl World {
    fn new() -> World {
        // The second test of a process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let books = Arc::new(Books::default());
        let config = HttpClientConfig { allow_private: true, ..HttpClientConfig::default() };
        let timeouts = Timeouts {
            first_byte: Duration::from_millis(1_500),
            idle: Duration::from_millis(1_500),
            total: Duration::from_secs(15),
            drain: Duration::from_millis(1_500),
            keep_alive: Duration::from_millis(150),
        };
        let deps = Deps {
            http: HttpClient::new(config).expect("a client"),
            keys: UpstreamKeys::default(),
            settler: Arc::clone(&books) as Arc<dyn Settles>,
            health: Health::new(std::time::Instant::now()),
            conversations: Conversations::default(),
            texts: Texts::default(),
            tracer: Tracer::off(),
            timeouts,
            handle: Handle::current(),
            tasks: TaskTracker::new(),
        };
        World { deps: Arc::new(deps), books }
    }

    fn start(&self, streamed: bool, offers: Vec<Offer>) -> oneshot::Receiver<Answer> {
        start(&self.deps, streamed, Box::pin(ready(Ok(job(streamed, offers)))))
    }

    /// Waits for all calls, and returns the only settlement.
    async fn settled(&self) -> Ended {
        self.deps.tasks.close();
        self.deps.tasks.wait().await;
        let mut settled = self.books.0.lock().expect("no test panics with it");
        assert_eq!(settled.len(), 1, "exactly one settlement");
        settled.pop().expect("one").1
    }
}

fn job(streamed: bool, offers: Vec<Offer>) -> Job {
    let call = Call {
        id: CallId::fresh(),
        org: OrgId::fresh(),
        key: KeyId::fresh(),
        member: None,
        meters: Vec::new(),
        request_id: String::new(),
        presets: Vec::new(),
        model_asked: "a/b".into(),
        streamed,
        app: String::new(),
        referer: String::new(),
        user_agent: String::new(),
        created_at: crate::base::Clock::system().now(),
        hops: 0,
    };
    let listed = listed("a/b", offers);
    let candidates = (0..listed.offers.len()).filter_map(|index| Candidate::new(Arc::clone(&listed), index));
    let steps = candidates.map(|candidate| Step { candidate, cap: None, longest: 4_000 }).collect();
    let body = json!({"messages":[{"role":"user","content":"Hello, world!"}]});
    let body = body.as_object().cloned().unwrap_or_default();
    let conversation = Conversations::default().of(call.org, None, &[], &body);
    let (terms, asked) = (Terms::default(), "a/b".to_owned());
    Job {
        call,
        hold: Usd::from_cents(100),
        terms,
        keep: None,
        asked,
        task: Task::Answer,
        kept: Kept::Chat,
        body,
        added: Vec::new(),
        conversation,
        trace: None,
        steps,
    }
}

/// What an upstream does with a connection after it has read the question.
#[derive(Clone)]
enum Act {
    Say(&'static str),
    Wait(u64),
    Hang,
}

/// An upstream that answers each connection as told and then closes it.
async fn upstream(acts: Vec<Act>) -> Offer {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut buffer = vec![0; 65_536];
            let _ = socket.read(&mut buffer).await;
            for act in &acts {
                match act {
                    Act::Say(text) => drop(socket.write_all(text.as_bytes()).await),
                    Act::Wait(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
                    Act::Hang => std::future::pending().await,
                }
            }
            let _ = socket.shutdown().await;
        }
    });
    at(port)
}

fn at(port: u16) -> Offer {
    let mut offer = offer("a/b", "one", "1", "2");
    let mut provider = offer.provider.provider.clone();
    provider.base_url = Some(format!("http://127.0.0.1:{port}/v1"));
    offer.provider = Arc::new(ListedProvider::new(offer.provider.id, provider, offer.provider.has_key));
    offer
}

fn with_cancel(mut offer: Offer) -> Offer {
    let mut listed: ListedProvider = (*offer.provider).clone();
    listed.provider.cancel_stops_billing = true;
    offer.provider = Arc::new(listed);
    offer
}

const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
/// One that breaks off, for more was promised than comes.
const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n";
const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
const HELLO: &str = "data: {\"id\":\"up\",\"choices\":[{\"delta\":{\"content\":\"Hello, world!\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":50}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

async fn text(answer: Answer) -> String {
    match answer {
        Answer::Whole(body) => String::from_utf8_lossy(&body).into_owned(),
        Answer::Error(error) => error.to_body(),
        Answer::Stream(mut receiver) => {
            let mut out = String::new();
            while let Some(bytes) = receiver.recv().await {
                out.push_str(&String::from_utf8_lossy(&bytes));
            }
            out
        }
    }
}

async fn answered(receiver: oneshot::Receiver<Answer>) -> String {
    text(receiver.await.expect("an answer")).await
}

#[tokio::test]
async fn a_whole_answer_is_billed_by_the_upstreams_numbers() {
    let body = r#"{"id":"up","choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":50}}"#;
    let world = World::new();
    let out = answered(world.start(false, vec![upstream(vec![Act::Say(JSON), Act::Say(body)]).await])).await;
    let out: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&out["provider"], &out["usage"]["total_tokens"]), (&json!("ONE"), &json!(150)));
    assert!(out["id"].as_str().is_some_and(|id| id.starts_with("gen-")));
    let ended = world.settled().await;
    assert_eq!(
        (ended.cost.exact().as_str(), ended.counted_by, ended.status),
        ("0.0002", CountedBy::Upstream, Status::Success)
    );
    assert_eq!(ended.upstream_id, "up");
}

#[tokio::test]
async fn long_probabilities_pass_as_they_came() {
    const REST: &str = r#","finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":50}}"#;
    let long = "x".repeat(33 * 1_024 * 1_024);
    let short = r#"{"content":[{"token":"hi","logprob":-0.10,"bytes":[104,105],"top_logprobs":[]}]}"#.to_owned();
    for logprobs in [short, format!(r#"{{"content":[{{"token":"{long}","logprob":-1.5}}]}}"#)] {
        let mut world = World::new();
        let timeouts = &mut Arc::get_mut(&mut world.deps).expect("not shared yet").timeouts;
        (timeouts.idle, timeouts.total) = (Duration::from_secs(10), Duration::from_secs(60));
        let head = r#"{"id":"up","choices":[{"message":{"role":"assistant","content":"hi"},"logprobs":"#;
        let body: &'static str = Box::leak(format!("{head}{logprobs}{REST}").into_boxed_str());
        let mut job = job(false, vec![upstream(vec![Act::Say(JSON), Act::Say(body)]).await]);
        job.body.insert("logprobs".into(), true.into());
        let out = answered(start(&world.deps, false, Box::pin(ready(Ok(job))))).await;
        assert!(out.contains(&format!("\"logprobs\":{logprobs}")), "{}", out.len());
        assert!(out.contains(r#""total_tokens":150,"#), "{}", out.len());
        assert_eq!(world.settled().await.tokens.completion, 50);
    }
}

#[tokio::test]
async fn a_stream_ends_with_usage_and_done_after_the_settlement() {
    let world = World::new();
    let acts = [SSE, HELLO, STOP, USAGE, DONE].map(Act::Say).to_vec();
    let out = answered(world.start(true, vec![upstream(acts).await])).await;
    assert!(out.contains(r#""content":"Hello, world!""#), "{out}");
    assert_eq!(out.matches("\"usage\"").count(), 1, "{out}");
    assert!(out.contains(r#""cost":0.0002,"#) && out.ends_with("data: [DONE]\n\n"), "{out}");
    let ended = world.settled().await;
    assert_eq!((ended.tokens.prompt, ended.tokens.completion, ended.finish_reason.as_str()), (100, 50, "stop"));
}

#[tokio::test]
async fn a_stream_without_usage_is_counted_here() {
    let world = World::new();
    let acts = [SSE, HELLO, STOP, DONE].map(Act::Say).to_vec();
    let out = answered(world.start(true, vec![upstream(acts).await])).await;
    assert!(out.contains(r#""completion_tokens":4,"#), "{out}");
    assert_eq!(world.settled().await.counted_by, CountedBy::Here);
}

#[tokio::test]
async fn each_number_that_cannot_be_true_is_counted_here_alone() {
    const MANY_READ: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000000001,\"completion_tokens\":50}}\n\n";
    const MANY_WRITTEN: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":1000000000000000000}}\n\n";
    const HALF: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":18446744073709551615}}\n\n";
    for (usage, prompt, completion) in [(MANY_READ, 11, 50), (MANY_WRITTEN, 100, 4), (HALF, 11, 4)] {
        let world = World::new();
        let offer = upstream([SSE, HELLO, STOP, usage, DONE].map(Act::Say).to_vec()).await;
        let id = offer.id;
        answered(world.start(true, vec![offer])).await;
        let measured = world.deps.health.take_fresh();
        let ended = world.settled().await;
        assert_eq!((ended.tokens.prompt, ended.tokens.completion), (prompt, completion), "{usage}");
        assert_eq!((ended.counted_by, ended.status), (CountedBy::Here, Status::Success), "{usage}");
        assert!(ended.cost.is_positive() && ended.cost < Usd::from_cents(1), "{usage}: {}", ended.cost);
        let written: Vec<_> = measured.iter().map(|fresh| (fresh.endpoint, fresh.sums.tokens)).collect();
        assert_eq!(written, [(id, if completion == 50 { 50 } else { 0 })], "{usage}");
    }
}

#[tokio::test]
async fn a_truncated_stream_is_told_and_what_came_is_billed() {
    let world = World::new();
    let out = answered(world.start(true, vec![upstream([SSE, HELLO].map(Act::Say).to_vec()).await])).await;
    assert!(out.contains(r#""finish_reason":"error""#) && out.contains(r#""code":502"#), "{out}");
    assert!(out.ends_with("data: [DONE]\n\n"), "{out}");
    let ended = world.settled().await;
    assert_eq!((ended.status, ended.tokens.completion, ended.counted_by), (Status::Failed, 4, CountedBy::Here));
    assert!(ended.cost.is_positive());
}

#[tokio::test]
async fn an_answer_that_breaks_off_after_its_usage_is_whole() {
    for (acts, status) in [
        (vec![CUT, HELLO, STOP, USAGE], Status::Success),
        (vec![CUT, HELLO, STOP], Status::Failed),
        (vec![CUT, HELLO, USAGE], Status::Failed),
        (vec![CUT, USAGE, STOP, HELLO], Status::Failed),
    ] {
        let world = World::new();
        let offer = upstream(acts.iter().copied().map(Act::Say).collect()).await;
        let out = answered(world.start(true, vec![offer])).await;
        assert_eq!(out.contains(r#""finish_reason":"error""#), status == Status::Failed, "{out}");
        assert_eq!(world.settled().await.status, status, "{acts:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_is_followed_by_the_next() {
    let world = World::new();
    let error = upstream(vec![Act::Say("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")]).await;
    let good = upstream([SSE, HELLO, STOP, USAGE, DONE].map(Act::Say).to_vec()).await;
    let out = answered(world.start(true, vec![at(1), error, good])).await;
    assert!(out.contains("Hello, world!"), "{out}");
    let ended = world.settled().await;
    let statuses: Vec<_> = ended.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [None, Some(500), Some(200)]);
}

#[tokio::test]
async fn faults_have_their_status_and_cost_nothing() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>sorry</html>";
    let limited = "HTTP/1.1 429 X\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nslow";
    let redirect = "HTTP/1.1 302 X\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n";
    let wrong = "HTTP/1.1 400 X\r\ncontent-length: 3\r\n\r\nbad";
    let error_in_200 =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"error\":{\"code\":503}}";
    for streamed in [false, true] {
        for (acts, status) in [
            (vec![Act::Hang], 502),
            (vec![Act::Say(html)], 502),
            (vec![Act::Say(limited)], 429),
            (vec![Act::Say(redirect)], 502),
            (vec![Act::Say(wrong)], 400),
            (vec![Act::Say(error_in_200)], 503),
            (vec![Act::Say(JSON), Act::Say("{\"choices\":")], 502),
            (vec![], 502),
        ] {
            let mut world = World::new();
            let deps = Arc::get_mut(&mut world.deps).expect("not shared yet");
            deps.timeouts.keep_alive = Duration::from_secs(9);
            match world.start(streamed, vec![upstream(acts).await]).await.expect("an answer") {
                Answer::Error(error) => assert_eq!(error.status(), status),
                other => panic!("{other:?}"),
            }
            let ended = world.settled().await;
            assert_eq!((ended.cost, ended.status, ended.http_status), (Usd::ZERO, Status::Failed, status));
        }
    }
}

#[tokio::test]
async fn zero_usage_and_a_blank_end_cost_nothing() {
    let world = World::new();
    let zero = "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":0}}\n\n";
    answered(world.start(true, vec![upstream([SSE, zero, DONE].map(Act::Say).to_vec()).await])).await;
    let ended = world.settled().await;
    assert_eq!((ended.cost, ended.counted_by), (Usd::ZERO, CountedBy::Nobody));
}

#[tokio::test]
async fn a_waiting_client_gets_signs_of_life_and_then_an_error_chunk() {
    let world = World::new();
    let out = answered(world.start(true, vec![upstream(vec![Act::Hang]).await])).await;
    assert!(out.starts_with(": FAREBOX PROCESSING\n\n"), "{out}");
    assert!(out.contains(r#""finish_reason":"error""#) && out.ends_with("data: [DONE]\n\n"), "{out}");
    assert_eq!(world.settled().await.cost, Usd::ZERO);
}

#[tokio::test]
async fn a_provider_that_says_it_is_still_there_is_waited_for_and_one_that_stops_saying_so_is_not() {
    const STILL: &str = ": keep-alive\n\n";
    let world = World::new();
    let silence = [Act::Wait(700), Act::Say(STILL), Act::Wait(700), Act::Say(STILL), Act::Wait(700)];
    let acts = [SSE, HELLO].map(Act::Say).into_iter().chain(silence).chain([STOP, USAGE, DONE].map(Act::Say));
    let out = answered(world.start(true, vec![upstream(acts.collect()).await])).await;
    assert!(out.contains(r#""finish_reason":"stop""#), "{out}");
    assert_eq!(world.settled().await.status, Status::Success);

    let world = World::new();
    let acts = vec![Act::Say(SSE), Act::Say(HELLO), Act::Wait(700), Act::Say(STILL), Act::Hang];
    let out = answered(world.start(true, vec![upstream(acts).await])).await;
    assert!(out.contains("the provider stopped answering"), "{out}");
    let ended = world.settled().await;
    assert!((2_000..6_000).contains(&ended.duration_ms), "{ended:?}");
}

/// Takes the first piece of the answer and leaves.
async fn leave_after_the_first_piece(receiver: oneshot::Receiver<Answer>) {
    let Ok(Answer::Stream(mut stream)) = receiver.await else { panic!("no stream") };
    while stream.recv().await.expect("a piece").starts_with(b":") {}
}

#[tokio::test]
async fn a_client_that_leaves_is_billed_by_the_usage_at_the_end() {
    let world = World::new();
    let acts = vec![Act::Say(SSE), Act::Say(HELLO), Act::Wait(150), Act::Say(STOP), Act::Say(USAGE), Act::Say(DONE)];
    leave_after_the_first_piece(world.start(true, vec![upstream(acts).await])).await;
    let ended = world.settled().await;
    assert!(ended.cancelled);
    assert_eq!((ended.tokens.completion, ended.counted_by, ended.status), (50, CountedBy::Upstream, Status::Success));
}

#[tokio::test]
async fn where_cancelling_stops_the_bill_only_what_came_is_billed() {
    let world = World::new();
    let offer = with_cancel(upstream(vec![Act::Say(SSE), Act::Say(HELLO), Act::Hang]).await);
    leave_after_the_first_piece(world.start(true, vec![offer])).await;
    let ended = world.settled().await;
    assert!(ended.cancelled);
    assert_eq!((ended.tokens.completion, ended.counted_by), (4, CountedBy::Here));
}

#[tokio::test]
async fn a_number_of_the_beginning_is_not_the_bill_of_what_came_after_it() {
    const EARLY: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":1}}\n\n";
    let world = World::new();
    let offer = with_cancel(upstream(vec![Act::Say(SSE), Act::Say(EARLY), Act::Say(HELLO), Act::Hang]).await);
    leave_after_the_first_piece(world.start(true, vec![offer])).await;
    let ended = world.settled().await;
    assert_eq!((ended.tokens.prompt, ended.tokens.completion, ended.counted_by), (100, 4, CountedBy::Here));

    for (acts, tokens, counted_by) in [
        ([CUT, EARLY, HELLO], 4, CountedBy::Here),
        ([CUT, HELLO, EARLY], 1, CountedBy::Upstream),
        ([CUT, USAGE, HELLO], 50, CountedBy::Upstream),
    ] {
        let world = World::new();
        answered(world.start(true, vec![upstream(acts.map(Act::Say).to_vec()).await])).await;
        let ended = world.settled().await;
        assert_eq!(
            (ended.tokens.prompt, ended.tokens.completion, ended.status),
            (100, tokens, Status::Failed),
            "{acts:?}"
        );
        assert_eq!(ended.counted_by, counted_by, "{acts:?}");
    }
}

#[tokio::test]
async fn what_only_the_usage_tells_is_waited_for_though_cancelling_stops_the_bill() {
    let acts =
        || [SSE, HELLO].map(Act::Say).into_iter().chain([Act::Wait(150)]).chain([STOP, USAGE, DONE].map(Act::Say));
    let thinking = |mut offer: Offer| {
        offer.endpoint.supported_parameters.push("reasoning".into());
        offer
    };
    let file =
        json!([{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}}]}]);
    let plain = json!([{"role":"user","content":"hi"}]);
    for (thinks, body, tokens) in [
        (true, json!({"messages":plain}), 50),
        (true, json!({"messages":plain,"reasoning":{"effort":"none"}}), 4),
        (true, json!({"messages":plain,"reasoning_effort":"none","reasoning":{"effort":"high"}}), 4),
        // This provider is not told of the first, and of the second not the part that it has in another name.
        (true, json!({"messages":plain,"reasoning":{"enabled":false}}), 50),
        (true, json!({"messages":plain,"reasoning_effort":"high","reasoning":{"effort":"none"}}), 50),
        (false, json!({"messages":plain}), 4),
        (false, json!({"messages":file}), 50),
        (false, json!({"messages":plain,"modalities":["text"]}), 4),
        (false, json!({"messages":plain,"modalities":["text","audio"]}), 50),
        (false, json!({"messages":plain,"prediction":{"type":"content","content":"Hello"}}), 50),
    ] {
        let world = World::new();
        let offer = with_cancel(upstream(acts().collect()).await);
        let mut job = job(true, vec![if thinks { thinking(offer) } else { offer }]);
        job.body = body.as_object().cloned().unwrap_or_default();
        leave_after_the_first_piece(start(&world.deps, true, Box::pin(ready(Ok(job))))).await;
        let ended = world.settled().await;
        assert!(ended.cancelled);
        assert_eq!(ended.tokens.completion, tokens, "{body}");
    }
}

#[tokio::test]
async fn images_that_may_be_long_are_waited_for() {
    let image =
        json!([{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]);
    for (image_tokens, prompt, completion) in [(None, 1_107, 4), (Some(48_169), 100, 50)] {
        let world = World::new();
        let acts = [SSE, HELLO].map(Act::Say).into_iter().chain([Act::Wait(150)]);
        let acts = acts.chain([STOP, USAGE, DONE].map(Act::Say)).collect();
        let mut offer = with_cancel(upstream(acts).await);
        offer.endpoint.image_tokens = image_tokens;
        let mut job = job(true, vec![offer]);
        job.body.insert("messages".into(), image.clone());
        leave_after_the_first_piece(start(&world.deps, true, Box::pin(ready(Ok(job))))).await;
        let ended = world.settled().await;
        assert_eq!((ended.tokens.prompt, ended.tokens.completion), (prompt, completion), "{image_tokens:?}");
    }
}

#[tokio::test]
async fn what_was_called_or_said_is_paid_by_whoever_leaves() {
    const FUNCTION: &str =
        "data: {\"choices\":[{\"delta\":{\"function_call\":{\"name\":\"\",\"arguments\":\"Hello, world!\"}}}]}\n\n";
    const CUSTOM: &str = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"custom\":{\"input\":\"Hello, world!\"}}]}}]}\n\n";
    const SPOKEN: &str = "data: {\"choices\":[{\"delta\":{\"audio\":{\"transcript\":\"Hello, world!\"}}}]}\n\n";
    for piece in [FUNCTION, CUSTOM, SPOKEN] {
        let world = World::new();
        let offer = with_cancel(upstream(vec![Act::Say(SSE), Act::Say(piece), Act::Hang]).await);
        leave_after_the_first_piece(world.start(true, vec![offer])).await;
        let ended = world.settled().await;
        assert_eq!((ended.tokens.prompt, ended.tokens.completion, ended.status), (11, 4, Status::Success), "{piece}");
        assert!(ended.cancelled && ended.cost.is_positive(), "{piece}");
    }
    // What is no text cannot be counted, so its usage is waited for.
    const SOUND: &str = "data: {\"choices\":[{\"delta\":{\"audio\":{\"data\":\"UklG\"}}}]}\n\n";
    let world = World::new();
    let acts = [SSE, SOUND].map(Act::Say).into_iter().chain([Act::Wait(150)]).chain([STOP, USAGE, DONE].map(Act::Say));
    let offer = with_cancel(upstream(acts.collect()).await);
    leave_after_the_first_piece(world.start(true, vec![offer])).await;
    let ended = world.settled().await;
    assert_eq!((ended.tokens.completion, ended.counted_by, ended.cancelled), (50, CountedBy::Upstream, true));
}

#[tokio::test]
async fn draining_has_an_end() {
    let mut world = World::new();
    Arc::get_mut(&mut world.deps).expect("not shared yet").timeouts.idle = Duration::from_secs(4);
    let acts = vec![Act::Say(SSE), Act::Say(HELLO), Act::Hang];
    leave_after_the_first_piece(world.start(true, vec![upstream(acts).await])).await;
    let ended = world.settled().await;
    assert!(ended.cancelled && ended.duration_ms < 3_000, "{ended:?}");
    assert_eq!(ended.tokens.completion, 4);
}

#[tokio::test]
async fn a_client_that_left_before_anything_was_asked_pays_nothing() {
    let world = World::new();
    let offer = upstream([SSE, HELLO, STOP, USAGE, DONE].map(Act::Say).to_vec()).await;
    drop(world.start(true, vec![offer]));
    let ended = world.settled().await;
    assert_eq!((ended.cost, ended.cancelled), (Usd::ZERO, true));
    assert_eq!(ended.attempts.len(), 0);
}

#[tokio::test]
async fn a_line_without_end_is_given_up() {
    let world = World::new();
    let line: &'static str = Box::leak(format!("data: {}", "x".repeat(1_200_000)).into_boxed_str());
    let out = answered(world.start(true, vec![upstream([SSE, HELLO, line].map(Act::Say).to_vec()).await])).await;
    assert!(out.contains(r#""finish_reason":"error""#), "{}", out.len());
    assert_eq!(world.settled().await.status, Status::Failed);
}

fn sandbox(upstream_model: &str) -> Offer {
    let mut offer = offer("a/b", "sandbox", "1", "2");
    let mut listed: ListedProvider = (*offer.provider).clone();
    listed.provider.kind = ProviderKind::Sandbox;
    listed.provider.cancel_stops_billing = true;
    offer.provider = Arc::new(listed);
    offer.endpoint.upstream_model = upstream_model.into();
    offer
}

#[tokio::test]
async fn a_panic_settles_once_and_for_nothing() {
    let world = World::new();
    let out = answered(world.start(true, vec![sandbox("panic")])).await;
    assert!(out.contains("\"code\":500") && !out.contains("panic"), "{out}");
    let ended = world.settled().await;
    assert_eq!((ended.cost, ended.status), (Usd::ZERO, Status::Failed));
}

#[tokio::test]
async fn a_call_without_any_endpoint_is_settled_too() {
    let world = World::new();
    let mut job = job(true, vec![at(1)]);
    job.steps.clear();
    let out = answered(start(&world.deps, job.call.streamed, Box::pin(ready(Ok(job))))).await;
    assert!(out.contains("\"code\":502"), "{out}");
    assert_eq!(world.settled().await.cost, Usd::ZERO);
}

#[tokio::test]
async fn the_sandbox_streams_and_is_billed_to_the_word_when_broken_off() {
    let world = World::new();
    let out = answered(world.start(true, vec![sandbox("echo")])).await;
    assert!(out.contains("You said: Hello, world!") && out.contains(r#""completion_tokens":4,"#), "{out}");
    assert_eq!(world.settled().await.tokens.completion, 4);

    let world = World::new();
    let Ok(Answer::Stream(mut stream)) = world.start(true, vec![sandbox("slow")]).await else { panic!("no stream") };
    for _ in 0..3 {
        stream.recv().await.expect("a word");
    }
    drop(stream);
    let ended = world.settled().await;
    assert_eq!((ended.tokens.completion, ended.counted_by), (3, CountedBy::Upstream));
}
