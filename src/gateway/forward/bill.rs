//! What an exchange came to: tokens and money.

use tokio::time::Instant;

use super::exchange::{End, Progress, millis};
use super::{Deps, Job, Step};
use crate::activity::Units;
use crate::base::Usd;
use crate::catalog::{Cost, CostLine, Price, Task, Usage, cost};
use crate::gateway::count::{count_prompt, count_text, search_units};
use crate::gateway::estimate::{bounds, prompt_bound};
use crate::gateway::{CountedBy, Ended, Status, Tokens};

/// What is settled, and how the cost is made up.
pub(super) struct Bill {
    pub ended: Ended,
    pub lines: Vec<CostLine>,
}

impl Bill {
    /// A call without any cost.
    pub(super) fn nothing(progress: &Progress, end: &End, told: u16) -> Bill {
        Bill { ended: blank(progress, end, told), lines: Vec::new() }
    }
}

/// Adds up what was produced, at the price that was pinned when the call was routed.
pub(super) async fn bill(deps: &Deps, job: &Job, progress: &Progress, end: &End, told: u16) -> Bill {
    let mut ended = blank(progress, end, told);
    let Some(step) = progress.step(job) else { return Bill { ended, lines: Vec::new() } };
    let meter = &progress.meter;
    let answered = matches!(end, End::Complete) || meter.produced();
    if !answered {
        return Bill { ended, lines: Vec::new() };
    }
    let offer = step.candidate.offer();
    ended.model = step.candidate.model().to_owned();
    ended.provider = step.candidate.provider_slug().to_owned();
    ended.upstream_model.clone_from(&offer.endpoint.upstream_model);
    ended.upstream_id.clone_from(&meter.upstream_id);
    ended.price_version = Some(offer.price_version.0);
    ended.native_finish.clone_from(&meter.native_finish);
    ended.finish_reason = if matches!(end, End::Failed(_)) { "error" } else { meter.finish_reason() }.to_owned();
    if meter.is_free() {
        return Bill { ended, lines: Vec::new() };
    }
    let (tokens, units, counted_by, cost) = price_it(deps, job, progress, step, end).await;
    ended.tokens = tokens;
    ended.units = units;
    ended.counted_by = counted_by;
    ended.cost = cost.total;
    Bill { ended, lines: cost.lines }
}

async fn price_it(
    deps: &Deps,
    job: &Job,
    progress: &Progress,
    step: &Step,
    end: &End,
) -> (Tokens, Units, CountedBy, Cost) {
    let offer = step.candidate.offer();
    let beside = Beside::of(job, progress, &offer.endpoint.price);
    let (tokens, counted_by, cost) = price_with(deps, job, progress, step, beside, end).await;
    (tokens, beside.units(job, tokens), counted_by, cost)
}

async fn price_with(
    deps: &Deps,
    job: &Job,
    progress: &Progress,
    step: &Step,
    beside: Beside,
    end: &End,
) -> (Tokens, CountedBy, Cost) {
    let (meter, offer) = (&progress.meter, step.candidate.offer());
    if meter.implausible {
        tracing::warn!(call = %job.call.id, "an upstream reported an implausible usage; it is counted here");
    }
    // The number of an answer's beginning may be a placeholder, and its last one did not come.
    let more = if meter.went_on() && !matches!(end, End::Complete) {
        Some(count_answer(deps, job, progress, step).await).filter(|counted| Some(*counted) > meter.completion)
    } else {
        None
    };
    if let (Some(prompt), Some(completion), None) = (meter.prompt, meter.completion, more) {
        let tokens = tokens(progress, prompt, completion);
        if let Some(cost) = cost_of(tokens, beside, &offer.endpoint.price) {
            return (tokens, CountedBy::Upstream, cost);
        }
    }
    count_here(deps, job, progress, step, beside, (meter.prompt, more.or(meter.completion))).await
}

/// What has a price besides tokens, or one of its own among them.
#[derive(Clone, Copy)]
struct Beside {
    images: u64,
    audio: u64,
    audio_output: u64,
    requests: u64,
}

