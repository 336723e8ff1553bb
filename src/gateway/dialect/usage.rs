//! What a call used and cost, in each language's words for tokens. The amounts are those of the chat completions, digit by
//! digit: they are written in one place only.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::gateway::wire::UsageOut;

#[derive(Deserialize)]
struct Money {
    cost: Box<RawValue>,
    is_byok: Box<RawValue>,
    cost_details: CostDetails,
}

#[derive(Deserialize)]
struct CostDetails {
    upstream_inference_cost: Box<RawValue>,
    upstream_inference_prompt_cost: Box<RawValue>,
    upstream_inference_completions_cost: Box<RawValue>,
}

impl Money {
    fn of(usage: &UsageOut) -> Option<Money> {
        let mut text = String::new();
        usage.write(&mut text);
        serde_json::from_str(&text).ok()
    }
}

/// Fails for nothing that this program writes; a client that reads no usage still reads the answer.
fn written(value: Option<impl Serialize>) -> String {
    value.and_then(|value| serde_json::to_string(&value).ok()).unwrap_or_else(|| "{}".to_owned())
}

/// For answers in which nothing is written.
pub(super) fn of_input(usage: &UsageOut) -> String {
    #[derive(Serialize)]
    struct Out<'a> {
        prompt_tokens: u64,
        total_tokens: u64,
        cost: &'a RawValue,
        is_byok: &'a RawValue,
        cost_details: ChatDetails<'a>,
    }
    let money = Money::of(usage);
    written(money.as_ref().map(|money| Out {
        prompt_tokens: usage.tokens.prompt,
        total_tokens: usage.tokens.prompt,
        cost: &money.cost,
        is_byok: &money.is_byok,
        cost_details: money.details(),
    }))
}

/// For ranked documents.
pub(super) fn of_ranking(usage: &UsageOut, search_units: u64) -> String {
    #[derive(Serialize)]
    struct Out<'a> {
        search_units: u64,
        total_tokens: u64,
        cost: &'a RawValue,
        is_byok: &'a RawValue,
        cost_details: ChatDetails<'a>,
    }
    let money = Money::of(usage);
    written(money.as_ref().map(|money| Out {
        search_units,
        total_tokens: usage.tokens.prompt,
        cost: &money.cost,
        is_byok: &money.is_byok,
        cost_details: money.details(),
    }))
}

#[derive(Serialize)]
struct ChatDetails<'a> {
    upstream_inference_cost: &'a RawValue,
    upstream_inference_prompt_cost: &'a RawValue,
    upstream_inference_completions_cost: &'a RawValue,
}

impl Money {
    fn details(&self) -> ChatDetails<'_> {
        ChatDetails {
            upstream_inference_cost: &self.cost_details.upstream_inference_cost,
            upstream_inference_prompt_cost: &self.cost_details.upstream_inference_prompt_cost,
            upstream_inference_completions_cost: &self.cost_details.upstream_inference_completions_cost,
        }
    }
}

/// For the responses API, whose words for the two sides are others.
pub(super) fn of_response(usage: &UsageOut) -> String {
    #[derive(Serialize)]
    struct Out<'a> {
        input_tokens: u64,
        input_tokens_details: Input,
        output_tokens: u64,
        output_tokens_details: Output,
        total_tokens: u64,
        cost: &'a RawValue,
        is_byok: &'a RawValue,
        cost_details: Details<'a>,
    }
    #[derive(Serialize)]
    struct Input {
        cached_tokens: u64,
        cache_write_tokens: u64,
    }
    #[derive(Serialize)]
    struct Output {
        reasoning_tokens: u64,
    }
    #[derive(Serialize)]
    struct Details<'a> {
        upstream_inference_cost: &'a RawValue,
        upstream_inference_input_cost: &'a RawValue,
        upstream_inference_output_cost: &'a RawValue,
    }
    let (money, tokens) = (Money::of(usage), &usage.tokens);
    written(money.as_ref().map(|money| Out {
        input_tokens: tokens.prompt,
        input_tokens_details: Input { cached_tokens: tokens.cached, cache_write_tokens: tokens.cache_write },
        output_tokens: tokens.completion,
        output_tokens_details: Output { reasoning_tokens: tokens.reasoning },
        total_tokens: tokens.prompt + tokens.completion,
        cost: &money.cost,
        is_byok: &money.is_byok,
        cost_details: Details {
            upstream_inference_cost: &money.cost_details.upstream_inference_cost,
            upstream_inference_input_cost: &money.cost_details.upstream_inference_prompt_cost,
            upstream_inference_output_cost: &money.cost_details.upstream_inference_completions_cost,
        },
    }))
}

/// For messages, whose input leaves out what has to do with a cache.
pub(super) fn of_message(usage: &UsageOut) -> String {
    #[derive(Serialize)]
    struct Out<'a> {
        input_tokens: u64,
        cache_creation_input_tokens: u64,
        cache_read_input_tokens: u64,
        cache_creation: Option<u64>,
        output_tokens: u64,
        output_tokens_details: Option<Thought>,
        server_tool_use: Option<u64>,
        service_tier: Option<u64>,
        inference_geo: Option<u64>,
        cost: &'a RawValue,
        is_byok: &'a RawValue,
        cost_details: ChatDetails<'a>,
    }
    #[derive(Serialize)]
    struct Thought {
        thinking_tokens: u64,
    }
    let (money, tokens) = (Money::of(usage), &usage.tokens);
    let thinking_tokens = tokens.reasoning;
    written(money.as_ref().map(|money| Out {
        input_tokens: tokens.prompt.saturating_sub(tokens.cached).saturating_sub(tokens.cache_write),
        cache_creation_input_tokens: tokens.cache_write,
        cache_read_input_tokens: tokens.cached,
        cache_creation: None,
        output_tokens: tokens.completion,
        output_tokens_details: (thinking_tokens > 0).then_some(Thought { thinking_tokens }),
        server_tool_use: None,
        service_tier: None,
        inference_geo: None,
        cost: &money.cost,
        is_byok: &money.is_byok,
        cost_details: money.details(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Usd;
    use crate::gateway::Tokens;

    #[test]
    fn every_language_tells_the_same_amount_to_the_last_digit() {
        let tokens = Tokens { prompt: 30, completion: 4, cached: 10, cache_write: 5, reasoning: 1 };
        let charged = Usd::parse("0.000000000001").unwrap_or_default();
        let usage = UsageOut::new(tokens, charged, &[]);
        for text in [of_input(&usage), of_ranking(&usage, 1), of_response(&usage), of_message(&usage)] {
            assert!(text.contains(r#""cost":0.000000000001,"#), "{text}");
        }
        assert!(
            of_message(&usage)
                .starts_with(r#"{"input_tokens":15,"cache_creation_input_tokens":5,"cache_read_input_tokens":10,"#)
        );
    }
}
