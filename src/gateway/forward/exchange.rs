//! Asking one endpoint after the other until one answers, and passing its answer on.

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::client::{Client, Waited};
use super::{Deps, Job, Step};
use crate::catalog::Task;
use crate::gateway::Attempt;
use crate::gateway::count::PER_IMAGE;
use crate::gateway::dialect::Writer;
use crate::gateway::figures;
use crate::gateway::meter::Meter;
use crate::gateway::providers::{Failure, Fault, Line, Piece, Question, Reply, STOPPED, Source, TOO_LONG, ask};
use crate::gateway::spans::{self, Tracing};
use crate::gateway::wire::Stamp;
use crate::routing::Took;
use crate::traces::Context;

/// Endpoints that one call asks at most.
const MAX_TRIES: usize = 8;

/// How an exchange ended.
pub(in crate::gateway) enum End {
    /// The upstream answered to its end.
    Complete,
    /// The client left, and the upstream was not heard to its end.
    Left,
    Failed(Failure),
}

/// What has happened so far. It outlives a panic of the exchange, so that the bill is still true.
pub(super) struct Progress {
    pub started: Instant,
    /// The step that was asked last.
    asked: Option<usize>,
    asked_at: Instant,
    /// It has begun a stream.
    begun: bool,
    pub meter: Meter,
    /// An answer in one piece.
    pub answer: Option<Piece>,
    /// What was written to the client by the step that was asked last.
    pub writer: Writer,
    pub first_token_at: Option<Instant>,
    pub attempts: Vec<Attempt>,
    /// The language of the call, which each attempt says.
    api: &'static str,
    /// The client left before the end.
    pub cancelled: bool,
    pub trace: Tracing,
}

impl Progress {
    pub(super) fn new(job: &Job) -> Progress {
        let now = Instant::now();
        Progress {
            started: now,
            asked: None,
            asked_at: now,
            begun: false,
            meter: Meter::default(),
            answer: None,
            writer: job.kept.writer(),
            first_token_at: None,
            attempts: Vec::new(),
            api: job.kept.api(),
            cancelled: false,
            trace: None,
        }
    }

    /// The step that was asked last; its price is the one of the bill.
    pub(super) fn step<'a>(&self, job: &'a Job) -> Option<&'a Step> {
        job.steps.get(self.asked?)
    }

    fn ask(&mut self, job: &Job, index: usize) {
        self.asked = Some(index);
        self.asked_at = Instant::now();
        self.begun = false;
        self.meter = Meter::default();
        self.answer = None;
        self.writer = job.kept.writer();
        self.first_token_at = None;
    }

    fn note(&mut self, step: &Step, status: Option<u16>, error: &str) {
        self.attempts.push(Attempt {
            provider: step.candidate.provider_slug().to_owned(),
            model: step.candidate.model().to_owned(),
            status,
            error: error.to_owned(),
            duration_ms: millis(self.asked_at, Instant::now()),
            own: step.candidate.own().is_some(),
            api: self.api.to_owned(),
        });
    }
}

/// Whole milliseconds between two moments.
pub(super) fn millis(from: Instant, to: Instant) -> u32 {
    u32::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u32::MAX)
}

pub(super) async fn exchange(deps: &Deps, job: &Job, client: &mut Client, progress: &mut Progress) -> End {
    let deadline = progress.started + deps.timeouts.total;
    let mut last = None;
    let mut refused_by = None;
    for (index, step) in job.steps.iter().enumerate().take(MAX_TRIES) {
        if refused_by == Some(step.candidate.model()) {
            continue;
        }
        if client.is_gone() {
            progress.cancelled = true;
            return End::Left;
        }
        progress.ask(job, index);
        let context = spans::next(&progress.trace);
        let tried = attempt(deps, job, step, client, progress, (deadline, context)).await;
        let asked_at = progress.asked_at.into_std();
        let became = (&tried, progress.begun);
        spans::asked(&mut progress.trace, (context, job.task), step, asked_at, became);
        progress.cancelled |= client.is_gone();
        match tried {
            Ok(end) => {
                if matches!(end, End::Complete) {
                    answered(deps, job, step, progress);
                }
                return end;
            }
            Err(failure) => {
                progress.note(step, failure.upstream_status(), &failure.message);
                figures::attempted(step.candidate.provider_slug(), failure.word(), progress.asked_at.elapsed());
                let own = step.candidate.own().is_some() && failure.is_about_the_account();
                if failure.is_outage() && !own {
                    deps.health.failed(step.candidate.offer().id, std::time::Instant::now());
                }
                let settled = client.has_sent() || progress.cancelled || progress.meter.produced();
                if settled || Instant::now() >= deadline {
                    return End::Failed(failure);
                }
                refused_by = failure.is_about_the_request().then(|| step.candidate.model());
                // An account of the caller's own may do what ours does not, and how that one failed is what counts then.
                if failure.fault != Fault::Unpriced || last.is_none() {
                    last = Some(failure);
                }
            }
        }
    }
    End::Failed(last.unwrap_or_else(|| Failure::new(Fault::Config, "no endpoint could be asked")))
}

