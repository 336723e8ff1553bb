//! The handle: how a test or the program starts the stand-in, and plays the people around it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::Context;
use serde_json::Value;
use tokio::sync::Notify;
use url::Url;

use super::books::{Books, Cause, House, Work};
use super::error::Refusal;
use super::hosted::{self, Click, Outcome, PayAs};
use super::objects::{link, text};
use super::switches::Switches;
use super::{attempts, disputes, intents, refunds, server, sessions, webhooks};
use crate::base::{Clock, Secret};

/// Requests that are remembered for [`StripeStandIn::requests`].
const MAX_SEEN: usize = 1000;
/// Deliveries by hand wait so long for each other at most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How to start one.
#[derive(Clone, Debug)]
pub struct StripeOptions {
    /// The key that requests must carry: `sk_test_...`.
    pub secret_key: String,
    /// Where events go; nowhere if not said.
    pub webhook_url: Option<Url>,
    /// Each event is signed with each of them, as while a secret is replaced.
    pub webhook_secrets: Vec<String>,
    /// Where everything is kept for the next start; nowhere if not said.
    pub state_file: Option<PathBuf>,
    /// Its own id: `acct_...`.
    pub account: String,
    /// Whether it claims that its money is real.
    pub livemode: bool,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// With the query.
    pub path: String,
    pub idempotency_key: Option<String>,
    /// The header `Stripe-Version`.
    pub version: Option<String>,
    pub status: u16,
}

/// One delivery of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub event: String,
    /// Nothing if the shop did not answer.
    pub status: Option<u16>,
}

/// Where events go, and how they are signed.
#[derive(Clone)]
struct Target {
    url: Option<Url>,
    secrets: Secret<Vec<String>>,
}

/// What the server's tasks and the handles share.
pub(super) struct Shared {
    books: Mutex<Books>,
    target: Mutex<Target>,
    seen: Mutex<VecDeque<Seen>>,
    pub key: Secret<String>,
    house: House,
    state_file: Option<PathBuf>,
    clock: Clock,
    client: reqwest::Client,
    wake: Notify,
    stopped: AtomicBool,
}

/// A running stand-in. Clones are handles on the same one; it stops when the last is dropped.
#[derive(Clone)]
pub struct StripeStandIn {
    shared: Arc<Shared>,
    running: Arc<Running>,
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Does one step of work, keeps the state, and wakes the deliverer.
    pub fn work<T>(&self, cause: Cause, step: impl FnOnce(&mut Work) -> T) -> T {
        let mut books = locked(&self.books);
        let house = House { has_webhook: locked(&self.target).url.is_some(), ..self.house.clone() };
        let now_ms = self.now_ms();
        let mut work = Work { books: &mut books, house: &house, now_ms, cause };
        sessions::expire_due(&mut work);
        let result = step(&mut work);
        if std::mem::take(&mut books.changed)
            && let Err(error) = self.save(&books)
        {
            tracing::error!("the Stripe stand-in could not keep its state: {error:#}");
        }
        drop(books);
        self.wake.notify_one();
        result
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Written beside and moved, so that a crash leaves the old state or the new one.
    fn save(&self, books: &Books) -> anyhow::Result<()> {
        let Some(file) = &self.state_file else { return Ok(()) };
        let beside = file.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(books)?)?;
        Ok(std::fs::rename(&beside, file)?)
    }

    pub fn saw(&self, seen: Seen) {
        let mut all = locked(&self.seen);
        if all.len() >= MAX_SEEN {
            all.pop_front();
        }
        all.push_back(seen);
    }

    /// Changes the switches.
    pub fn switch(&self, switches: Switches) {
        locked(&self.books).switches = switches;
        self.wake.notify_one();
    }

    pub fn switches(&self) -> Switches {
        locked(&self.books).switches.clone()
    }

    /// Sends an event once, whatever waits.
    async fn send(&self, event: &str) -> Delivered {
        let target = locked(&self.target).clone();
        let object = locked(&self.books).get(event).cloned();
        let status = match (target.url, object) {
            (Some(url), Some(object)) => {
                let now = self.clock.now().timestamp();
                webhooks::send(&self.client, &url, target.secrets.expose(), &object, now).await
            }
            _ => None,
        };
        Delivered { event: event.to_owned(), status }
    }

