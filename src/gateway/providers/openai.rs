//! Any server with the chat completions API of OpenAI.

mod fields;
mod logprobs;
mod messages;
mod vectors;

use std::sync::Arc;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, VIA};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout, timeout_at};

use super::failure::{Failure, Fault, NO_ANSWER, NOT_REACHED, ONLY_FUNCTIONS, STOPPED};
use super::source::{Dialect, HttpSource};
use super::{Line, Question, Reply, Source};
use crate::base::Secret;
use crate::catalog::{Offer, Task};
use crate::gateway::hops;
use crate::gateway::wire::{check_depth, unmarked, usual_time, whole_to_chunk};
use crate::integrations::cap_name;
use crate::routing::Candidate;
use fields::{LeftOut, is_shipped};

/// Bytes of an answer in one piece, of one with probabilities or vectors, and of an error. Twenty probabilities for each of
/// 32,768 tokens are some 60 MiB, as many vectors as a call may ask for, of 3,072 numbers with up to 22 digits each, 132 MiB;
/// what is refused here has been billed by the provider.
const MAX_WHOLE: usize = 32 * 1_024 * 1_024;
const MAX_LOGPROBS: usize = 96 * 1_024 * 1_024;
const MAX_VECTORS: usize = 160 * 1_024 * 1_024;
const MAX_ERROR: usize = 64 * 1_024;
/// Searches that providers do and charge for.
const UNPRICED: [&str; 2] = ["search_parameters", "web_search_options"];
/// Which class of service is asked for, at another price than that of the catalog; it changes nothing of the answer.
const TIER: &str = "service_tier";
/// Who asks, to the provider, and how many characters of that OpenAI takes. Claude Code's name for somebody is twice as long.
const USER: &str = "user";
const MAX_USER: usize = 64;
/// How hard to think.
const EFFORT: &str = "reasoning_effort";
/// A mark for a cache that stands for all of the request.
const MARK: &str = "cache_control";

pub(super) async fn ask(line: Line<'_>, question: &Question<'_>) -> Result<Reply, Failure> {
    let offer = question.candidate.offer();
    let key = key(line, question.candidate)?;
    priced(question)?;
    let mut headers = HeaderMap::new();
    if let Some(key) = &key {
        headers.insert(AUTHORIZATION, secret_header(&format!("Bearer {}", key.expose()))?);
    }
    let (path, body) = match question.task {
        Task::Answer => ("chat/completions", body(question)),
        Task::Embed => ("embeddings", plain_body(question)),
        Task::Rerank => ("rerank", plain_body(question)),
    };
    let response = send(line, offer, path, headers, body, key.as_deref()).await?;
    if question.task != Task::Answer {
        let answer = match question.task {
            Task::Embed => read_up_to(MAX_VECTORS, vectors::read, line, response, key.as_deref()).await?,
            Task::Answer | Task::Rerank => read_whole(line, response, key.as_deref()).await?,
        };
        let list = if question.task == Task::Embed { "data" } else { "results" };
        if answer.get(list).and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return Err(Failure::new(Fault::BadAnswer, format!("the provider's answer has no {list}")));
        }
        return Ok(Reply::Whole(answer.into()));
    }
    if is_event_stream(&response, question.stream) {
        return Ok(Reply::Stream(Source::Http(Box::new(HttpSource::new(response, Dialect::OpenAi, key)))));
    }
    let has_logprobs = !question.stream && question.body.get("logprobs") == Some(&Value::Bool(true));
    let answer = if has_logprobs {
        read_up_to(MAX_LOGPROBS, logprobs::read, line, response, key.as_deref()).await?
    } else {
        read_whole(line, response, key.as_deref()).await?
    };
    if answer.get("choices").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(Failure::new(Fault::BadAnswer, "the provider's answer has no choices"));
    }
    Ok(reply(answer, question.stream))
}

/// A whole answer to a question that asked for a stream becomes a stream of one chunk.
pub(super) fn reply(answer: Map<String, Value>, stream: bool) -> Reply {
    if stream { Reply::Stream(Source::Once(Some(whole_to_chunk(answer)))) } else { Reply::Whole(answer.into()) }
}

