//! The exchange with the upstream: one tracked task per admitted call, which settles on every way out.
//!
//! It runs on the main runtime and not on the worker that answers the client, so nothing that happens to the
//! client's connection can stop it. The response body only listens to a bounded channel.

mod bill;
mod client;
mod exchange;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::call::Terms;
use super::dialect::{Kept, Writer};
use super::error::ApiError;
use super::figures;
use super::providers::{Failure, Fault, Piece, UpstreamKeys};
use super::settle::{Durable, Receipt, Settler};
use super::spans::{self, Tracing};
use super::wire::{Stamp, UsageOut};
use super::{Attempt, Call, Ended};
use crate::base::Usd;
use crate::catalog::Task;
use crate::outgoing::HttpClient;
use crate::privacy::{Cut, Text, Texts};
use crate::routing::{Candidate, Conversation, Conversations, Health};
use crate::traces::Tracer;
use bill::Bill;
use client::Client;
pub(super) use exchange::End;
use exchange::Progress;

/// How long the gateway waits for whom.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the question to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer, and for a client to take one.
    pub idle: Duration,
    /// For all endpoints of a call together.
    pub total: Duration,
    /// For the usage of a call whose client has left.
    pub drain: Duration,
    /// Between two signs of life to a client that waits. The first one also sends the headers: until then an error
    /// still has its real status, and no proxy gives up a connection so soon.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(15 * 60),
            drain: Duration::from_secs(120),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// Whoever ends a call in the books. Never fails: what cannot be committed now is kept safe elsewhere.
pub trait Settles: Send + Sync {
    fn settle(&self, call: Call, hold: Usd, ended: Ended) -> BoxFuture<'_, Receipt>;
}

impl Settles for Settler {
    fn settle(&self, call: Call, hold: Usd, ended: Ended) -> BoxFuture<'_, Receipt> {
        Settler::settle(self, call, hold, ended).boxed()
    }
}

/// What the client gets.
#[derive(Debug)]
pub enum Answer {
    /// A JSON body, status 200.
    Whole(Bytes),
    /// Events, as they come.
    Stream(mpsc::Receiver<Bytes>),
    Error(ApiError),
}

/// What every exchange needs.
pub(super) struct Deps {
    pub http: HttpClient,
    pub keys: UpstreamKeys,
    pub settler: Arc<dyn Settles>,
    pub health: Health,
    pub conversations: Conversations,
    pub texts: Texts,
    pub tracer: Tracer,
    pub timeouts: Timeouts,
    pub handle: Handle,
    pub tasks: TaskTracker,
}

/// One endpoint to ask, and how long its answer may be.
pub(super) struct Step {
    pub candidate: Candidate,
    /// What is sent as the caller's cap; `None` leaves it to the upstream.
    pub cap: Option<u64>,
    /// The longest answer that the hold pays for.
    pub longest: u64,
}

/// An admitted call.
pub(super) struct Job {
    pub call: Call,
    pub hold: Usd,
    /// What decides beside the price what it is charged, but for who answered.
    pub terms: Terms,
    /// For how many days its texts are kept; `None`: they are not.
    pub keep: Option<u16>,
    /// The model as the request named it.
    pub asked: String,
    pub task: Task,
    /// What the answer needs to know of the request.
    pub kept: Kept,
    pub body: Map<String, Value>,
    /// Fields of the body that presets have added.
    pub added: Vec<String>,
    pub conversation: Conversation,
    /// In the order in which they are asked; at least one.
    pub steps: Vec<Step>,
    /// Where one is made.
    pub trace: Tracing,
}

/// Starts the exchange of a call, as soon as it is admitted. The answer arrives when there is one to send, or not at all
/// if the process is going down.
pub(super) fn start(
    deps: &Arc<Deps>,
    streamed: bool,
    // In a box of its own, which is gone when the call is admitted: a task keeps the room for its largest step until its
    // end, and is copied with it on its way to the runtime.
    admission: BoxFuture<'static, Result<Job, ApiError>>,
) -> oneshot::Receiver<Answer> {
    let (head, answer) = oneshot::channel();
    let mut client = Client::new(head, streamed, deps.timeouts);
    let own = Arc::clone(deps);
    let call = async move {
        match admission.await {
            Ok(job) => run(own, job, client).await,
            Err(error) => client.refuse(error),
        }
    };
    deps.tasks.spawn_on(call, &deps.handle);
    answer
}

