//! The HTTP side: reads requests, looks up what to do, sends the answer.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;

use super::body::{End, Piece, Recorder, Wire};
use super::script::{Answer, Behaviour};
use super::search::{self, Search};
use super::{Dialect, Produced, anthropic, locked, openai};

/// Larger than what the gateway lets through.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Starting takes milliseconds; a loaded machine gets some more.
const START_LIMIT: Duration = Duration::from_secs(20);
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What the tests and the server share.
#[derive(Default)]
pub struct State {
    pub behaviours: Mutex<BTreeMap<String, Behaviour>>,
    pub once: Mutex<BTreeMap<String, VecDeque<Behaviour>>>,
    pub log: Mutex<Vec<Produced>>,
    epoch: AtomicU64,
    count: AtomicU64,
}

impl State {
    pub fn forget(&self) {
        let mut log = locked(&self.log);
        self.epoch.fetch_add(1, Ordering::SeqCst);
        log.clear();
    }

    pub fn edit(&self, epoch: u64, index: usize, change: impl FnOnce(&mut Produced)) {
        let mut log = locked(&self.log);
        if self.epoch.load(Ordering::SeqCst) == epoch
            && let Some(entry) = log.get_mut(index)
        {
            change(entry);
        }
    }

    fn add(self: &Arc<Self>, entry: Produced) -> Recorder {
        let mut log = locked(&self.log);
        log.push(entry);
        Recorder::new(Arc::clone(self), self.epoch.load(Ordering::SeqCst), log.len() - 1)
    }

    fn behaviour(&self, model: &str) -> Behaviour {
        let once = locked(&self.once).get_mut(model).and_then(VecDeque::pop_front);
        once.or_else(|| locked(&self.behaviours).get(model).cloned()).unwrap_or_default()
    }
}

/// Port, handle to stop it, and the thread that runs it.
pub fn start(state: Arc<State>) -> (u16, ServerHandle, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("a bound socket").port();
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("fake-upstream".into())
        .spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(web::Data::from(Arc::clone(&state)))
                        .app_data(web::PayloadConfig::new(MAX_BODY))
                        .route("/v1/chat/completions", web::post().to(chat))
                        .route("/v1/messages", web::post().to(messages))
                        .route("/v1/embeddings", web::post().to(embeddings))
                        .route("/v1/rerank", web::post().to(rerank))
                })
                .on_connect(|io, _| {
                    // Small pieces leave at once, each in its own packet.
                    if let Some(stream) = io.downcast_ref::<TcpStream>() {
                        let _ = stream.set_nodelay(true);
                    }
                })
                .workers(1)
                .keep_alive(KEEP_ALIVE)
                // A client that closes its side has left, and its request is dropped.
                .h1_allow_half_closed(false)
                .disable_signals()
                .listen(listener)
                .expect("listening")
                .run();
                sender.send(server.handle()).expect("the starter waits");
                server.await.expect("serving");
            });
        })
        .expect("a thread");
    (port, receiver.recv_timeout(START_LIMIT).expect("the fake upstream starts"), thread)
}

async fn chat(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    answer(Dialect::OpenAi, request, body, state.into_inner()).await
}

async fn messages(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    answer(Dialect::Anthropic, request, body, state.into_inner()).await
}

async fn embeddings(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    search(Search::Embeddings, &request, &body, &state.into_inner()).await
}

async fn rerank(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    search(Search::Rerank, &request, &body, &state.into_inner()).await
}

/// Vectors and ranks: [`Behaviour::Ok`] tells how many tokens were read, [`Behaviour::Slow`] takes its time, an error is an
/// error, [`Behaviour::NoUsage`] tells nothing, and everything else is a good answer.
async fn search(kind: Search, http: &HttpRequest, bytes: &[u8], state: &Arc<State>) -> HttpResponse {
    let body: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = format!("search-fake-{}", state.count.fetch_add(1, Ordering::SeqCst) + 1);
    let (headers, behaviour) = (headers(http), state.behaviour(&model));
    let answer = Answer::to(&behaviour, &body);
    let mut recorder = state.add(Produced {
        request_id: id.clone(),
        dialect: Dialect::OpenAi,
        model,
        body: body.clone(),
        headers: headers.clone(),
        streamed: false,
        prompt_tokens: answer.prompt,
        completion_tokens_sent: 0,
        chunks_sent: 0,
        completed: false,
        client_cancelled_at: None,
        usage_sent: answer.told().is_some(),
    });
    if let Behaviour::Slow { chunks, ms_per_chunk } = behaviour {
        tokio::time::sleep(Duration::from_millis(ms_per_chunk * chunks as u64)).await;
    }
    recorder.completed();
    match behaviour {
        Behaviour::Status { status, retry_after } => {
            refuse(Dialect::OpenAi, status, retry_after, &message(status, &headers))
        }
        Behaviour::HangBeforeHeaders => pending().await,
        _ => match search::answer(kind, &id, &answer, &body) {
            Some(answer) => HttpResponse::Ok().json(answer),
            None => refuse(Dialect::OpenAi, 400, None, "input or documents is missing"),
        },
    }
}

