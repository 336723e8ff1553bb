//! A model provider that does as a test tells it, and keeps a log of what it really produced.
//!
//! It speaks the chat completions protocol of OpenAI at `/v1/chat/completions` and the messages protocol
//! of Anthropic at `/v1/messages`, and has vectors at `/v1/embeddings` and ranks at `/v1/rerank`. [`Behaviour`]s are set per upstream model name. What was produced is in
//! [`FakeUpstream::produced`], so that a test can compare a bill with the truth.
//!
//! The server runs on a thread of its own with its own runtime, so it outlives the runtime of a single
//! test, and it stops when it is dropped.

mod anthropic;
mod body;
mod openai;
mod script;
mod search;
mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use serde_json::Value;

pub use script::Behaviour;
use server::State;

/// How often [`FakeUpstream::wait_until`] looks.
const POLL: Duration = Duration::from_millis(5);

/// Which protocol a request was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
}

/// One request, and what it was given. The log grows in the order in which requests arrived.
#[derive(Clone, Debug)]
pub struct Produced {
    /// The id that the answer carries: `chatcmpl-fake-1` or `msg_fake_1`.
    pub request_id: String,
    pub dialect: Dialect,
    /// The upstream model that was asked for; empty when the request named none.
    pub model: String,
    /// The request as it was read; null when it was no JSON.
    pub body: Value,
    /// Request headers by lower-case name. The last of several with one name.
    pub headers: BTreeMap<String, String>,
    pub streamed: bool,
    /// What the answer says, or would say, that the prompt took.
    pub prompt_tokens: u64,
    /// Tokens of the answer that were handed to the connection so far.
    pub completion_tokens_sent: u64,
    /// Chunks with content that were handed to the connection so far; 1 for a whole answer.
    pub chunks_sent: usize,
    /// Whether the answer, good or bad, was sent to its end.
    pub completed: bool,
    /// The client closed the connection when this many chunks with content had been sent.
    pub client_cancelled_at: Option<usize>,
    /// Whether the usage was sent, explicit zeros included.
    pub usage_sent: bool,
}

impl Produced {
    /// Whether nothing more will happen to this request, except for one that is made to hang.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.completed || self.client_cancelled_at.is_some()
    }
}

/// A running fake. Dropping it stops it.
pub struct FakeUpstream {
    state: Arc<State>,
    port: u16,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl FakeUpstream {
    /// Starts on a free port of this machine.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let (port, handle, thread) = server::start(Arc::clone(&state));
        Self { state, port, handle, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT/v1`, for both protocols.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// From now on, requests for this upstream model are treated like this. Without it, they get
    /// [`Behaviour::default`].
    pub fn behave(&self, model: &str, behaviour: Behaviour) {
        locked(&self.state.behaviours).insert(model.to_owned(), behaviour);
    }

    /// Only the next request for this model is treated like this. Several calls queue up.
    pub fn behave_once(&self, model: &str, behaviour: Behaviour) {
        locked(&self.state.once).entry(model.to_owned()).or_default().push_back(behaviour);
    }

    /// The log so far.
    #[must_use]
    pub fn produced(&self) -> Vec<Produced> {
        locked(&self.state.log).clone()
    }

    /// The log entries of one upstream model.
    #[must_use]
    pub fn produced_by(&self, model: &str) -> Vec<Produced> {
        locked(&self.state.log).iter().filter(|entry| entry.model == model).cloned().collect()
    }

    /// Empties the log. Requests that are still running lose their entries.
    pub fn forget(&self) {
        self.state.forget();
    }

    /// Waits until the log is as wanted and returns it.
    ///
    /// # Panics
    /// When that does not happen within `limit`; the message shows the log without headers and bodies.
    pub async fn wait_until(&self, limit: Duration, wanted: impl Fn(&[Produced]) -> bool) -> Vec<Produced> {
        let deadline = Instant::now() + limit;
        loop {
            let log = self.produced();
            if wanted(&log) {
                return log;
            }
            assert!(Instant::now() < deadline, "the fake upstream's log stayed: {}", outline(&log));
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        // The order to stop is sent by the call itself; the future would only wait for it.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

fn outline(log: &[Produced]) -> String {
    let line = |p: &Produced| {
        format!(
            "{} {} chunks={} tokens={} completed={} cancelled={:?}",
            p.request_id, p.model, p.chunks_sent, p.completion_tokens_sent, p.completed, p.client_cancelled_at
        )
    };
    log.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// An address at which every connection is refused, and stays so while this lives.
pub struct Refused {
    // Bound but never listening: the port can be given to nobody else meanwhile.
    socket: socket2::Socket,
}

impl Refused {
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a free port");
        Self { socket }
    }

    #[must_use]
    pub fn base_url(&self) -> String {
        let address = self.socket.local_addr().expect("a bound socket");
        let port = address.as_socket().expect("an IP address").port();
        format!("http://127.0.0.1:{port}/v1")
    }
}

/// A failed assertion elsewhere must not hide behind a poisoned lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
