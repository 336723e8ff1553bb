//! What the tasks of one stand-in share, and one step of its work.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::Url;

use super::faults::{Fault, Faults};
use super::stand::Seen;
use crate::base::{Clock, Secret};
use crate::stand_ins::deliveries::{Queue, Waiting};

/// Requests that are remembered.
const MAX_SEEN: usize = 1000;
/// Deliveries by hand wait so long for each other at most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that a fault can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(120);

/// The books of a pretend company, and its own rules.
pub trait Company: Default + Serialize + DeserializeOwned + Send + 'static {
    /// Who may ask, and what it is called; not kept.
    type Config: Send;
    /// As logs name it.
    const NAME: &'static str;

    /// Called once at the start, with the address of its pages without a slash at the end.
    fn configure(&mut self, config: Self::Config, base: &str);

    /// Lets time pass: what is over by now ends.
    fn pass(&mut self, now_ms: i64);

    /// Messages that were written since the last call, oldest first.
    fn untold(&mut self) -> Vec<String>;

    /// A message as it is sent at its first or a later try.
    fn message(&self, id: &str, tries: usize, secret: &str, now_ms: i64) -> Option<Outgoing>;
}

/// A message as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// An answer of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

/// Everything that is remembered; also the content of the state file.
#[derive(Default, Serialize, Deserialize)]
#[serde(bound = "C: Company")]
pub struct State<C: Company> {
    pub company: C,
    pub queue: Queue,
    #[serde(skip)]
    pub faults: Faults,
}

pub struct Booth<C: Company> {
    state: Mutex<State<C>>,
    /// Where messages go, and what signs them.
    target: Mutex<Option<(Url, Secret<String>)>>,
    seen: Mutex<VecDeque<Seen>>,
    state_file: Option<PathBuf>,
    pub base: String,
    clock: Clock,
    client: reqwest::Client,
    wake: Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: Company> Booth<C> {
    pub fn new(
        state: State<C>,
        webhook: Option<(Url, String)>,
        state_file: Option<PathBuf>,
        base: String,
        client: reqwest::Client,
    ) -> Booth<C> {
        let target = webhook.map(|(url, secret)| (url, Secret::new(secret)));
        Booth {
            state: Mutex::new(state),
            target: Mutex::new(target),
            seen: Mutex::default(),
            state_file,
            base,
            clock: Clock::system(),
            client,
            wake: Notify::new(),
        }
    }

    pub fn set_target(&self, target: Option<(Url, String)>) {
        *locked(&self.target) = target.map(|(url, secret)| (url, Secret::new(secret)));
        self.wake.notify_one();
    }

    pub fn set_faults(&self, faults: Faults) {
        locked(&self.state).faults = faults;
        self.wake.notify_one();
    }

    pub fn faults(&self) -> Faults {
        locked(&self.state).faults.clone()
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Does one step of work at this moment, keeps the state, and wakes the deliverer.
    pub fn work<T>(&self, step: impl FnOnce(&mut C, i64) -> T) -> T {
        let now_ms = self.now_ms();
        let mut state = locked(&self.state);
        state.company.pass(now_ms);
        let result = step(&mut state.company, now_ms);
        let delay = i64::try_from(state.faults.event_delay_ms).unwrap_or(i64::MAX);
        let listens = locked(&self.target).is_some();
        for message in state.company.untold() {
            if listens {
                state.queue.add(message, now_ms.saturating_add(delay));
            }
        }
        if let Err(error) = self.save(&state) {
            tracing::error!("the stand-in of {} could not keep its state: {error:#}", C::NAME);
        }
        drop(state);
        self.wake.notify_one();
        result
    }

    /// Reads without changing anything.
    pub fn look<T>(&self, at: impl FnOnce(&C) -> T) -> T {
        at(&locked(&self.state).company)
    }

    /// Written beside and moved, so that a crash leaves the old state or the new one.
    fn save(&self, state: &State<C>) -> anyhow::Result<()> {
        let Some(file) = &self.state_file else { return Ok(()) };
        let beside = file.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(state)?)?;
        Ok(std::fs::rename(&beside, file)?)
    }

    /// Answers a request of the API, with the faults that are turned on around its work.
    pub async fn answer(&self, seen: Seen, step: impl FnOnce(&mut C, i64) -> Reply) -> HttpResponse {
        let (fault, wait) = {
            let mut state = locked(&self.state);
            let wait = if state.faults.concern(&seen.method, &seen.path) { state.faults.delay_ms } else { 0 };
            (state.faults.next(&seen.method, &seen.path), wait)
        };
        pause(wait).await;
        let broken = || Reply { status: 500, body: json!({ "message": "Something went wrong here. Try again." }) };
        let reply = match fault {
            Fault::RateLimit => Reply { status: 429, body: json!({ "message": "Too many requests." }) },
            Fault::FailBeforeWork => broken(),
            _ => {
                let reply = self.work(step);
                if fault == Fault::Late {
                    pause(self.faults().late_by_ms).await;
                }
                if fault == Fault::FailAfterWork { broken() } else { reply }
            }
        };
        let mut all = locked(&self.seen);
        if all.len() >= MAX_SEEN {
            all.pop_front();
        }
        all.push_back(Seen { status: reply.status, ..seen });
        drop(all);
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8")).body(reply.body.to_string())
    }

    pub fn requests(&self) -> Vec<Seen> {
        locked(&self.seen).iter().cloned().collect()
    }

    /// Sends a message once, whatever waits. The status that it is answered with, if it is.
    pub async fn send(&self, id: &str, tries: usize) -> Option<u16> {
        let (url, secret) = locked(&self.target).clone()?;
        let message = locked(&self.state).company.message(id, tries, secret.expose(), self.now_ms())?;
        let mut request = self.client.post(url).body(message.body);
        for (name, value) in message.headers {
            request = request.header(name, value);
        }
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }

    /// Takes a message out of the queue: somebody delivers it by hand.
    pub fn take(&self, id: &str) {
        locked(&self.state).queue.remove(id);
    }

    pub fn waiting(&self) -> Vec<String> {
        locked(&self.state).queue.all()
    }

    /// Delivers what is due for as long as the stand-in runs.
    pub async fn deliver_forever(&self) {
        loop {
            let (due, copies) = self.due();
            for one in due {
                let mut taken = false;
                for _ in 0..copies.max(1) {
                    let status = self.send(&one.event, one.tries).await;
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

    fn delivered(&self, message: &str, taken: bool) {
        let now_ms = self.now_ms();
        let queue = &mut locked(&self.state).queue;
        if taken {
            queue.remove(message);
        } else if !queue.again(message, now_ms) {
            tracing::warn!("the stand-in of {} gave up delivering {message}", C::NAME);
        }
    }

    /// What is due, and how often each is sent.
    fn due(&self) -> (Vec<Waiting>, u32) {
        let mut state = locked(&self.state);
        if state.faults.hold_events {
            return (Vec::new(), 0);
        }
        let mut due = state.queue.lend_due(self.now_ms());
        if state.faults.newest_first {
            due.reverse();
        }
        (due, state.faults.copies)
    }

    /// How long until something is due; held messages wait for somebody's hand.
    fn until_next(&self) -> Duration {
        let state = locked(&self.state);
        let next = state.queue.next_due_ms().filter(|_| !state.faults.hold_events);
        next.map_or(LONGEST_WAIT, |at| {
            Duration::from_millis(u64::try_from(at - self.now_ms()).unwrap_or_default()).min(LONGEST_WAIT)
        })
    }
}

async fn pause(milliseconds: u64) {
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(milliseconds).min(MAX_PAUSE)).await;
    }
}