async fn run(deps: Arc<Deps>, mut job: Job, mut client: Client) {
    let mut progress = Progress::new(&job);
    progress.trace = job.trace.take();
    if job.keep.is_some() {
        client.keep();
    }
    let exchange = Box::pin(exchange::exchange(&deps, &job, &mut client, &mut progress));
    let end = AssertUnwindSafe(exchange).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(call = %job.call.id, "the exchange with an upstream panicked");
        End::Failed(Failure::new(Fault::Internal, "an internal error"))
    });
    let told = told(&end, &job, &progress, &client);
    let bill = AssertUnwindSafe(Box::pin(bill::bill(&deps, &job, &progress, &end, told))).catch_unwind().await;
    let mut bill = bill.unwrap_or_else(|_| {
        tracing::error!(call = %job.call.id, "the bill of a call panicked; it is settled for nothing");
        Bill::nothing(&progress, &end, told)
    });
    let stamp = stamp(&job, &progress);
    // The last one is what the error itself is about.
    let before = progress.attempts.split_last().map_or(&[][..], |(_, before)| before).to_vec();
    let tokens = bill.ended.tokens;
    let answered_by = progress.step(&job).filter(|_| bill.ended.price_version.is_some());
    let fee = answered_by.and_then(|step| step.candidate.own()).map(|own| own.fee);
    bill.ended.terms = Terms { fee, ..job.terms };
    let (org, call, upstream) = (job.call.org, job.call.id, bill.ended.byok());
    let mut trace = progress.trace.take();
    spans::used(&mut trace, &bill.ended);
    let (status, settling) = (bill.ended.status, Instant::now());
    let receipt = deps.settler.settle(job.call, job.hold, bill.ended).await;
    figures::ended(status, progress.started.elapsed(), settling.elapsed());
    spans::settled(&mut trace, settling.into_std(), &receipt);
    let usage = UsageOut::new(tokens, receipt.charged, &bill.lines).with(upstream, receipt.discount);
    // What neither the database nor the disk took must not be acknowledged.
    let end = match receipt.durable {
        Durable::Lost => End::Failed(Failure::new(Fault::Internal, "the settlement could not be stored")),
        Durable::Committed | Durable::Spooled => end,
    };
    deliver(end, &mut client, progress.writer, (progress.answer, &before), &stamp, &usage).await;
    spans::end(&deps.tracer, trace);
    // The client has all of it by now: nothing of this can hold it up.
    if let (Some(keep_days), Some(response)) = (job.keep, client.kept()) {
        let request = Cut::of_request(&job.asked, &job.body);
        deps.texts.keep(Text { org, call, request, response, keep_days });
    }
}

/// The HTTP status that the client has got, or will get.
fn told(end: &End, job: &Job, progress: &Progress, client: &Client) -> u16 {
    match end {
        _ if client.is_open() => 200,
        End::Complete => 200,
        End::Left => 499,
        End::Failed(failure) => failure.to_error(provider_name(job, progress)).status(),
    }
}

fn provider_name<'a>(job: &'a Job, progress: &Progress) -> &'a str {
    progress.step(job).map_or("", |step| step.candidate.offer().provider.provider.name.as_str())
}

fn stamp(job: &Job, progress: &Progress) -> Stamp {
    Stamp {
        id: job.call.id.to_string(),
        created: job.call.created_at.timestamp(),
        model: progress.step(job).map_or("", |step| step.candidate.model()).to_owned(),
        provider: provider_name(job, progress).to_owned(),
    }
}

/// The last bytes, after the settlement.
async fn deliver(
    end: End,
    client: &mut Client,
    mut writer: Writer,
    (answer, failed_before): (Option<Piece>, &[Attempt]),
    stamp: &Stamp,
    usage: &UsageOut,
) {
    match (end, answer) {
        (End::Failed(failure), _) => {
            let error = failure.to_error(&stamp.provider).after(failed_before);
            // Asking again would cost again, or find the same keys refused.
            let is_final = usage.charged.is_positive() || failure.is_lasting(failed_before);
            let error = if is_final { error.without_retry() } else { error };
            if client.is_open() {
                client.send(writer.broken(stamp, &error, usage)).await;
            } else {
                client.refuse(error);
            }
        }
        (_, Some(answer)) => client.whole(writer.whole(answer, stamp, usage)),
        (_, None) => client.send(writer.end(stamp, usage)).await,
    }
}

#[cfg(test)]
mod tests;