/// The key with which a candidate is asked: the organization's own, or that of the operator's account; `None` where it
/// needs none.
pub(super) fn key(line: Line<'_>, candidate: &Candidate) -> Result<Option<Arc<Secret<String>>>, Failure> {
    let provider = &candidate.offer().provider.provider;
    if let Some(own) = candidate.own() {
        // Routing has looked; that it never goes to another host is worth a second look where it leaves.
        let there = own.may_be_sent_to(provider.base_url.as_deref());
        let key = own.secret.as_ref().filter(|_| there).map(Arc::clone);
        return key.map(Some).ok_or_else(|| Failure::new(Fault::Config, "your own key is not for this address"));
    }
    let key = line.keys.get(provider.slug.as_str());
    if key.is_none() && provider.key_env.is_some() {
        return Err(Failure::new(Fault::Config, "no key is set for this provider"));
    }
    Ok(key)
}

pub(super) fn secret_header(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Failure::new(Fault::Config, "the key of this provider has characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Posts to a path below the provider's base address and returns an answer that is no error.
pub(super) async fn send(
    line: Line<'_>,
    offer: &Offer,
    path: &str,
    headers: HeaderMap,
    body: Vec<u8>,
    key: Option<&Secret<String>>,
) -> Result<reqwest::Response, Failure> {
    let address = offer.provider.address(path);
    let url = address.ok_or_else(|| Failure::new(Fault::Config, "the provider has no valid address"))?;
    let request = line
        .http
        .post(url)
        .map_err(|forbidden| Failure::new(Fault::Config, forbidden.to_string()))?
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .header(VIA, hops::via(line.hops))
        .headers(headers)
        .body(body);
    let request = match line.context {
        Some(context) => request.header("traceparent", context.header()),
        None => request,
    };
    let response = match timeout_at(line.first_byte, request.send()).await {
        Err(_) => return Err(Failure::new(Fault::Timeout, NO_ANSWER)),
        Ok(Err(error)) => return Err(unreachable(&error)),
        Ok(Ok(response)) => response,
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let text = timeout(line.timeouts.idle, read_limited(response, MAX_ERROR)).await;
    let text = text.ok().and_then(Result::ok).unwrap_or_default();
    // A redirect is no answer: it would lead to a host that nobody has checked.
    let status = if status.is_redirection() { 502 } else { status.as_u16() };
    Err(Failure::status(status, &String::from_utf8_lossy(&text), wait, key))
}

/// Says what kind of trouble it was, without addresses.
fn unreachable(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::new(Fault::Timeout, NOT_REACHED);
    }
    let message =
        if error.is_connect() { "the provider could not be reached" } else { "the provider broke the connection" };
    Failure::new(Fault::Unreachable, message)
}

/// Some servers forget to name the type of their stream; none names another type for one.
pub(super) fn is_event_stream(response: &reqwest::Response, asked: bool) -> bool {
    match response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        Some(kind) => kind.contains("event-stream"),
        None => asked,
    }
}

/// An answer in one piece.
pub(super) async fn read_whole(
    line: Line<'_>,
    response: reqwest::Response,
    key: Option<&Secret<String>>,
) -> Result<Map<String, Value>, Failure> {
    read_up_to(MAX_WHOLE, |bytes| serde_json::from_slice(bytes).ok(), line, response, key).await
}

async fn read_up_to(
    longest: usize,
    read: fn(&[u8]) -> Option<Map<String, Value>>,
    line: Line<'_>,
    response: reqwest::Response,
    key: Option<&Secret<String>>,
) -> Result<Map<String, Value>, Failure> {
    let bytes = read_within(longest, line, response).await?;
    let nonsense = || Failure::new(Fault::BadAnswer, "the provider's answer is no JSON object");
    if !check_depth(&bytes) {
        return Err(nonsense());
    }
    let answer = read(&bytes).ok_or_else(nonsense)?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        return Err(Failure::from_error(error, key));
    }
    Ok(answer)
}