    /// Delivers what is due until the stand-in stops.
    async fn deliver_forever(self: Arc<Shared>) {
        while !self.stopped.load(Ordering::Acquire) {
            let (due, copies) = self.due();
            for one in due {
                let mut taken = false;
                for _ in 0..copies.max(1) {
                    let status = self.send(&one.event).await.status;
                    taken |= status.is_some_and(|status| (200..300).contains(&status));
                }
                self.delivered(&one.event, taken);
            }
            // Asked only now, for what was not taken is due again soon.
            let wait = self.until_next();
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn delivered(&self, event: &str, taken: bool) {
        let now_ms = self.now_ms();
        let queue = &mut locked(&self.books).queue;
        if taken {
            queue.remove(event);
        } else if !queue.again(event, now_ms) {
            tracing::warn!("the Stripe stand-in gave up delivering {event}");
        }
    }

    /// What is due, and how often each is sent.
    fn due(&self) -> (Vec<webhooks::Waiting>, u32) {
        let mut books = locked(&self.books);
        if books.switches.hold_events {
            return (Vec::new(), 0);
        }
        let mut due = books.queue.lend_due(self.now_ms());
        if books.switches.newest_first {
            due.reverse();
        }
        (due, books.switches.copies)
    }

    /// How long until something is due; held events wait for somebody's hand.
    fn until_next(&self) -> Duration {
        let books = locked(&self.books);
        let next = books.queue.next_due_ms().filter(|_| !books.switches.hold_events);
        next.map_or(LONGEST_WAIT, |at| {
            Duration::from_millis(u64::try_from(at - self.now_ms()).unwrap_or_default()).min(LONGEST_WAIT)
        })
    }
}

impl StripeStandIn {
    /// Starts one at this address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the port is taken, or the state file cannot be read: delete it then.
    pub async fn start(listen: SocketAddr, options: StripeOptions) -> anyhow::Result<StripeStandIn> {
        let socket = std::net::TcpListener::bind(listen)
            .with_context(|| format!("the Stripe stand-in cannot listen at {listen}; is the port in use?"))?;
        let base = format!("http://{}", socket.local_addr()?);
        let books = match &options.state_file {
            Some(file) if file.exists() => {
                let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
                let mut books: Books = serde_json::from_slice(&text).with_context(|| {
                    format!("{} is no state of this stand-in; delete it to start anew", file.display())
                })?;
                books.after_start();
                books
            }
            _ => Books::default(),
        };
        let shared = Arc::new(Shared {
            books: Mutex::new(books),
            target: Mutex::new(Target { url: options.webhook_url, secrets: Secret::new(options.webhook_secrets) }),
            seen: Mutex::default(),
            key: Secret::new(options.secret_key),
            house: House { account: options.account, livemode: options.livemode, base, has_webhook: false },
            state_file: options.state_file,
            clock: Clock::system(),
            client: client()?,
            wake: Notify::new(),
            stopped: AtomicBool::new(false),
        });
        let server = server::run(socket, Arc::clone(&shared))?;
        let deliverer = tokio::spawn(Arc::clone(&shared).deliver_forever());
        Ok(StripeStandIn { shared, running: Arc::new(Running { server, deliverer }) })
    }

    /// Where it is: the base of its API and its pages, with a slash at the end.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an address that is listened at is a URL")]
    pub fn url(&self) -> Url {
        Url::parse(&self.shared.house.base).expect("http and a socket's address")
    }

    /// Events go there from now on. What happened before is not told later.
    pub fn set_webhook(&self, url: Option<Url>, secrets: Vec<String>) {
        *locked(&self.shared.target) = Target { url, secrets: Secret::new(secrets) };
        self.shared.wake.notify_one();
    }

    pub fn set_switches(&self, switches: Switches) {
        self.shared.switch(switches);
    }

    /// As they are now: what was used up is gone.
    #[must_use]
    pub fn switches(&self) -> Switches {
        self.shared.switches()
    }

    fn act<T>(&self, step: impl FnOnce(&mut Work) -> T) -> T {
        self.shared.work(Cause::default(), step)
    }

    /// What a click on the hosted page does, with the session's first method.
    ///
    /// # Errors
    /// When the session is not open, or cannot be paid so.
    pub fn pay(&self, session: &str, how: PayAs) -> Result<Outcome, Refusal> {
        self.act(|work| hosted::click(work, session, &Click { how, method: None, keep: false }))
    }

    /// The same with a method of the person's choice, which they may want to have kept.
    ///
    /// # Errors
    /// As [`Self::pay`], and when the session does not take the method.
    pub fn pay_with(&self, session: &str, how: PayAs, method: &str, keep: bool) -> Result<Outcome, Refusal> {
        self.act(|work| hosted::click(work, session, &Click { how, method: Some(method), keep }))
    }

    /// What the person answers on their bank's page.
    ///
    /// # Errors
    /// When the intent does not wait for it.
    pub fn authenticate(&self, intent: &str, approved: bool) -> Result<Outcome, Refusal> {
        self.act(|work| hosted::authenticate(work, intent, approved))
    }

    /// Money that was on its way comes, or does not.
    ///
    /// # Errors
    /// When the payment is not processing.
    pub fn settle(&self, payment_intent: &str, came: bool) -> Result<(), Refusal> {
        self.act(|work| attempts::settle(work, payment_intent, came))
    }

    /// The person's bank takes back so many cents, or all. Gives the dispute's id.
    ///
    /// # Errors
    /// When nothing was paid, or it is disputed already.
    pub fn dispute(&self, payment_intent: &str, cents: Option<i64>) -> Result<String, Refusal> {
        self.act(|work| disputes::open(work, payment_intent, cents)).map(|dispute| text(&dispute, "id").to_owned())
    }

    /// The person's bank asks about a payment and takes nothing. Gives the dispute's id.
    ///
    /// # Errors
    /// As [`Self::dispute`].
    pub fn inquire(&self, payment_intent: &str) -> Result<String, Refusal> {
        self.act(|work| disputes::inquire(work, payment_intent)).map(|dispute| text(&dispute, "id").to_owned())
    }

    /// The bank decides a dispute that was over once more, the other way.
    ///
    /// # Errors
    /// When nobody has decided it yet.
    pub fn turn_dispute(&self, dispute: &str) -> Result<(), Refusal> {
        self.act(|work| disputes::turn(work, dispute)).map(drop)
    }

    /// # Errors
    /// When the dispute is over already.
    pub fn close_dispute(&self, dispute: &str, won: bool) -> Result<(), Refusal> {
        self.act(|work| disputes::close(work, dispute, won)).map(drop)
    }

    /// A card network warns that the payment is probably fraud. Gives the warning's id.
    ///
    /// # Errors
    /// When nothing was paid.
    pub fn warn_of_fraud(&self, payment_intent: &str) -> Result<String, Refusal> {
        self.act(|work| disputes::warn(work, payment_intent)).map(|warning| text(&warning, "id").to_owned())
    }

    /// Somebody refunds so many cents, or all that is left, by hand in Stripe's dashboard. Gives the refund's id.
    ///
    /// # Errors
    /// As the API refuses it.
    pub fn refund(&self, payment_intent: &str, cents: Option<i64>) -> Result<String, Refusal> {
        self.act(|work| {
            let charge = intents::latest_charge(work, payment_intent, None)?;
            let refund = refunds::refund(work, &charge, cents)?;
            refunds::announce(work, &refund);
            Ok(refund)
        })
    }

    /// A pending refund reaches the person; only those to bank accounts take time.
    ///
    /// # Errors
    /// When it is not pending.
    pub fn finish_refund(&self, refund: &str) -> Result<(), Refusal> {
        self.act(|work| refunds::finish(work, refund, true))
    }

    /// The person's bank sends a refund back, and the money is ours again.
    ///
    /// # Errors
    /// When it has failed already.
    pub fn fail_refund(&self, refund: &str) -> Result<(), Refusal> {
        self.act(|work| refunds::finish(work, refund, false))
    }

    /// What Stripe would hold for us, in cents: paid, less refunded, less disputed, won disputes back. No fees.
    #[must_use]
    pub fn balance(&self) -> i64 {
        locked(&self.shared.books).balance()
    }

    /// What Stripe would keep of that for itself, in cents.
    #[must_use]
    pub fn fees(&self) -> i64 {
        locked(&self.shared.books).fees()
    }

    /// Makes an object older than it is.
    pub fn age(&self, id: &str, seconds: i64) {
        self.act(|work| {
            let created = super::objects::number(&work.now_is(id), "created") - seconds;
            work.set(id, serde_json::json!({ "created": created }));
        });
    }

    /// An object as the API would tell it.
    #[must_use]
    pub fn object(&self, id: &str) -> Option<Value> {
        locked(&self.shared.books).get(id).cloned()
    }

    /// All objects of a kind, such as `refund`, oldest first.
    #[must_use]
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        let mut all: Vec<Value> = locked(&self.shared.books).all(kind).cloned().collect();
        all.reverse();
        all
    }

    /// The payment intent of a session, also before the session tells it.
    #[must_use]
    pub fn intent_of(&self, session: &str) -> Option<String> {
        let told = self.object(session).and_then(|session| link(&session, "payment_intent"));
        told.or_else(|| locked(&self.shared.books).private(session).intent)
    }

    /// All events, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.objects("event")
    }

