//! The shapes on the wire. Nothing in here leaves the gateway.

mod bound;
mod cache_mark;
mod chunk;
mod request;
pub mod schema;
mod sse;
mod usage;
mod whole;

pub(super) use bound::check_depth;
pub(super) use cache_mark::{shorten, unmarked, usual_time};
pub(super) use chunk::{Normalised, error_chunk, event, normalise_chunk, usage_chunk};
pub(super) use request::{ChatRequest, MAX_BODY, MAX_SESSION, count, flag, object};
pub(super) use sse::SseParser;
pub(super) use usage::UsageOut;
pub(super) use whole::{Stamp, finish_reason, normalise_whole, whole_to_chunk, with_usage};
