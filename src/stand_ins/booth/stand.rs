//! The handle: how a test or the program starts a stand-in and plays the people around it.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use url::Url;

use super::faults::Faults;
use super::pages;
use super::shared::{Booth, Company, State};
use crate::stand_ins::deliveries::ANSWER_TIMEOUT;

/// More than any request of ours.
const MAX_BODY: usize = 256 * 1024;
/// One is enough for pretend money.
const WORKERS: usize = 1;

/// How to start one.
#[derive(Clone, Debug, Default)]
pub struct BoothOptions {
    /// Where messages go, and the secret that signs them; nowhere if not said.
    pub webhook: Option<(Url, String)>,
    /// Where everything is kept for the next start; nowhere if not said.
    pub state_file: Option<PathBuf>,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// With the query.
    pub path: String,
    pub idempotency_key: Option<String>,
    pub status: u16,
}

/// One delivery of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub message: String,
    /// Nothing if the shop did not answer.
    pub status: Option<u16>,
}

/// A running stand-in. Clones are handles on the same one; it stops when the last is dropped.
pub struct Stand<C: Company> {
    pub(in crate::stand_ins) booth: Arc<Booth<C>>,
    running: Arc<Running>,
}

impl<C: Company> Clone for Stand<C> {
    fn clone(&self) -> Self {
        Stand { booth: Arc::clone(&self.booth), running: Arc::clone(&self.running) }
    }
}

struct Running {
    server: ServerHandle,
    deliverer: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.deliverer.abort();
        // The command is sent by the call; waiting for its end is for those who stop in order.
        drop(self.server.stop(false));
    }
}

impl<C: Company> Stand<C> {
    /// Starts one at this address; port 0 takes any free one.
    pub(in crate::stand_ins) fn open(
        listen: SocketAddr,
        config: C::Config,
        options: BoothOptions,
        routes: fn(&mut web::ServiceConfig),
    ) -> anyhow::Result<Stand<C>> {
        let name = C::NAME;
        let socket = TcpListener::bind(listen)
            .with_context(|| format!("the stand-in of {name} cannot listen at {listen}; is the port in use?"))?;
        let base = format!("http://{}", socket.local_addr()?);
        let mut state: State<C> = match &options.state_file {
            Some(file) if file.exists() => {
                let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
                serde_json::from_slice(&text).with_context(|| {
                    format!("{} is no state of this stand-in; delete it to start anew", file.display())
                })?
            }
            _ => State { company: C::default(), queue: Default::default(), faults: Faults::default() },
        };
        state.company.configure(config, &base);
        let booth = Arc::new(Booth::new(state, options.webhook, options.state_file, base, client()?));
        let shared = Arc::clone(&booth);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(Arc::clone(&shared)))
                .app_data(web::PayloadConfig::new(MAX_BODY))
                .configure(pages::control::<C>)
                .configure(routes)
        });
        let server = server.workers(WORKERS).disable_signals().listen(socket)?.run();
        let handle = server.handle();
        tokio::spawn(server);
        let delivering = Arc::clone(&booth);
        let deliverer = tokio::spawn(async move { delivering.deliver_forever().await });
        Ok(Stand { booth, running: Arc::new(Running { server: handle, deliverer }) })
    }

    /// Where it is: the base of its API and its pages, with a slash at the end.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an address that is listened at is a URL")]
    pub fn url(&self) -> Url {
        Url::parse(&self.booth.base).expect("http and a socket's address")
    }

    /// Messages go there from now on, signed with this secret. What happened before is not told later.
    pub fn set_webhook(&self, target: Option<(Url, String)>) {
        self.booth.set_target(target);
    }

    pub fn set_faults(&self, faults: Faults) {
        self.booth.set_faults(faults);
    }

    /// As they are now: what was used up is gone.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.booth.faults()
    }

    /// The requests that came, oldest first; at most the last thousand.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.booth.requests()
    }

    /// Delivers these messages now, in this order, each so often. They are not delivered again by themselves.
    pub async fn deliver(&self, messages: &[&str], copies: usize) -> Vec<Delivered> {
        let mut delivered = Vec::new();
        for message in messages {
            self.booth.take(message);
            for _ in 0..copies {
                let status = self.booth.send(message, 0).await;
                delivered.push(Delivered { message: (*message).to_owned(), status });
            }
        }
        delivered
    }

    /// Delivers everything that waits, in order, once.
    pub async fn deliver_all(&self) -> Vec<Delivered> {
        let waiting = self.booth.waiting();
        let waiting: Vec<&str> = waiting.iter().map(String::as_str).collect();
        self.deliver(&waiting, 1).await
    }

    /// Messages that wait, for their time or for somebody's hand, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.booth.waiting()
    }

    /// Stops listening and delivering. The state file stays.
    pub async fn stop(self) {
        self.running.deliverer.abort();
        self.running.server.stop(false).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "it delivers to this machine, where the guarded client does not go")]
fn client() -> anyhow::Result<reqwest::Client> {
    // Whoever starts us may have installed it already; one of them is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(builder.timeout(ANSWER_TIMEOUT).build()?)
}
