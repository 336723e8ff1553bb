//! Upstreams: how each kind is asked and how its answer is read. All of them answer in one shape, OpenAI's.

mod anthropic;
mod failure;
mod keys;
mod openai;
mod sandbox;
mod source;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::forward::Timeouts;
use crate::catalog::{ProviderKind, Task};
use crate::outgoing::HttpClient;
use crate::routing::Candidate;
use crate::traces::Context;

pub(super) use anthropic::{ONLY_JSON, wants_json};
pub(super) use failure::{Failure, Fault, NO_ANSWER, NOT_REACHED, STOPPED, TOO_LONG};
pub use keys::UpstreamKeys;
pub(super) use source::Source;

/// One question to one endpoint.
pub(super) struct Question<'a> {
    pub candidate: &'a Candidate,
    /// What the client sent, without the router's fields.
    pub body: &'a Map<String, Value>,
    /// Fields of the body that a preset has added and not the client.
    pub added: &'a [String],
    /// The longest answer, in tokens.
    pub cap: Option<u64>,
    /// The longest answer that the hold pays for; for protocols that demand a length.
    pub longest: u64,
    pub stream: bool,
    pub task: Task,
    /// The request in the client's own words, for an upstream that speaks the same.
    pub words: Option<&'a Map<String, Value>>,
}

impl Question<'_> {
    /// Whether a field is sent to this endpoint: what only a preset asks for is left out where it is not known.
    fn sends(&self, field: &str) -> bool {
        let known = &self.candidate.offer().endpoint.supported_parameters;
        let word = if field == "reasoning_effort" { "reasoning" } else { field };
        !self.added.iter().any(|added| added == field) || known.iter().any(|known| known == word)
    }

    /// Whether the model may think before it answers, by what is really sent.
    pub(super) fn may_think(&self) -> bool {
        let offer = self.candidate.offer();
        let knows = |name: &String| name == "reasoning" || name == "reasoning_effort";
        offer.endpoint.supported_parameters.iter().any(knows)
            && match offer.provider.provider.kind {
                ProviderKind::OpenAi => openai::may_think(self),
                ProviderKind::Anthropic => anthropic::may_think(self),
                ProviderKind::Sandbox => false,
            }
    }

    /// The fields that are sent to this endpoint.
    fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.body.iter().filter(|(name, _)| self.added.is_empty() || self.sends(name))
    }
}

/// What is needed to ask anybody.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub http: &'a HttpClient,
    pub keys: &'a UpstreamKeys,
    pub timeouts: &'a Timeouts,
    /// When the first byte must be there.
    pub first_byte: Instant,
    /// How often the request had passed through Farebox before.
    pub hops: u8,
    /// The trace that the question is a part of.
    pub context: Option<Context>,
}

/// A part of an answer, or all of it.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// In OpenAI's shape; empty where there is nothing in it to be counted.
    pub chunk: Map<String, Value>,
    /// As the upstream said it, where the client speaks the same.
    pub words: Option<Map<String, Value>>,
}

impl From<Map<String, Value>> for Piece {
    fn from(chunk: Map<String, Value>) -> Piece {
        Piece { chunk, words: None }
    }
}

/// An upstream's answer, as soon as it is one.
pub(super) enum Reply {
    Whole(Piece),
    Stream(Source),
}

/// Asks one endpoint. Returns with its answer in one piece, or when its stream begins.
///
/// # Errors
/// What went wrong, in words that are safe to log and to show.
pub(super) async fn ask(line: Line<'_>, question: &Question<'_>) -> Result<Reply, Failure> {
    match question.candidate.offer().provider.provider.kind {
        ProviderKind::OpenAi => openai::ask(line, question).await,
        ProviderKind::Anthropic => anthropic::ask(line, question).await,
        ProviderKind::Sandbox => sandbox::ask(question).await,
    }
}
