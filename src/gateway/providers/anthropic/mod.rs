//! The native messages API of Anthropic.

mod answer;
mod request;
mod stream;
mod tools;
mod words;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::failure::{Failure, Fault};
use super::openai::{is_event_stream, key, read_whole, reply, secret_header, send};
use super::source::{Dialect, HttpSource};
use super::{Line, Piece, Question, Reply, Source};
use crate::catalog::Task;
use answer::answer_to_completion;
pub(super) use request::may_think;
use request::request;
pub(in crate::gateway) use request::{ONLY_JSON, wants_json};
pub(super) use stream::AnthropicStream;

const VERSION: &str = "2023-06-01";

pub(super) async fn ask(line: Line<'_>, question: &Question<'_>) -> Result<Reply, Failure> {
    if question.task != Task::Answer {
        return Err(Failure::new(Fault::Untranslatable, "This provider answers conversations only."));
    }
    let offer = question.candidate.offer();
    let key = key(line, question.candidate)?;
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
    if let Some(key) = &key {
        headers.insert(HeaderName::from_static("x-api-key"), secret_header(key.expose())?);
    }
    // What other words need of it is said without.
    if let Some(betas) = question.words.map(|words| words.betas.as_str()).filter(|betas| !betas.is_empty())
        && let Ok(betas) = HeaderValue::from_str(betas)
    {
        headers.insert(HeaderName::from_static("anthropic-beta"), betas);
    }
    let request = match question.words {
        Some(own) => words::words(question, own),
        None => request(question)?,
    };
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let response = send(line, offer, "messages", headers, body, key.as_deref()).await?;
    if is_event_stream(&response, question.stream) {
        let stream = AnthropicStream::default();
        let dialect = if question.words.is_some() { Dialect::Messages(stream) } else { Dialect::Anthropic(stream) };
        return Ok(Reply::Stream(Source::Http(Box::new(HttpSource::new(response, dialect, key)))));
    }
    let answer = read_whole(line, response, key.as_deref()).await?;
    if !answer.get("content").is_some_and(Value::is_array) {
        return Err(Failure::new(Fault::BadAnswer, "the provider's answer has no content"));
    }
    let completion = answer_to_completion(&answer);
    if question.words.is_some() && !question.stream {
        return Ok(Reply::Whole(Piece { chunk: completion, words: Some(answer) }));
    }
    Ok(reply(completion, question.stream))
}
