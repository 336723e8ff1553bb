//! The languages that clients speak. Inside, every call is a chat completion, or a question of the same shape for vectors
//! or ranks: so there is one way to admit, forward, meter and settle. A language reads a request into that, and writes what
//! comes of it, whole, in pieces, or as an error.
//!
//! What is always true here:
//! - Nothing in here decides about money. What a call used and cost is told by whoever settled it.
//! - The last piece of a stream and a whole answer are written after the settlement.
//! - What a request asks for and cannot be had is refused by name; it is not left out in silence. A response says which tools
//!   are left of those that it was asked with.

pub(super) mod completions;
pub(super) mod embeddings;
pub(super) mod messages;
pub(super) mod rerank;
pub(super) mod responses;
pub mod schema;
mod sse;
mod usage;
mod writer;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ApiError;
use super::wire::{ChatRequest, object};
pub(super) use writer::Writer;

/// The language of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    #[default]
    Chat,
    Completions,
    Responses,
    Messages,
    Embeddings,
    Rerank,
}

impl Protocol {
    /// Reads a request.
    ///
    /// # Errors
    /// 400 for what makes no sense or cannot be had, 422 for what is beyond a limit.
    pub(super) fn read(self, bytes: &[u8]) -> Result<ChatRequest, ApiError> {
        let body = object(bytes)?;
        match self {
            Protocol::Chat => ChatRequest::from_map(body),
            Protocol::Completions => completions::read(body),
            Protocol::Responses => responses::read(body),
            Protocol::Messages => messages::read(body),
            Protocol::Embeddings => embeddings::read(body),
            Protocol::Rerank => rerank::read(body),
        }
    }

    /// The body of an answer that is an error and nothing else.
    pub(super) fn error_body(self, error: &ApiError, request_id: &str) -> String {
        match self {
            Protocol::Messages => messages::error_body(error, request_id),
            _ => error.to_body(),
        }
    }
}

/// What is kept of a request for its answer, besides what is asked of the upstream.
#[derive(Clone, Debug, Default)]
pub(crate) enum Kept {
    #[default]
    Chat,
    Completions {
        /// The prompt, where it is to stand before the answer.
        echo: Option<Arc<str>>,
    },
    /// What the answer repeats of the request, and what the client calls its tools.
    Responses(Arc<Map<String, Value>>, Arc<responses::Names>),
    /// The request in its own words, for upstreams that speak the same; none where a preset has changed what is asked.
    Messages(Option<Arc<messages::Words>>),
    Embeddings,
    /// The documents that were ranked.
    Rerank(Arc<Vec<Value>>),
}

impl Kept {
    /// The request as the client wrote it, where that is still what is asked.
    pub(super) fn words(&self) -> Option<&messages::Words> {
        match self {
            Kept::Messages(words) => words.as_deref(),
            _ => None,
        }
    }

    /// What a header says beside the client's own words. Only a request that was just read is told of it.
    pub(super) fn need(&mut self, betas: &str) {
        if let Kept::Messages(Some(words)) = self
            && let Some(words) = Arc::get_mut(words)
        {
            betas.clone_into(&mut words.betas);
        }
    }

    pub(super) fn forget_words(&mut self) {
        if let Kept::Messages(words) = self {
            *words = None;
        }
    }

    /// The language by the last part of its address; empty for a chat, which most calls are.
    pub(super) const fn api(&self) -> &'static str {
        match self {
            Kept::Chat => "",
            Kept::Completions { .. } => "completions",
            Kept::Responses(..) => "responses",
            Kept::Messages(_) => "messages",
            Kept::Embeddings => "embeddings",
            Kept::Rerank(_) => "rerank",
        }
    }

    /// Whoever writes the answer.
    pub(super) fn writer(&self) -> Writer {
        Writer::new(self)
    }
}

/// A field that is there and not null.
fn given<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
