//! The `usage` object of every answer.

use std::fmt::Write as _;

use crate::base::Usd;
use crate::catalog::CostLine;
use crate::gateway::Tokens;

/// What a call used and what was charged for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsageOut {
    pub tokens: Tokens,
    /// What the account paid.
    pub charged: Usd,
    pub prompt_cost: Usd,
    pub completion_cost: Usd,
    /// What the provider takes itself, where the key was the organization's own.
    pub upstream: Option<Usd>,
    /// What was taken off already.
    pub discount: Usd,
}

impl UsageOut {
    pub(crate) fn new(tokens: Tokens, charged: Usd, lines: &[CostLine]) -> UsageOut {
        let answer = |line: &&CostLine| line.label == "Reasoning tokens" || line.label.ends_with("utput tokens");
        let completion_cost = lines.iter().filter(answer).map(|line| line.amount).sum();
        let prompt_cost =
            lines.iter().filter(|line| !answer(line) && line.label != "Requests").map(|line| line.amount).sum();
        UsageOut { tokens, charged, prompt_cost, completion_cost, upstream: None, discount: Usd::ZERO }
    }

    /// With what only some calls have.
    #[must_use]
    pub(crate) fn with(self, upstream: Option<Usd>, discount: Usd) -> UsageOut {
        UsageOut { upstream, discount, ..self }
    }

    /// Appends the object to `out`. Written by hand because `cost` is an exact decimal, and every value is a number.
    pub(crate) fn write(&self, out: &mut String) {
        let t = &self.tokens;
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{},"cache_write_tokens":{}}},"completion_tokens_details":{{"reasoning_tokens":{}}},"cost":{},"is_byok":{},"cost_details":{{"upstream_inference_cost":{},"upstream_inference_prompt_cost":{},"upstream_inference_completions_cost":{}{}}}}}"#,
            t.prompt,
            t.completion,
            t.prompt.saturating_add(t.completion),
            t.cached,
            t.cache_write,
            t.reasoning,
            self.charged,
            self.upstream.is_some(),
            self.upstream.map_or_else(|| "null".to_owned(), |upstream| upstream.to_string()),
            self.prompt_cost,
            self.completion_cost,
            if self.discount.is_zero() { String::new() } else { format!(r#","data_discount":{}"#, self.discount) },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_an_exact_number() {
        let tokens = Tokens { prompt: 3, completion: 4, ..Tokens::default() };
        let charged = Usd::parse("0.000000000001").unwrap_or_default();
        let mut out = String::new();
        UsageOut::new(tokens, charged, &[]).write(&mut out);
        assert!(out.contains(r#""total_tokens":7,"#) && out.contains(r#""cost":0.000000000001,"#), "{out}");
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
        assert!(out.contains(r#""is_byok":false,"cost_details":{"upstream_inference_cost":null"#), "{out}");
        let mut own = String::new();
        UsageOut::new(tokens, charged, &[]).with(Some(Usd::from_cents(5)), Usd::from_cents(1)).write(&mut own);
        let own: serde_json::Value = serde_json::from_str(&own).unwrap_or_default();
        assert_eq!(
            (&own["is_byok"], own["cost_details"]["upstream_inference_cost"].to_string()),
            (&true.into(), "0.05".into())
        );
        assert_eq!(own["cost_details"]["data_discount"].to_string(), "0.01");
    }
}
