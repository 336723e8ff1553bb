//! Upstreams: how each kind is asked and how its answer is read. All of them answer in one shape, OpenAI's.

mod anthropic;
mod failure;
mod keys;
mod openai;
mod sandbox;
mod source;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::dialect::messages::Words;
use super::forward::Timeouts;
use crate::catalog::{ProviderKind, Task};
use crate::outgoing::HttpClient;
use crate::routing::Candidate;
use crate::traces::Context;

pub(super) use anthropic::{ONLY_JSON, wants_json};
pub(super) use failure::{Failure, Fault, NO_ANSWER, NOT_REACHED, STOPPED, TOO_LONG};
pub use keys::UpstreamKeys;
pub(super) use source::Source;

/// How an answer is written, and not what it is: tools and a shape of the answer are sent to everybody.
const MANNER: [&str; 3] = ["temperature", "top_p", "stop"];
/// What is said of thinking, in its several words.
const THINKING: [&str; 3] = ["reasoning", "reasoning_effort", "include_reasoning"];
/// The same, of which many lists say nothing. Only who takes no temperature is taken not to take these either.
const FINER: [&str; 10] = [
    "top_k",
    "min_p",
    "top_a",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
];

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
    pub words: Option<&'a Words>,
}

impl Question<'_> {
    /// Whether a field is sent to this endpoint. What only a preset asks for is left out where it is not known; so is what says
    /// how an answer is written, whoever asks for it, unless nothing at all is known of the endpoint.
    fn sends(&self, field: &str) -> bool {
        let parameters = &self.candidate.offer().endpoint.supported_parameters;
        let knows = |word: &str| parameters.iter().any(|known| known == word);
        let thinks = THINKING.contains(&field) && (knows("reasoning") || knows("reasoning_effort"));
        let is_known = thinks || knows(field);
        if is_known || self.added.iter().any(|added| added == field) {
            return is_known;
        }
        let is_finer = FINER.contains(&field) && !knows("temperature");
        parameters.is_empty() || !(is_finer || MANNER.contains(&field) || THINKING.contains(&field))
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
        self.body.iter().filter(|(name, _)| self.sends(name))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{candidate, offer};
    use serde_json::json;

    /// A question for an answer in one piece, of which nothing else is said than its body.
    pub(super) fn question<'a>(candidate: &'a Candidate, body: &'a Map<String, Value>) -> Question<'a> {
        Question {
            candidate,
            body,
            added: &[],
            cap: None,
            longest: 100,
            stream: false,
            task: Task::Answer,
            words: None,
        }
    }

    #[test]
    fn what_an_endpoint_does_not_know_is_left_out_and_what_decides_the_answer_is_not() {
        let all = json!({"messages":[],"temperature":0,"top_p":1,"stop":"x","top_k":3,"presence_penalty":0,"seed":1,
            "reasoning":{"effort":"low"},"reasoning_effort":"low","tools":[],"tool_choice":"auto","response_format":{},
            "future":1});
        let everything: Vec<&str> = all.as_object().expect("an object").keys().map(String::as_str).collect();
        let sent = |known: &[&str], added: &[&str]| {
            let mut offer = offer("a/b", "openai", "1", "2");
            offer.endpoint.supported_parameters = known.iter().map(|&name| name.to_owned()).collect();
            let candidate = candidate(offer);
            let added: Vec<String> = added.iter().map(|&name| name.to_owned()).collect();
            let question = Question { added: &added, ..question(&candidate, all.as_object().expect("an object")) };
            let names = question.fields().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            everything.iter().copied().filter(|name| names.iter().any(|sent| sent == name)).collect::<Vec<_>>()
        };
        assert_eq!(sent(&[], &[]), everything, "nothing is known of it");
        let plain = ["messages", "tools", "tool_choice", "response_format", "future"];
        assert_eq!(sent(&["max_tokens"], &[]), plain);
        // Lists that have no more than the usual ones say nothing of the finer ones.
        let finer = ["messages", "temperature", "top_k", "presence_penalty", "seed"];
        let usual = [&finer[..], &plain[1..]].concat();
        assert_eq!(sent(&["max_tokens", "temperature"], &[]), usual);
        let thinking = ["messages", "seed", "reasoning", "reasoning_effort"];
        assert_eq!(sent(&["max_tokens", "reasoning", "seed"], &[]), [&thinking[..], &plain[1..]].concat());
        // What only a preset asks for.
        let added = ["top_k", "seed", "tools", "future", "reasoning_effort"];
        assert_eq!(
            sent(&["temperature", "seed", "reasoning"], &added),
            [
                "messages",
                "temperature",
                "presence_penalty",
                "seed",
                "reasoning",
                "reasoning_effort",
                "tool_choice",
                "response_format"
            ]
        );
    }
}