fn answered(deps: &Deps, job: &Job, step: &Step, progress: &mut Progress) {
    progress.note(step, Some(200), "");
    let slug = step.candidate.provider_slug();
    figures::attempted(slug, "ok", progress.asked_at.elapsed());
    let (asked, now) = (progress.asked_at, Instant::now());
    // An answer in one piece does not show when it began.
    let first = progress.first_token_at.filter(|_| progress.answer.is_none());
    if let Some(first) = first {
        figures::began(slug, first.saturating_duration_since(asked));
    }
    let took = Took {
        first_token_ms: first.map(|first| millis(asked, first).into()),
        writing_ms: millis(first.unwrap_or(asked), now).into(),
        tokens: progress.meter.completion.unwrap_or(0),
    };
    let offer = step.candidate.offer();
    deps.health.answered(offer.id, std::time::Instant::now(), took);
    // Going back there is worth something only where what was read once is cheaper.
    if offer.endpoint.price.cache_read.is_some() {
        deps.conversations.remember(job.conversation, offer.id);
    }
}

/// Asks one endpoint and passes on what it says.
async fn attempt(
    deps: &Deps,
    job: &Job,
    step: &Step,
    client: &mut Client,
    progress: &mut Progress,
    (deadline, context): (Instant, Option<Context>),
) -> Result<End, Failure> {
    let offer = step.candidate.offer();
    let first_byte = deadline.min(Instant::now() + deps.timeouts.first_byte);
    let hops = job.call.hops;
    let line = Line { http: &deps.http, keys: &deps.keys, timeouts: &deps.timeouts, first_byte, hops, context };
    let (cap, longest, stream) = (step.cap, step.longest, job.call.streamed);
    let question = Question {
        candidate: &step.candidate,
        body: &job.body,
        added: &job.added,
        cap,
        longest,
        stream,
        task: job.task,
        words: job.kept.words(),
    };
    // An answer in one piece is billed in full by everyone once it was asked for, so hanging up would save nothing.
    let can_be_counted = can_be_counted(&question);
    let may_cancel = stream && offer.provider.provider.cancel_stops_billing && can_be_counted;
    // What only the end tells is waited for as long as any call is, or it would cost nothing.
    let is_blind = !can_be_counted || (!stream && step.candidate.own().is_none());
    client.drain_for(if is_blind { deps.timeouts.total } else { deps.timeouts.drain });
    // Asking takes much room and is over when the answer begins.
    match client.wait(Box::pin(ask(line, &question)), deadline, may_cancel).await {
        Waited::Left => Ok(End::Left),
        Waited::TimedOut => Err(Failure::new(Fault::Timeout, TOO_LONG)),
        Waited::Done(reply) => match reply? {
            Reply::Whole(answer) => {
                match job.task {
                    Task::Answer => progress.meter.whole(&answer.chunk),
                    Task::Embed | Task::Rerank => progress.meter.unwritten(&answer.chunk),
                }
                progress.answer = Some(answer);
                progress.first_token_at = Some(Instant::now());
                Ok(End::Complete)
            }
            Reply::Stream(source) => {
                progress.begun = true;
                let until = Until { first_byte, deadline };
                pass_on(deps, job, source, client, progress, until, may_cancel).await
            }
        },
    }
}