async fn answer(dialect: Dialect, http: HttpRequest, bytes: web::Bytes, state: Arc<State>) -> HttpResponse {
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    let streamed = body.get("stream").and_then(Value::as_bool) == Some(true);
    let number = state.count.fetch_add(1, Ordering::SeqCst) + 1;
    let id = match dialect {
        Dialect::OpenAi => format!("chatcmpl-fake-{number}"),
        Dialect::Anthropic => format!("msg_fake_{number}"),
    };
    let headers = headers(&http);
    let complaint = complaint(dialect, &headers, &body);
    let behaviour = state.behaviour(&model);
    let answer = Answer::to(&behaviour, &body);
    let mut recorder = state.add(Produced {
        request_id: id.clone(),
        dialect,
        model: model.clone(),
        body: body.clone(),
        headers: headers.clone(),
        streamed,
        prompt_tokens: answer.prompt,
        completion_tokens_sent: 0,
        chunks_sent: 0,
        completed: false,
        client_cancelled_at: None,
        usage_sent: false,
    });

    if let Some(complaint) = complaint {
        recorder.completed();
        return refuse(dialect, 400, None, complaint);
    }
    match &behaviour {
        Behaviour::HangBeforeHeaders => pending().await,
        Behaviour::Status { status, retry_after } => {
            recorder.completed();
            return refuse(dialect, *status, *retry_after, &message(*status, &headers));
        }
        Behaviour::HtmlWith200 => {
            recorder.completed();
            return HttpResponse::Ok()
                .content_type("text/html; charset=utf-8")
                .body("<!doctype html><title>Welcome</title><h1>It works!</h1>");
        }
        Behaviour::ErrorInStream(_) if !streamed => {
            recorder.completed();
            return HttpResponse::Ok().json(error(dialect, 500, "The model broke down."));
        }
        _ => {}
    }
    if streamed {
        let (pieces, error) = match dialect {
            Dialect::OpenAi => (openai::stream(&id, &model, &answer, &body), openai::error_event()),
            Dialect::Anthropic => (anthropic::stream(&id, &model, &answer), anthropic::error_event()),
        };
        return HttpResponse::Ok()
            .content_type("text/event-stream; charset=utf-8")
            .insert_header(("x-request-id", id))
            .streaming(Wire::stream(&behaviour, pieces, error).send(recorder));
    }
    let piece = match dialect {
        Dialect::OpenAi => openai::whole(&id, &model, &answer),
        Dialect::Anthropic => anthropic::whole(&id, &model, &answer),
    };
    send_whole(&id, &behaviour, piece, recorder)
}

/// With its full length declared, even if it breaks off in the middle.
fn send_whole(id: &str, behaviour: &Behaviour, piece: Piece, recorder: Recorder) -> HttpResponse {
    let length = piece.bytes.len() as u64;
    let wire = Wire::whole(behaviour, piece);
    debug_assert!(wire.end != End::Complete || !wire.pieces.is_empty());
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header(("x-request-id", id))
        .body(SizedStream::new(length, wire.send(recorder)))
}

fn headers(http: &HttpRequest) -> BTreeMap<String, String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    http.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// What a real provider would not accept, whatever was scripted.
fn complaint(dialect: Dialect, headers: &BTreeMap<String, String>, body: &Value) -> Option<&'static str> {
    if !body.is_object() {
        return Some("We could not parse the JSON body of your request.");
    }
    if body.get("model").and_then(Value::as_str).is_none() {
        return Some("you must provide a model parameter");
    }
    if body.get("messages").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Some("messages: at least one message is required");
    }
    if dialect == Dialect::Anthropic {
        if !headers.contains_key("anthropic-version") {
            return Some("anthropic-version: header is required");
        }
        if body.get("max_tokens").and_then(Value::as_u64).is_none() {
            return Some("max_tokens: Field required");
        }
    }
    None
}

fn message(status: u16, headers: &BTreeMap<String, String>) -> String {
    match status {
        401 => {
            let key = headers.get("authorization").or_else(|| headers.get("x-api-key"));
            let key = key.map_or("", |key| key.trim_start_matches("Bearer "));
            format!("Incorrect API key provided: {key}.")
        }
        429 => "Rate limit reached for requests.".into(),
        503 | 529 => "The engine is currently overloaded, please try again later.".into(),
        _ => format!("The fake upstream was told to answer {status}."),
    }
}

fn refuse(dialect: Dialect, status: u16, retry_after: Option<u32>, message: &str) -> HttpResponse {
    let status_code = StatusCode::from_u16(status).expect("a valid status");
    let mut response = HttpResponse::build(status_code);
    if let Some(seconds) = retry_after {
        response.insert_header(("retry-after", seconds.to_string()));
    }
    response.json(error(dialect, status, message))
}

fn error(dialect: Dialect, status: u16, message: &str) -> Value {
    match dialect {
        Dialect::OpenAi => openai::error(status, message),
        Dialect::Anthropic => anthropic::error(status, message),
    }
}