/// Each piece must come in time, the first one by the first-byte limit.
async fn read_within(longest: usize, line: Line<'_>, mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(4_096);
    let mut out = Vec::with_capacity(expected.min(longest));
    let mut until = line.first_byte;
    loop {
        match timeout_at(until, response.chunk()).await {
            Err(_) => return Err(Failure::new(Fault::Timeout, STOPPED)),
            Ok(Err(_)) => return Err(Failure::new(Fault::Truncated, "the provider broke the connection")),
            Ok(Ok(None)) => return Ok(out),
            Ok(Ok(Some(piece))) => {
                if out.len() + piece.len() > longest {
                    return Err(Failure::new(Fault::TooLarge, "the provider's answer is too long"));
                }
                out.extend_from_slice(&piece);
                until = Instant::now() + line.timeouts.idle;
            }
        }
    }
}

/// At most `limit` bytes; the rest is not read.
async fn read_limited(mut response: reqwest::Response, limit: usize) -> reqwest::Result<Vec<u8>> {
    let mut out = Vec::new();
    while out.len() < limit {
        let Some(piece) = response.chunk().await? else { break };
        out.extend_from_slice(&piece);
    }
    out.truncate(limit);
    Ok(out)
}

/// Whether the operator pays the provider.
fn is_ours(question: &Question<'_>) -> bool {
    question.candidate.own().is_none()
}

/// Refuses what the operator would pay for and nobody here.
fn priced(question: &Question<'_>) -> Result<(), Failure> {
    if !is_ours(question) {
        return Ok(());
    }
    let is_wanted = |name: &&str| question.body.get(*name).is_some_and(|value| !value.is_null());
    let why = match UNPRICED.into_iter().find(is_wanted) {
        Some(name) => format!("{name} costs extra at the provider, which has no price in the catalog. Leave it out."),
        None if runs_tools(question.body) => ONLY_FUNCTIONS.to_owned(),
        None => return Ok(()),
    };
    Err(Failure::new(Fault::Unpriced, why))
}

/// A name for whoever asks that is not too long, where theirs is: the same for the same one.
fn short_user(name: &str, value: &Value) -> Option<Value> {
    let user = value.as_str().filter(|user| name == USER && user.chars().count() > MAX_USER)?;
    Some(hex::encode(Sha256::digest(user.as_bytes())).into())
}

/// Whether a tool is one that the provider runs itself, like Groq's `browser_search`.
fn runs_tools(body: &Map<String, Value>) -> bool {
    let kind = |tool: &Value| !matches!(tool.get("type").and_then(Value::as_str), None | Some("function" | "custom"));
    let tools = body.get("tools").and_then(Value::as_array);
    tools.is_some_and(|tools| tools.iter().any(kind)) || body.contains_key("compound_custom")
}

/// How hard the model is told to think, if anything is said of it. The client's own word for it comes first.
fn effort<'a>(question: &'a Question<'_>) -> Option<&'a Value> {
    match question.body.get(EFFORT) {
        Some(effort) => Some(effort).filter(|_| question.sends(EFFORT)),
        None => {
            let reasoning = question.body.get("reasoning").filter(|_| question.sends("reasoning"));
            reasoning?.get("effort").filter(|effort| effort.is_string())
        }
    }
}

/// These models think unless they are told not to.
pub(super) fn may_think(question: &Question<'_>) -> bool {
    effort(question).and_then(Value::as_str) != Some("none")
}