    /// The requests that came, oldest first; at most the last thousand.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        locked(&self.shared.seen).iter().cloned().collect()
    }

    /// Delivers these events now, in this order, each so often. They are not delivered again by themselves.
    pub async fn deliver(&self, events: &[&str], copies: usize) -> Vec<Delivered> {
        let mut delivered = Vec::new();
        for event in events {
            locked(&self.shared.books).queue.remove(event);
            for _ in 0..copies {
                delivered.push(self.shared.send(event).await);
            }
        }
        delivered
    }

    /// Delivers everything that waits, in order, once.
    pub async fn deliver_all(&self) -> Vec<Delivered> {
        let waiting = locked(&self.shared.books).queue.all();
        let waiting: Vec<&str> = waiting.iter().map(String::as_str).collect();
        self.deliver(&waiting, 1).await
    }

    /// How many deliveries wait, for their time or for somebody's hand.
    #[must_use]
    pub fn waiting(&self) -> usize {
        locked(&self.shared.books).queue.len()
    }

    /// Stops listening and delivering. The state file stays.
    pub async fn stop(self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.running.deliverer.abort();
        self.running.server.stop(false).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "it delivers to this machine, where the guarded client does not go")]
fn client() -> anyhow::Result<reqwest::Client> {
    // Whoever starts us may have installed it already; one of them is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(builder.timeout(webhooks::ANSWER_TIMEOUT).build()?)
}
