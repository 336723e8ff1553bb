//! A call as a trace shows it, by the names of OpenTelemetry's conventions for generative AI.
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/>
//!
//! Names, numbers and moments: nothing that was asked or answered, no key, and no words of an upstream.

use std::time::Instant;

use super::forward::{End, Step};
use super::providers::Failure;
use super::settle::Receipt;
use super::{Call, Ended, Status};
use crate::catalog::Task;
use crate::traces::{Context, Kind, Trace, Tracer, Value};

/// The `error.type` of what was not heard to its end because the client had left.
const CANCELLED: &str = "cancelled";

/// A trace that is made, or none.
pub(super) type Tracing = Option<Box<Trace>>;

pub(super) fn operation(task: Task) -> &'static str {
    match task {
        Task::Answer => "chat",
        Task::Embed => "embeddings",
        Task::Rerank => "rerank",
    }
}

/// Begins the trace of a call. `authenticated` is how long it took to find out who calls.
pub(super) fn begin(
    tracer: &Tracer,
    parent: Option<Context>,
    (call, task): (&Call, Task),
    authenticated: Option<(Instant, Instant)>,
) -> Tracing {
    let operation = operation(task);
    let mut trace = tracer.begin(parent, || format!("{operation} {}", call.model_asked))?;
    let root = trace.root();
    root.set("gen_ai.operation.name", operation)
        .set("gen_ai.request.model", call.model_asked.as_str())
        .set("gen_ai.request.stream", call.streamed)
        .set("farebox.call", call.id.to_string())
        .set("farebox.organization", call.org.to_string())
        .set("farebox.key", call.key.to_string());
    if let Some((from, to)) = authenticated {
        trace.reach_back(from);
        trace.step(None, "authenticate", Kind::Internal, from, to);
    }
    Some(trace)
}

/// A step within this process.
pub(super) fn step(trace: &mut Tracing, name: &'static str, from: Instant) {
    if let Some(trace) = trace {
        trace.step(None, name, Kind::Internal, from, Instant::now());
    }
}

/// The call was refused, or nobody answered, with this HTTP status.
pub(super) fn refuse(tracer: &Tracer, trace: Tracing, status: u16) {
    let Some(mut trace) = trace else { return };
    trace.root().set("http.response.status_code", status).fail("refused");
    trace.end(Instant::now());
    tracer.send(*trace);
}

/// What an upstream is told of the trace; `None` where none is made.
pub(super) fn next(trace: &Tracing) -> Option<Context> {
    trace.as_ref().map(|trace| trace.next())
}

/// An endpoint was asked, and this became of it. `begun` is whether it had begun to answer.
pub(super) fn asked(
    trace: &mut Tracing,
    (context, task): (Option<Context>, Task),
    step: &Step,
    from: Instant,
    (tried, begun): (&Result<End, Failure>, bool),
) {
    let (Some(trace), Some(context)) = (trace, context) else { return };
    let endpoint = &step.candidate.offer().endpoint;
    let operation = operation(task);
    let name = format!("{operation} {}", endpoint.upstream_model);
    let span = trace.step(Some(context.span), &name, Kind::Client, from, Instant::now());
    span.set("gen_ai.operation.name", operation)
        .set("gen_ai.provider.name", step.candidate.provider_slug())
        .set("gen_ai.request.model", endpoint.upstream_model.as_str())
        .set("farebox.own_key", step.candidate.own().is_some());
    if let Some(cap) = step.cap {
        span.set("gen_ai.request.max_tokens", cap);
    }
    // The status only where one came.
    let begun = begun.then_some(200);
    let (status, wrong) = match tried {
        Ok(End::Complete) => (Some(200), None),
        Ok(End::Left) => (begun, Some(CANCELLED)),
        Ok(End::Failed(failure)) | Err(failure) => (failure.upstream_status().or(begun), Some(failure.word())),
    };
    if let Some(status) = status {
        span.set("http.response.status_code", status);
    }
    if let Some(word) = wrong {
        span.fail(word);
    }
}

/// What the call came to, on the question that was answered.
pub(super) fn used(trace: &mut Tracing, ended: &Ended) {
    let Some(trace) = trace else { return };
    let tokens = &ended.tokens;
    if ended.price_version.is_some()
        && let Some(span) = trace.last_asked()
    {
        span.set("gen_ai.response.model", ended.model.as_str())
            .set("gen_ai.usage.input_tokens", tokens.prompt)
            .set("gen_ai.usage.output_tokens", tokens.completion)
            .set("gen_ai.usage.cache_read.input_tokens", tokens.cached)
            .set("gen_ai.usage.cache_creation.input_tokens", tokens.cache_write);
        if !ended.upstream_id.is_empty() {
            span.set("gen_ai.response.id", ended.upstream_id.as_str());
        }
        if !ended.finish_reason.is_empty() {
            span.attributes.push(("gen_ai.response.finish_reasons", Value::Texts(vec![ended.finish_reason.clone()])));
        }
    }
    let root = trace.root();
    root.set("http.response.status_code", ended.http_status).set("farebox.status", ended.status.as_str());
    if !ended.model.is_empty() {
        root.set("gen_ai.response.model", ended.model.as_str()).set("gen_ai.provider.name", ended.provider.as_str());
    }
    if ended.cancelled {
        root.set("farebox.cancelled", true);
    }
    if ended.status == Status::Failed {
        root.fail(if ended.cancelled { CANCELLED } else { "failed" });
    }
}

/// The call is in the books.
pub(super) fn settled(trace: &mut Tracing, from: Instant, receipt: &Receipt) {
    let Some(trace) = trace else { return };
    trace
        .step(None, "settle", Kind::Internal, from, Instant::now())
        .set("farebox.charged_usd", receipt.charged.exact())
        .set("farebox.durable", format!("{:?}", receipt.durable).to_lowercase());
}

/// The client has all of it.
pub(super) fn end(tracer: &Tracer, trace: Tracing) {
    let Some(mut trace) = trace else { return };
    trace.end(Instant::now());
    tracer.send(*trace);
}
