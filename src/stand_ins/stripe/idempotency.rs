//! Idempotency keys: the second request with a key gets the first one's answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Refusal;
use crate::base::Digest;

/// Stripe forgets keys after a day.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Above this the oldest keys are forgotten early.
const MAX_KEYS: usize = 5000;
const MAX_KEY_LENGTH: usize = 255;

/// An answer: its status and body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl From<Result<Value, Refusal>> for Answer {
    fn from(result: Result<Value, Refusal>) -> Answer {
        match result {
            Ok(body) => Answer { status: 200, body },
            Err(refusal) => Answer { status: refusal.status(), body: refusal.body() },
        }
    }
}

/// What came with a key first.
#[derive(Clone, Serialize, Deserialize)]
struct First {
    /// Of method, path and parameters.
    digest: String,
    at_ms: i64,
    /// Nothing while it is at work.
    answer: Option<Answer>,
}

/// All keys that came.
#[derive(Default, Serialize, Deserialize)]
pub struct Answers(BTreeMap<String, First>);

/// What to do with a request.
#[derive(Debug, PartialEq)]
pub enum Turn {
    Work,
    /// It was done before; this was the answer.
    Replay(Answer),
}

impl Answers {
    /// Takes a key for a request.
    pub fn take(&mut self, key: &str, request: &[u8], now_ms: i64) -> Result<Turn, Refusal> {
        if key.len() > MAX_KEY_LENGTH {
            return Err(Refusal::invalid(format!("An Idempotency-Key has at most {MAX_KEY_LENGTH} characters.")));
        }
        self.forget(now_ms);
        let digest = Digest::of(request).to_hex();
        match self.0.get(key) {
            None => {
                self.0.insert(key.to_owned(), First { digest, at_ms: now_ms, answer: None });
                Ok(Turn::Work)
            }
            Some(first) if first.digest != digest => Err(Refusal::new(
                400,
                "idempotency_error",
                format!("The key '{key}' was used with other parameters. Send the same ones, or another key."),
            )),
            Some(First { answer: None, .. }) => Err(Refusal::new(
                409,
                "idempotency_error",
                format!("Another request with the key '{key}' is at work. Wait and send it again."),
            )
            .code("idempotency_key_in_use")),
            Some(First { answer: Some(answer), .. }) => Ok(Turn::Replay(answer.clone())),
        }
    }

    /// Keeps the answer of a request that took its key. What was refused before any work may be sent again with
    /// other parameters, as at Stripe.
    pub fn keep(&mut self, key: &str, answer: &Answer) {
        let worked = answer.status < 400 || answer.status == 402;
        if worked && let Some(first) = self.0.get_mut(key) {
            first.answer = Some(answer.clone());
        } else {
            self.0.remove(key);
        }
    }

    /// Gives up a key whose request did nothing.
    pub fn release(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// After a start nobody is at work any more.
    pub fn after_start(&mut self) {
        self.0.retain(|_, first| first.answer.is_some());
    }

    fn forget(&mut self, now_ms: i64) {
        self.0.retain(|_, first| first.answer.is_none() || now_ms - first.at_ms < KEPT_MS);
        while self.0.len() >= MAX_KEYS {
            let oldest = self.0.iter().min_by_key(|(_, first)| first.at_ms).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.0.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16) -> Answer {
        Answer { status, body: json!({ "id": "re_1" }) }
    }

    #[test]
    fn the_second_request_gets_the_answer_of_the_first() {
        let mut answers = Answers::default();
        assert_eq!(answers.take("k", b"amount=5", 0), Ok(Turn::Work));
        answers.keep("k", &answer(200));
        assert_eq!(answers.take("k", b"amount=5", 1), Ok(Turn::Replay(answer(200))));
    }

    #[test]
    fn other_parameters_and_a_first_one_at_work_are_refused() {
        let mut answers = Answers::default();
        assert_eq!(answers.take("k", b"amount=5", 0), Ok(Turn::Work));
        assert_eq!(answers.take("k", b"amount=5", 0).expect_err("at work").status(), 409);
        assert_eq!(answers.take("k", b"amount=6", 0).expect_err("other").status(), 400);
        answers.keep("k", &answer(402));
        assert_eq!(answers.take("k", b"amount=5", 1), Ok(Turn::Replay(answer(402))), "a decline is an answer too");
    }

    #[test]
    fn a_key_is_free_again_when_nothing_happened_and_after_a_day() {
        let mut answers = Answers::default();
        assert_eq!(answers.take("k", b"amount=x", 0), Ok(Turn::Work));
        answers.keep("k", &answer(400));
        assert_eq!(answers.take("k", b"amount=5", 0), Ok(Turn::Work));
        answers.keep("k", &answer(200));
        assert_eq!(answers.take("k", b"amount=7", KEPT_MS), Ok(Turn::Work));
    }

    #[test]
    fn there_are_never_more_keys_than_the_limit() {
        let mut answers = Answers::default();
        for number in 0..MAX_KEYS + 10 {
            let now = i64::try_from(number).expect("small");
            assert_eq!(answers.take(&format!("k{number}"), b"", now), Ok(Turn::Work));
        }
        assert_eq!(answers.0.len(), MAX_KEYS);
        assert!(!answers.0.contains_key("k0"), "the oldest went");
    }
}