impl Beside {
    fn of(job: &Job, progress: &Progress, price: &Price) -> Beside {
        let meter = &progress.meter;
        let documents = || job.body.get("documents").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        Beside {
            images: if price.image.is_some() { prompt_bound(&job.body).images } else { 0 },
            audio: meter.audio,
            audio_output: meter.audio_output,
            requests: match job.task {
                Task::Rerank => meter.units.unwrap_or_else(|| search_units(documents())),
                Task::Answer | Task::Embed => 1,
            },
        }
    }

    /// As they are kept with the call. Parts never exceed what they are a part of.
    fn units(self, job: &Job, tokens: Tokens) -> Units {
        Units {
            images: self.images,
            audio: self.audio.min(tokens.prompt - tokens.cached - tokens.cache_write),
            audio_output: self.audio_output.min(tokens.completion - tokens.reasoning),
            search: (job.task == Task::Rerank).then_some(self.requests),
        }
    }
}

/// Tokens of what the model wrote, and never more than were held for: another tokenizer may have made fewer of it.
async fn count_answer(deps: &Deps, job: &Job, progress: &Progress, step: &Step) -> u64 {
    let choices = job.body.get("n").and_then(serde_json::Value::as_u64).unwrap_or(1).max(1);
    count_text(&deps.handle, progress.meter.text.clone()).await.min(step.longest.saturating_mul(choices))
}

/// Counts what the upstream did not.
async fn count_here(
    deps: &Deps,
    job: &Job,
    progress: &Progress,
    step: &Step,
    beside: Beside,
    known: (Option<u64>, Option<u64>),
) -> (Tokens, CountedBy, Cost) {
    let offer = step.candidate.offer();
    let prompt = match known.0 {
        Some(prompt) => prompt,
        // Never more than was held for it.
        None => {
            let most = bounds(prompt_bound(&job.body), offer, None, 1).prompt_tokens;
            count_prompt(&deps.handle, &job.body).await.min(most)
        }
    };
    let completion = match known.1 {
        Some(completion) => completion,
        None if job.task != Task::Answer => 0,
        None => count_answer(deps, job, progress, step).await,
    };
    let mut tokens = tokens(progress, prompt, completion);
    if known.0.is_none() {
        (tokens.cached, tokens.cache_write) = (0, 0);
    }
    let cost = cost_of(tokens, beside, &offer.endpoint.price).unwrap_or(Cost { total: Usd::ZERO, lines: Vec::new() });
    (tokens, CountedBy::Here, cost)
}

/// Parts never exceed what they are a part of.
fn tokens(progress: &Progress, prompt: u64, completion: u64) -> Tokens {
    let meter = &progress.meter;
    let cached = meter.cached.min(prompt);
    Tokens {
        prompt,
        completion,
        cached,
        cache_write: meter.cache_write.min(prompt - cached),
        reasoning: meter.reasoning.min(completion),
    }
}

fn cost_of(tokens: Tokens, beside: Beside, price: &Price) -> Option<Cost> {
    let usage = Usage {
        prompt_tokens: tokens.prompt,
        completion_tokens: tokens.completion,
        cached_tokens: tokens.cached,
        cache_write_tokens: tokens.cache_write,
        reasoning_tokens: tokens.reasoning,
        images: beside.images,
        audio_tokens: beside.audio,
        audio_output_tokens: beside.audio_output,
        requests: beside.requests,
    };
    cost(&usage, price).ok()
}

fn blank(progress: &Progress, end: &End, told: u16) -> Ended {
    let error = match end {
        End::Failed(failure) => failure.message.clone(),
        End::Left if !progress.meter.produced() => "the client left before the answer".to_owned(),
        End::Complete | End::Left => String::new(),
    };
    let status = if error.is_empty() { Status::Success } else { Status::Failed };
    Ended {
        cancelled: progress.cancelled || matches!(end, End::Left),
        first_token_ms: progress.first_token_at.map(|at| millis(progress.started, at)),
        duration_ms: millis(progress.started, Instant::now()),
        attempts: progress.attempts.clone(),
        ..Ended::blank(status, told, error)
    }
}