/// The client's fields as they came, with ours instead of those that the router decides.
fn body(question: &Question<'_>) -> Vec<u8> {
    let slug = question.candidate.provider_slug();
    let model = &question.candidate.offer().endpoint.upstream_model;
    let mut out = Vec::with_capacity(1_024);
    out.push(b'{');
    field(&mut out, "model", model);
    let left_out = LeftOut::of(question);
    for (name, value) in question.fields().filter(|(name, _)| !left_out.has(name)) {
        // Another router understands these itself; everybody else knows only the effort.
        let is_reasoning = matches!(name.as_str(), "reasoning" | "include_reasoning");
        if is_reasoning && slug != "openrouter" {
            continue;
        }
        if name == TIER && is_ours(question) {
            continue;
        }
        // A wish of the client where it can be had: others refuse what they do not know.
        if name == MARK && slug != "openrouter" {
            continue;
        }
        // To a router before a model that caches by them marks in messages and tools mean something.
        let marks_go = !is_shipped(slug) && !slug.starts_with("azure");
        let mut changed = if marks_go { usual_time(name, value) } else { unmarked(name, value) };
        if name == "messages" {
            changed = messages::fitted(slug, model, changed.as_ref().unwrap_or(value)).or(changed);
        }
        let changed = changed.or_else(|| short_user(name, value));
        field(&mut out, name, changed.as_ref().unwrap_or(value));
    }
    // What the client has sent by this name is among the fields.
    if slug != "openrouter" && !question.body.contains_key(EFFORT) {
        effort(question).into_iter().for_each(|effort| field(&mut out, EFFORT, effort));
    }
    if let Some(cap) = question.cap {
        field(&mut out, cap_name(slug), &cap);
    }
    if question.stream {
        out.extend_from_slice(br#""stream":true,"stream_options":{"include_usage":true},"#);
    }
    out.pop();
    out.push(b'}');
    out
}

/// For what is no conversation: the client's fields and the model, and nothing of ours.
fn plain_body(question: &Question<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    out.push(b'{');
    field(&mut out, "model", &question.candidate.offer().endpoint.upstream_model);
    for (name, value) in question.fields() {
        field(&mut out, name, short_user(name, value).as_ref().unwrap_or(value));
    }
    out.pop();
    out.push(b'}');
    out
}

fn field(out: &mut Vec<u8>, name: &str, value: &impl serde::Serialize) {
    // Writing JSON values to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, name);
    out.push(b':');
    let _ = serde_json::to_writer(&mut *out, value);
    out.push(b',');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::providers::tests::question;
    use crate::routing::tests::{candidate, offer};
    use serde_json::json;

    /// An endpoint of which nothing is known.
    fn unlisted(slug: &str) -> Offer {
        let mut offer = offer("a/b", slug, "1", "2");
        offer.endpoint.supported_parameters.clear();
        offer
    }

    fn sent(slug: &str, body_in: &Value, cap: Option<u64>, stream: bool) -> Value {
        sent_to(unlisted(slug), body_in, cap, stream).into()
    }

    fn sent_to(offer: Offer, body_in: &Value, cap: Option<u64>, stream: bool) -> Map<String, Value> {
        let candidate = candidate(offer);
        let map = body_in.as_object().cloned().unwrap_or_default();
        let question = Question { cap, stream, ..question(&candidate, &map) };
        serde_json::from_slice(&body(&question)).expect("valid JSON")
    }

    #[test]
    fn fields_pass_and_the_routers_own_are_set() {
        let body_in = json!({"messages":[{"role":"user","content":"hi"}],"future":[1]});
        assert_eq!(
            sent("groq", &body_in, Some(5), true),
            json!({"model":"up","messages":[{"role":"user","content":"hi"}],"future":[1],"max_tokens":5,"stream":true,
                "stream_options":{"include_usage":true}})
        );
        assert_eq!(sent("openai", &json!({}), Some(5), false), json!({"model":"up","max_completion_tokens":5}));
    }

    #[test]
    fn a_model_may_think_unless_what_is_sent_tells_it_not_to() {
        let candidate = candidate(unlisted("openai"));
        for (body, may_think) in [
            (json!({}), true),
            (json!({"reasoning":{"enabled":false}}), true),
            (json!({"reasoning":{"effort":"none"}}), false),
            (json!({"reasoning_effort":"none","reasoning":{"effort":"high"}}), false),
            (json!({"reasoning_effort":"high","reasoning":{"effort":"none"}}), true),
            (json!({"reasoning_effort":null,"reasoning":{"effort":"none"}}), true),
        ] {
            let map = body.as_object().cloned().unwrap_or_default();
            let question = Question { stream: true, ..question(&candidate, &map) };
            assert_eq!(super::may_think(&question), may_think, "{body}");
            let sent = sent("openai", &body, None, false);
            assert_eq!(sent.get(EFFORT) == Some(&json!("none")), !may_think, "{sent}");
        }
    }

    #[test]
    fn a_dearer_class_of_service_is_not_passed_on() {
        assert_eq!(sent("openai", &json!({"messages":[],"service_tier":"priority"}), None, false).get(TIER), None);
    }

    #[test]
    fn a_search_that_nobody_here_pays_for_is_refused() {
        let candidate = candidate(offer("a/b", "xai", "1", "2"));
        for (body, is_refused) in [
            (json!({"search_parameters":{"mode":"on"}}), true),
            (json!({"web_search_options":{}}), true),
            (json!({"web_search_options":null,"future":1}), false),
            (json!({"tools":[{"type":"function","function":{"name":"f"}},{"type":"browser_search"}]}), true),
            (json!({"tools":[{"type":"builtin_function","function":{"name":"$web_search"}}]}), true),
            (json!({"compound_custom":{"tools":{"enabled_tools":["web_search"]}}}), true),
            (json!({"tools":[{"function":{"name":"f"}},{"type":"custom","custom":{"name":"g"}}]}), false),
        ] {
            let map = body.as_object().cloned().unwrap_or_default();
            let question = question(&candidate, &map);
            let fault = priced(&question).map_err(|failure| failure.fault);
            assert_eq!(fault, if is_refused { Err(Fault::Unpriced) } else { Ok(()) }, "{body}");
        }
    }

    #[test]
    fn messages_are_fitted_and_their_marks_stay_behind() {
        let mut offer = offer("a/b", "google", "1", "2");
        offer.endpoint.upstream_model = "gemini-3.1-pro-preview".into();
        let body_in = json!({"messages":[{"role":"assistant","content":[{"type":"text","text":"hi",
            "cache_control":{"type":"ephemeral","ttl":"1h"}}],"tool_calls":[{"id":"1"}]}]});
        let sent = sent_to(offer, &body_in, None, false).remove("messages");
        let signed = json!({"google":{"thought_signature":"skip_thought_signature_validator"}});
        let wanted = json!([{"role":"assistant","content":"hi",
            "tool_calls":[{"id":"1","extra_content":signed}]}]);
        assert_eq!(sent, Some(wanted));
    }

    #[test]
    fn a_mark_for_a_cache_lasts_the_usual_time() {
        let marked = |mark: Value| json!({"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":mark}]}]});
        for router in ["openrouter", "a-router-of-the-operators-own"] {
            let long = sent(router, &marked(json!({"type":"ephemeral","ttl":"1h"})), None, false);
            assert_eq!(long["messages"], marked(json!({"type":"ephemeral"}))["messages"]);
        }
        let whole = json!({"messages":[],"cache_control":{"type":"ephemeral","ttl":"1h"}});
        assert_eq!(sent("openrouter", &whole, None, false)["cache_control"], json!({"type":"ephemeral"}));
        assert_eq!(sent("openai", &whole, None, false), json!({"model":"up","messages":[]}), "nobody else knows it");
    }

    #[test]
    fn a_name_of_a_user_that_is_too_long_is_told_by_its_digest() {
        let told = |user: &str| sent("openai", &json!({"user":user}), None, false)["user"].clone();
        let (longest, longer) = ("é".repeat(64), "a".repeat(65));
        assert_eq!(told(&longest), json!(longest));
        let digest = "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0";
        assert_eq!(told(&longer), json!(digest));
        assert_eq!(short_user("model", &json!(longer)), None);
    }

    #[test]
    fn reasoning_is_asked_for_in_the_upstreams_words() {
        let body_in = json!({"reasoning":{"effort":"low"},"include_reasoning":true});
        assert_eq!(sent("openai", &body_in, None, false), json!({"model":"up","reasoning_effort":"low"}));
        assert_eq!(sent("openrouter", &body_in, None, false)["reasoning"], json!({"effort":"low"}));
    }
}
