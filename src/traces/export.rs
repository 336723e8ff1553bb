//! Where traces go: a bounded queue, and one task that sends what is in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use rand::RngExt;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::sample::Sampler;
use super::trace::Trace;
use super::{Context, encode};
use crate::base::{Clock, Secret};

/// Tries to bring one batch to the collector.
const TRIES: u32 = 3;
/// Before another one.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// At the end of the process, for what is still queued.
const LAST_WORDS: Duration = Duration::from_secs(3);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Where and how.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The collector's address for traces, such as `http://collector:4318/v1/traces`.
    pub endpoint: Url,
    /// Sent with every batch; they may hold a key.
    pub headers: Vec<(String, Secret<String>)>,
    /// What is said of this process: `service.name` and whatever else was asked for.
    pub resource: Vec<(String, String)>,
    pub sampler: Sampler,
    /// Of one batch.
    pub timeout: Duration,
    /// Traces that wait at most; beyond it they are dropped.
    pub queue: usize,
    /// Traces of one batch.
    pub batch: usize,
    /// How long a trace waits for others.
    pub delay: Duration,
}

/// Begins traces and takes them when they are done. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    sampler: Sampler,
    clock: Clock,
    sender: mpsc::Sender<Trace>,
}

impl Tracer {
    /// Makes nothing.
    #[must_use]
    pub fn off() -> Tracer {
        Tracer(None)
    }

    /// Starts the task that sends. It ends with `stop`, after what was queued.
    ///
    /// # Errors
    /// When the settings make no client.
    pub fn start(settings: TraceSettings, tasks: &TaskTracker, stop: CancellationToken) -> anyhow::Result<Tracer> {
        let (sender, receiver) = mpsc::channel(settings.queue);
        let sampler = settings.sampler;
        let line = Line::new(settings)?;
        tasks.spawn(line.run(receiver, stop));
        Ok(Tracer(Some(Arc::new(Inner { sampler, clock: Clock::system(), sender }))))
    }

    /// Begins a trace, if any are made and this one is to be kept. `parent` is of the header `traceparent`.
    #[must_use]
    pub fn begin(&self, parent: Option<Context>, name: impl FnOnce() -> String) -> Option<Box<Trace>> {
        let inner = self.0.as_ref()?;
        let id = parent.map_or_else(|| rand::rng().random_range(1..=u128::MAX), |parent| parent.trace);
        if !inner.sampler.keeps(parent.as_ref(), id) {
            return None;
        }
        let wall = inner.clock.now().timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok());
        Some(Box::new(Trace::new(id, parent.as_ref(), &name(), (Instant::now(), wall.unwrap_or_default()))))
    }

    /// Hands a trace over. Never waits.
    pub fn send(&self, trace: Trace) {
        let Some(inner) = &self.0 else { return };
        if let Err(mpsc::error::TrySendError::Full(trace) | mpsc::error::TrySendError::Closed(trace)) =
            inner.sender.try_send(trace)
        {
            dropped(&[trace]);
        }
    }
}

fn spans(traces: &[Trace]) -> u64 {
    traces.iter().map(|trace| u64::try_from(trace.spans().count()).unwrap_or_default()).sum()
}

fn dropped(traces: &[Trace]) {
    counter!("farebox_spans_dropped_total").increment(spans(traces));
}

/// The way to the collector.
struct Line {
    client: reqwest::Client,
    settings: TraceSettings,
    headers: HeaderMap,
}

impl Line {
    #[expect(
        clippy::disallowed_methods,
        reason = "a client with its own limits: the operator named the collector, which may stand in a private network"
    )]
    fn new(settings: TraceSettings) -> anyhow::Result<Line> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(settings.timeout)
            .build()?;
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let mut value = HeaderValue::from_str(value.expose())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes())?, value);
        }
        headers.insert("content-type", HeaderValue::from_static("application/x-protobuf"));
        Ok(Line { client, settings, headers })
    }

    async fn run(self, mut queue: mpsc::Receiver<Trace>, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                count = queue.recv_many(&mut batch, self.settings.batch) => {
                    if count == 0 {
                        return;
                    }
                }
            }
            let gather = async {
                while batch.len() < self.settings.batch {
                    match queue.recv().await {
                        Some(trace) => batch.push(trace),
                        None => return,
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                _ = tokio::time::timeout(self.settings.delay, gather) => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.send(&batch) => batch.clear(),
            }
        }
        queue.close();
        while let Ok(trace) = queue.try_recv() {
            batch.push(trace);
        }
        if !batch.is_empty() && tokio::time::timeout(LAST_WORDS, self.send(&batch)).await.is_err() {
            dropped(&batch);
        }
    }

    /// Brings a batch there, or counts it as dropped.
    async fn send(&self, batch: &[Trace]) {
        let body = encode::request(&self.settings.resource, batch);
        for tried in 1..=TRIES {
            let request = self.client.post(self.settings.endpoint.clone()).headers(self.headers.clone());
            let answer = request.body(body.clone()).send().await;
            let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            match status {
                200..=299 => {
                    counter!("farebox_spans_exported_total").increment(spans(batch));
                    return;
                }
                // Nobody there, or not now: worth another try.
                0 | 429 | 502..=504 if tried < TRIES => tokio::time::sleep(AGAIN_AFTER * tried).await,
                _ => {
                    tracing::debug!(status, traces = batch.len(), "a collector did not take traces; they are dropped");
                    break;
                }
            }
        }
        dropped(batch);
    }
}
