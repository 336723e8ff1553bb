//! Traces of calls for whoever runs an instance, sent to a collector of theirs by OTLP over HTTP.
//!
//! What is always true here:
//! - Off unless a collector is configured; then no part of a trace is made.
//! - A trace holds names, numbers and moments: never a prompt, an answer, a key, or what an upstream said.
//! - A call never waits for a collector. What finds no room in the queue is dropped and counted, and so is what the
//!   collector does not take.
//! - Where a request brings the context of a trace (W3C `traceparent`), its spans belong to that trace.
//!
//! The encoding is written out here because it is small and final: one message of protobuf with a dozen fields. The crates
//! that do the same bring a second way to log, to measure and to run tasks with them.

mod context;
mod encode;
mod export;
mod sample;
mod trace;

pub use context::Context;
pub use export::{TraceSettings, Tracer};
pub use sample::Sampler;
pub use trace::{Kind, Span, SpanId, Trace, Value};