/// Whether what a provider has produced can be told from what came, so that hanging up leaves nothing unpaid. What a model
/// thought in silence, how long a file is to it (and an image, where the catalog says that it is long), and what is no text
/// only its usage at the end says. An account of the organization's own pays its provider itself.
fn can_be_counted(question: &Question<'_>) -> bool {
    let body = question.body;
    let image_tokens = question.candidate.offer().endpoint.image_tokens;
    let long_images = image_tokens.is_some_and(|most| u64::from(most) > PER_IMAGE);
    question.candidate.own().is_some()
        || !(question.may_think() || holds_a_file(body, long_images) || is_more_than_text(body))
}

/// Whether an answer may be sound or images, or is guessed in advance: what was guessed in vain costs as much as an answer.
fn is_more_than_text(body: &Map<String, Value>) -> bool {
    let kinds = body.get("modalities").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind != "text"))
        || body.get("prediction").is_some_and(|guess| !guess.is_null())
}

/// Sound, films and documents: what is no text and no image; or images, too. A turn before may hold what it was answered with.
fn holds_a_file(body: &Map<String, Value>, or_an_image: bool) -> bool {
    let kind = |part: &Value| {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
        kind != "text" && (or_an_image || !kind.contains("image"))
    };
    let holds = |message: &Value| {
        message.get("content").and_then(Value::as_array).is_some_and(|list| list.iter().any(kind))
            || ["images", "audio", "annotations"]
                .iter()
                .any(|name| message.get(name).is_some_and(|held| !held.is_null()))
    };
    body.get("messages").and_then(Value::as_array).is_some_and(|messages| messages.iter().any(holds))
}

struct Until {
    first_byte: Instant,
    deadline: Instant,
}

/// Reads a stream to its end. Each chunk is parsed once, metered, and sent at once.
async fn pass_on(
    deps: &Deps,
    job: &Job,
    mut source: Source,
    client: &mut Client,
    progress: &mut Progress,
    until: Until,
    mut may_cancel: bool,
) -> Result<End, Failure> {
    let stamp: Stamp = super::stamp(job, progress);
    let mut heard_at = Instant::now();
    loop {
        let next = match progress.first_token_at {
            None => until.first_byte,
            Some(_) => until.deadline.min(heard_at + deps.timeouts.idle),
        };
        let chunk = match client.wait(source.next(), next, may_cancel).await {
            Waited::Left => return Ok(End::Left),
            // While a model thinks in silence its provider may say that it is there, with a `ping` or a comment.
            Waited::TimedOut if progress.first_token_at.is_some() && source.heard_at() > Some(heard_at) => {
                heard_at = source.heard_at().unwrap_or(heard_at);
                continue;
            }
            Waited::TimedOut => return Err(Failure::new(Fault::Timeout, STOPPED)),
            // Only the mark of the end did not come, and asking again would cost again.
            Waited::Done(Err(failure)) if failure.fault == Fault::Truncated && progress.meter.is_complete() => break,
            Waited::Done(chunk) => chunk?,
        };
        let Some(piece) = chunk else { break };
        progress.first_token_at.get_or_insert_with(Instant::now);
        progress.meter.chunk(&piece.chunk);
        if progress.meter.wordless && progress.step(job).is_some_and(|step| step.candidate.own().is_none()) {
            may_cancel = false;
            client.drain_for(deps.timeouts.total);
        }
        if let Some(bytes) = progress.writer.piece(piece, &stamp) {
            client.send(bytes).await;
        }
        if client.drain_is_over() {
            return Ok(End::Left);
        }
        heard_at = Instant::now();
        if heard_at >= until.deadline {
            return Err(Failure::new(Fault::Timeout, TOO_LONG));
        }
    }
    if progress.first_token_at.is_none() {
        return Err(Failure::new(Fault::BadAnswer, "the provider's stream was empty"));
    }
    if !progress.meter.has_finished() && !source.ended_cleanly() {
        return Err(Failure::new(Fault::Truncated, "the provider's stream stopped in the middle"));
    }
    Ok(End::Complete)
}
