//! Whoever writes an answer in the client's language.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Kept, completions, embeddings, messages, rerank, responses, text};
use crate::gateway::error::ApiError;
use crate::gateway::providers::Piece;
use crate::gateway::wire::{
    Normalised, Stamp, UsageOut, error_chunk, event, normalise_chunk, normalise_whole, usage_chunk, with_usage,
};

/// Writes one answer. Its state is that of the stream so far, so each try of an endpoint begins with a new one.
#[derive(Debug)]
pub(crate) enum Writer {
    Chat,
    Completions(completions::Writer),
    Responses(Box<responses::Writer>),
    Messages(Box<messages::Writer>),
    Embeddings,
    Rerank(Arc<Vec<Value>>),
}

impl Writer {
    pub(super) fn new(kept: &Kept) -> Writer {
        match kept {
            Kept::Chat => Writer::Chat,
            Kept::Completions { echo } => Writer::Completions(completions::Writer::new(echo.clone())),
            Kept::Responses(request, names) => {
                let writer = responses::Writer::new(Arc::clone(request)).naming(Arc::clone(names));
                Writer::Responses(Box::new(writer))
            }
            Kept::Messages(_) => Writer::Messages(Box::default()),
            Kept::Embeddings => Writer::Embeddings,
            Kept::Rerank(documents) => Writer::Rerank(Arc::clone(documents)),
        }
    }

    /// What the client gets of a piece of a stream; `None` where there is nothing in it to be told now.
    pub(crate) fn piece(&mut self, piece: Piece, stamp: &Stamp) -> Option<Bytes> {
        let Piece { mut chunk, words } = piece;
        if let Writer::Messages(writer) = self
            && let Some(words) = words
        {
            return writer.same_words(words, stamp);
        }
        let prompt = chunk.get("usage").and_then(|usage| usage.get("prompt_tokens")).and_then(Value::as_u64);
        if normalise_chunk(&mut chunk, stamp) == Normalised::Swallow {
            return None;
        }
        match self {
            Writer::Chat => Some(event(&chunk)),
            Writer::Completions(writer) => writer.chunk(&chunk),
            Writer::Responses(writer) => writer.chunk(&chunk, stamp),
            Writer::Messages(writer) => writer.chunk(&chunk, prompt, stamp),
            Writer::Embeddings | Writer::Rerank(_) => None,
        }
    }

    /// The last pieces of a stream that went well.
    pub(crate) fn end(&mut self, stamp: &Stamp, usage: &UsageOut) -> Bytes {
        match self {
            Writer::Chat | Writer::Embeddings | Writer::Rerank(_) => usage_chunk(stamp, usage),
            Writer::Completions(_) => completions::end(stamp, None, usage),
            Writer::Responses(writer) => writer.end(stamp, usage),
            Writer::Messages(writer) => writer.end(stamp, usage),
        }
    }

    /// The last pieces of a stream that broke.
    pub(crate) fn broken(&mut self, stamp: &Stamp, error: &ApiError, usage: &UsageOut) -> Bytes {
        match self {
            Writer::Chat | Writer::Embeddings | Writer::Rerank(_) => error_chunk(stamp, error, usage),
            Writer::Completions(_) => completions::end(stamp, Some(error), usage),
            Writer::Responses(writer) => writer.broken(stamp, error, usage),
            Writer::Messages(_) => messages::broken(error, usage),
        }
    }

    /// An answer in one piece.
    pub(crate) fn whole(&self, piece: Piece, stamp: &Stamp, usage: &UsageOut) -> Bytes {
        let Piece { chunk: mut answer, words } = piece;
        match self {
            Writer::Embeddings => return embeddings::whole(answer, stamp, usage),
            Writer::Rerank(documents) => return rerank::whole(&answer, documents, stamp, usage),
            Writer::Messages(_) if words.is_some() => {
                return messages::same_whole(words.unwrap_or_default(), stamp, usage);
            }
            _ => normalise_whole(&mut answer, stamp),
        }
        match self {
            Writer::Completions(writer) => with_usage(&writer.whole(&answer), usage),
            Writer::Responses(writer) => writer.whole(&answer, stamp, usage),
            Writer::Messages(_) => messages::whole(&answer, stamp, usage),
            Writer::Chat | Writer::Embeddings | Writer::Rerank(_) => with_usage(&answer, usage),
        }
    }
}

/// Why an answer ended that its provider broke off with a word and not with an error.
pub(super) const BROKEN_OFF: &str = "error";

/// What a client hears of such an answer where its language has no word for that. What was written is paid for, so asking
/// again would cost again.
pub(super) fn broken_off(stamp: &Stamp, spent: &UsageOut) -> ApiError {
    let why = "the provider broke the answer off";
    let error = ApiError::upstream(502, "provider_unavailable", &stamp.provider, why, None);
    if spent.charged.is_positive() { error.without_retry() } else { error }
}

/// A part of the call of a tool.
pub(super) struct CallPart<'a> {
    pub number: u64,
    id: &'a str,
    pub name: &'a str,
    pub arguments: &'a str,
}

impl<'a> CallPart<'a> {
    pub(super) fn of(call: &'a Value) -> CallPart<'a> {
        let function = call.get("function").unwrap_or(&Value::Null);
        CallPart {
            number: call.get("index").and_then(Value::as_u64).unwrap_or(0),
            id: text(call, "id").unwrap_or_default(),
            name: text(function, "name").unwrap_or_default(),
            arguments: text(function, "arguments").unwrap_or_default(),
        }
    }

    /// Whether it belongs to the call of this number that was begun last, under `id`. Some providers begin every call with the
    /// number zero: another id is another call. Others repeat it with each part.
    pub(super) fn goes_on(&self, id: &str) -> bool {
        self.id.is_empty() || self.id == id || self.name.is_empty()
    }

    /// The id of the call that begins with it.
    pub(super) fn call_id(&self) -> String {
        if self.id.is_empty() { format!("call_{}", self.number) } else { self.id.to_owned() }
    }
}

/// The choices of an answer or a chunk.
pub(super) fn choices(map: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    map.get("choices").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}
