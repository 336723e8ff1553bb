//! A stream of chunks in OpenAI's shape, whoever they come from.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::Piece;
use super::anthropic::AnthropicStream;
use super::failure::{Failure, Fault};
use super::sandbox::Script;
use crate::base::Secret;
use crate::gateway::wire::SseParser;

/// Bytes and chunks of one answer.
const MAX_RESPONSE: usize = 64 * 1_024 * 1_024;
const MAX_CHUNKS: usize = 1_000_000;

/// Where chunks come from.
pub(crate) enum Source {
    Http(Box<HttpSource>),
    Script(Script),
    /// An answer in one piece from an upstream that was asked to stream.
    Once(Option<Map<String, Value>>),
}

impl Source {
    /// The next chunk; `None` at the end. Safe to drop and to call again: no chunk is lost.
    ///
    /// # Errors
    /// When the upstream fails in the middle.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        match self {
            Source::Http(source) => source.next().await,
            Source::Script(script) => Ok(script.next().await.map(Piece::from)),
            Source::Once(chunk) => Ok(chunk.take().map(Piece::from)),
        }
    }

    /// When something last arrived, a chunk or less than one; `None` where nothing travels.
    pub(crate) fn heard_at(&self) -> Option<Instant> {
        match self {
            Source::Http(source) => Some(source.heard_at),
            Source::Script(_) | Source::Once(_) => None,
        }
    }

    /// Whether the stream said that it was over, and did not just stop.
    pub(crate) fn ended_cleanly(&self) -> bool {
        match self {
            Source::Http(source) => source.done,
            Source::Script(_) | Source::Once(_) => true,
        }
    }
}

/// How events become chunks.
pub(super) enum Dialect {
    OpenAi,
    Anthropic(AnthropicStream),
    /// The same, for a client that speaks it: each event also passes as it is.
    Messages(AnthropicStream),
}

/// A stream over HTTP.
pub(crate) struct HttpSource {
    response: reqwest::Response,
    key: Option<Arc<Secret<String>>>,
    dialect: Dialect,
    parser: SseParser,
    events: VecDeque<Vec<u8>>,
    bytes: usize,
    chunks: usize,
    heard_at: Instant,
    done: bool,
    over: bool,
}

impl HttpSource {
    pub(super) fn new(response: reqwest::Response, dialect: Dialect, key: Option<Arc<Secret<String>>>) -> HttpSource {
        HttpSource {
            response,
            key,
            dialect,
            parser: SseParser::default(),
            events: VecDeque::new(),
            bytes: 0,
            chunks: 0,
            heard_at: Instant::now(),
            done: false,
            over: false,
        }
    }

    async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(piece) = self.read(&event)? {
                    return Ok(Some(piece));
                }
                if self.done {
                    return Ok(None);
                }
            }
            if self.over {
                return Ok(None);
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        let received = self.response.chunk().await;
        let too_long = |_| Failure::new(Fault::TooLarge, "the provider sent a line that is too long");
        match received {
            Ok(Some(bytes)) => {
                self.heard_at = Instant::now();
                self.bytes += bytes.len();
                if self.bytes > MAX_RESPONSE {
                    return Err(Failure::new(Fault::TooLarge, "the provider's answer is too long"));
                }
                self.parser.push(&bytes, &mut self.events).map_err(too_long)
            }
            Ok(None) => {
                self.over = true;
                self.parser.finish(&mut self.events).map_err(too_long)
            }
            Err(_) => Err(Failure::new(Fault::Truncated, "the provider broke the connection")),
        }
    }

    fn read(&mut self, event: &[u8]) -> Result<Option<Piece>, Failure> {
        if event == b"[DONE]" {
            self.done = true;
            return Ok(None);
        }
        self.chunks += 1;
        if self.chunks > MAX_CHUNKS {
            return Err(Failure::new(Fault::TooLarge, "the provider sent too many chunks"));
        }
        let Ok(Value::Object(map)) = serde_json::from_slice(event) else {
            // The last event may have been cut in two by the end of the connection.
            let fault = if self.over { Fault::Truncated } else { Fault::BadAnswer };
            return Err(Failure::new(fault, "the provider sent a chunk that is no JSON object"));
        };
        if let Some(error) = map.get("error").filter(|error| !error.is_null()) {
            return Err(Failure::from_error(error, self.key.as_deref()));
        }
        match &mut self.dialect {
            Dialect::OpenAi => Ok(Some(map.into())),
            Dialect::Anthropic(stream) => {
                let chunk = stream.event(&map);
                self.done |= stream.is_done();
                Ok(chunk.map(Piece::from))
            }
            Dialect::Messages(stream) => {
                let chunk = stream.event(&map).unwrap_or_default();
                self.done |= stream.is_done();
                Ok((!self.done).then_some(Piece { chunk, words: Some(map) }))
            }
        }
    }
}
