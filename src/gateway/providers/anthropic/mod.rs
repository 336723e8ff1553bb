//! The native messages API of Anthropic.

mod answer;
mod request;
mod stream;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::failure::{Failure, Fault};
use super::openai::{is_event_stream, key, read_whole, reply, secret_header, send};
use super::source::{Dialect, HttpSource};
use super::{Line, Question, Reply, Source};
use answer::answer_to_completion;
use request::request;
pub(super) use stream::AnthropicStream;

const VERSION: &str = "2023-06-01";

pub(super) async fn ask(line: Line<'_>, question: &Question<'_>) -> Result<Reply, Failure> {
    let offer = question.candidate.offer();
    let key = key(line, question.candidate)?;
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
    if let Some(key) = &key {
        headers.insert(HeaderName::from_static("x-api-key"), secret_header(key.expose())?);
    }
    let body = serde_json::to_vec(&request(question)?).unwrap_or_default();
    let response = send(line, offer, "messages", headers, body, key.as_deref()).await?;
    if is_event_stream(&response, question.stream) {
        let dialect = Dialect::Anthropic(AnthropicStream::default());
        return Ok(Reply::Stream(Source::Http(Box::new(HttpSource::new(response, dialect, key)))));
    }
    let answer = read_whole(line, response, key.as_deref()).await?;
    if !answer.get("content").is_some_and(Value::is_array) {
        return Err(Failure::new(Fault::BadAnswer, "the provider's answer has no content"));
    }
    Ok(reply(answer_to_completion(&answer), question.stream))
}
