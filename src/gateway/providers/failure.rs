//! How an upstream can fail, and what the client hears of it.

use serde_json::Value;

use crate::base::Secret;
use crate::gateway::Attempt;
use crate::gateway::error::{ApiError, TOO_LONG_A_PROMPT, clip};

/// Longest text of an upstream's error that is kept.
const MAX_RAW: usize = 4_096;

/// How providers say that a prompt is longer than a model takes, in small letters.
const TOO_LONG_SAID: [&str; 8] = [
    TOO_LONG_A_PROMPT,
    "prompt is too long",
    "maximum context length",
    "exceeds the maximum number of tokens",
    "exceeds the context window",
    "exceed context limit",
    "available context size",
    "maximum prompt length",
];

/// Longest reason that stands in the message of an error; all of it is beside it.
const MAX_REASON: usize = 500;

/// Why a tool that the provider runs is not asked for.
pub(super) const ONLY_FUNCTIONS: &str =
    "Only functions can be tools here: what the provider's own tools cost has no price in the catalog.";

/// How a provider took too long, as it is noted with a try.
pub(crate) const NO_ANSWER: &str = "the provider did not answer in time";
pub(crate) const NOT_REACHED: &str = "the provider could not be reached in time";
pub(crate) const STOPPED: &str = "the provider stopped answering";
pub(crate) const TOO_LONG: &str = "the call took too long";

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It could not be reached.
    Unreachable,
    /// It said nothing for too long.
    Timeout,
    /// It answered with an error of this status.
    Status(u16),
    /// Its answer made no sense.
    BadAnswer,
    /// Its answer stopped in the middle.
    Truncated,
    /// Its answer is beyond a limit.
    TooLarge,
    /// Our own doing: a key is missing or its address is forbidden.
    Config,
    /// A request that this kind of upstream cannot express.
    Untranslatable,
    /// What the operator's account is not used for, because it has no price; one of the caller's own may be.
    Unpriced,
    /// A bug of ours.
    Internal,
}

/// An upstream that did not answer as it should.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub fault: Fault,
    /// In a few words of ours.
    pub message: String,
    /// What the upstream said, if that is safe to pass on.
    pub raw: String,
    /// Seconds after which it may be asked again, if it said so.
    pub wait: Option<u32>,
}

impl Failure {
    pub(crate) fn new(fault: Fault, message: impl Into<String>) -> Failure {
        Failure { fault, message: message.into(), raw: String::new(), wait: None }
    }

    /// An HTTP error, or an error object in a stream.
    pub(crate) fn status(status: u16, raw: &str, wait: Option<u32>, key: Option<&Secret<String>>) -> Failure {
        let status = if status == 400 && is_about_an_account(raw) { 402 } else { status };
        // About our key only we and the operator should hear.
        let raw = if matches!(status, 401..=403) { String::new() } else { scrubbed(raw, key) };
        Failure { fault: Fault::Status(status), message: format!("the provider answered {status}"), raw, wait }
    }

    /// From the value of `error` in a body or chunk that came without an error status.
    pub(crate) fn from_error(error: &Value, key: Option<&Secret<String>>) -> Failure {
        let code = error.get("code").or_else(|| error.get("status"));
        let status = code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
        let status = status.and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status));
        let kind = error.get("type").and_then(Value::as_str).unwrap_or_default();
        let status = status.unwrap_or(match kind {
            "invalid_request_error" => 400,
            "authentication_error" => 401,
            "permission_error" => 403,
            "not_found_error" => 404,
            "request_too_large" => 413,
            "rate_limit_error" => 429,
            "overloaded_error" => 529,
            _ => 502,
        });
        Failure::status(status, &error.to_string(), None, key)
    }

    /// In a word, for monitoring.
    pub(crate) fn word(&self) -> &'static str {
        match self.fault {
            Fault::Unreachable => "unreachable",
            Fault::Timeout => "timeout",
            Fault::Status(401..=403) => "refused_key",
            Fault::Status(429) => "limited",
            Fault::Status(503 | 529) => "overloaded",
            Fault::Status(500..) => "error",
            Fault::Status(_) | Fault::Untranslatable | Fault::Unpriced => "refused_request",
            Fault::BadAnswer | Fault::TooLarge => "bad_answer",
            Fault::Truncated => "cut_off",
            Fault::Config | Fault::Internal => "ours",
        }
    }

    /// What the upstream answered, for the log of attempts.
    pub(crate) fn upstream_status(&self) -> Option<u16> {
        match self.fault {
            Fault::Status(status) => Some(status),
            Fault::BadAnswer | Fault::Truncated | Fault::TooLarge => Some(200),
            _ => None,
        }
    }

    /// It comes of the request itself: other endpoints of the same model would say the same, and bill for what is too long.
    pub(crate) fn is_about_the_request(&self) -> bool {
        matches!(self.fault, Fault::Status(400 | 413 | 422) | Fault::Untranslatable | Fault::TooLarge)
    }

    /// Whether it is about the account that was used, and says nothing of the endpoint.
    pub(crate) fn is_about_the_account(&self) -> bool {
        matches!(self.fault, Fault::Status(401..=403 | 429) | Fault::Config)
    }

    /// Whether the endpoint should be asked last for a while.
    pub(crate) fn is_outage(&self) -> bool {
        !self.is_about_the_request() && !matches!(self.fault, Fault::Internal | Fault::Unpriced)
    }

    /// Whether every account was refused: asking again soon finds them as they are. `before` are the tries that failed earlier.
    pub(crate) fn is_lasting(&self, before: &[Attempt]) -> bool {
        let refused = |status: Option<u16>| matches!(status, Some(401..=403));
        refused(self.upstream_status()) && before.iter().all(|attempt| refused(attempt.status))
    }

    /// What the client hears when nobody else is left to ask.
    pub(crate) fn to_error(&self, provider: &str) -> ApiError {
        let (status, kind) = match self.fault {
            Fault::Status(status @ (400 | 413 | 422)) if is_too_long(&self.raw) => (status, TOO_LONG_A_PROMPT),
            Fault::Status(status @ (400 | 413 | 422)) => (status, "invalid_request"),
            Fault::Untranslatable | Fault::Unpriced => return ApiError::invalid(self.message.clone()).without_retry(),
            Fault::Status(429) => (429, "rate_limit_exceeded"),
            Fault::Status(503 | 529) => (503, "provider_overloaded"),
            Fault::Timeout | Fault::Status(408 | 504 | 524) => (502, "timeout"),
            Fault::Internal => return ApiError::internal(),
            _ => (502, "provider_unavailable"),
        };
        let raw = if self.raw.is_empty() { &self.message } else { &self.raw };
        let why = reason(&self.raw).filter(|_| (400..500).contains(&status));
        let error = ApiError::upstream(status, kind, provider, raw, self.wait);
        let error = match why {
            Some(why) => error.because(&why),
            None => error,
        };
        // The same request would have the same answer, and be billed again.
        if self.fault == Fault::TooLarge { error.without_retry() } else { error }
    }
}

/// Whether what looks like a bad request is a refusal of the account that was used: Anthropic says so of one without credits,
/// Google of a wrong key. Only how their message begins counts, for the rest may repeat what a client wrote.
fn is_about_an_account(raw: &str) -> bool {
    let Ok(body) = serde_json::from_str::<Value>(raw) else { return false };
    said(&body).is_some_and(|said| {
        ["Your credit balance is too low", "API key not valid", "API key expired"]
            .iter()
            .any(|how| said.starts_with(how))
    })
}

/// What an upstream's error says, wherever it says it.
fn said(body: &Value) -> Option<&str> {
    ["/error/message", "/0/error/message", "/message"].iter().find_map(|at| body.pointer(at)?.as_str())
}

/// Whether an upstream refuses a prompt for its length.
fn is_too_long(raw: &str) -> bool {
    let Ok(body) = serde_json::from_str::<Value>(raw) else { return false };
    let code = ["/error/code", "/code"].iter().find_map(|at| body.pointer(at)?.as_str());
    code == Some(TOO_LONG_A_PROMPT)
        || said(&body).is_some_and(|said| {
            let said = said.to_lowercase();
            TOO_LONG_SAID.iter().any(|how| said.contains(how))
        })
}

/// What it says in one line, for clients that show nothing but a message.
fn reason(raw: &str) -> Option<String> {
    let body: Value = serde_json::from_str(raw).ok()?;
    let words = said(&body)?.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| clip(&line, MAX_REASON).to_owned())
}

/// The upstream's text without our key, should it repeat it.
fn scrubbed(raw: &str, key: Option<&Secret<String>>) -> String {
    let raw = clip(raw, MAX_RAW);
    match key {
        Some(key) if !key.expose().is_empty() => raw.replace(key.expose().as_str(), "[hidden]"),
        _ => raw.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn statuses_for_the_client_follow_whose_fault_it_is() {
        let told = |status: u16| Failure::status(status, "no", None, None).to_error("P").status();
        let pairs = [
            (400, 400),
            (413, 413),
            (422, 422),
            (429, 429),
            (401, 502),
            (403, 502),
            (404, 502),
            (500, 502),
            (503, 503),
            (529, 503),
        ];
        for (upstream, ours) in pairs {
            assert_eq!(told(upstream), ours, "{upstream}");
        }
        assert_eq!(Failure::new(Fault::Unreachable, "refused").to_error("P").status(), 502);
    }

    #[test]
    fn a_refused_key_stays_refused_and_whoever_was_away_may_come_back() {
        let attempt = |status: Option<u16>| Attempt {
            provider: "p".into(),
            model: "a/b".into(),
            status,
            error: String::new(),
            duration_ms: 1,
            own: false,
            api: String::new(),
        };
        let is_lasting = |status: u16, before: &[Option<u16>]| {
            let before: Vec<Attempt> = before.iter().copied().map(attempt).collect();
            Failure::status(status, "no", None, None).is_lasting(&before)
        };
        assert!(is_lasting(401, &[]) && is_lasting(403, &[Some(401), Some(402)]));
        assert!(!is_lasting(500, &[]) && !is_lasting(401, &[Some(500)]) && !is_lasting(401, &[None]));
    }

    #[test]
    fn an_answer_that_is_too_long_is_no_outage_and_not_asked_for_again() {
        let failure = Failure::new(Fault::TooLarge, "the provider's answer is too long");
        assert!(!failure.is_outage() && failure.is_about_the_request());
        let error = failure.to_error("P");
        assert_eq!((error.status(), error.is_final()), (502, true));
        assert!(!Failure::new(Fault::BadAnswer, "no JSON").to_error("P").is_final());
    }

    #[test]
    fn a_refusal_of_the_account_is_none_of_the_request() {
        let credits = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#;
        let google = r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}]"#;
        for raw in [credits, google] {
            let failure = Failure::status(400, raw, None, None);
            assert!(failure.is_about_the_account() && !failure.is_about_the_request(), "{failure:?}");
            assert_eq!((failure.to_error("P").status(), failure.raw.as_str()), (502, ""));
        }
        // What repeats a client's words is none.
        let echo = r#"{"error":{"message":"Invalid value: 'Your credit balance is too low'"}}"#;
        assert!(Failure::status(400, echo, None, None).is_about_the_request());
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_as_one() {
        let told = |status: u16, raw: &str| Failure::status(status, raw, None, None).to_error("P").kind().to_owned();
        for raw in [
            r#"{"error":{"message":"Too much.","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Prompt is too long: 9 tokens > 8 maximum"}}"#,
            r#"[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8)."}}]"#,
        ] {
            for status in [400, 413, 422] {
                assert_eq!(told(status, raw), "context_length_exceeded", "{status} {raw}");
            }
            assert_eq!(told(500, raw), "provider_unavailable");
        }
        let inner = json!({"code":"context_length_exceeded","type":"invalid_request_error","message":"Too much."});
        assert_eq!(Failure::from_error(&inner, None).to_error("P").kind(), "context_length_exceeded", "in a stream");
        for raw in ["", "bad", r#"{"error":{"message":"max_tokens is too large"}}"#] {
            assert_eq!(told(400, raw), "invalid_request", "{raw}");
        }
    }

    #[test]
    fn who_sees_the_message_alone_sees_why() {
        let told = |status: u16, raw: &str| Failure::status(status, raw, None, None).to_error("P").message().to_owned();
        for raw in [
            r#"{"error":{"message":"Too \n long.","type":"invalid_request_error"}}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Too long."}}"#,
            r#"[{"error":{"code":400,"message":"Too long."}}]"#,
            r#"{"object":"error","message":"Too long."}"#,
        ] {
            for status in [400, 413, 422, 429] {
                assert_eq!(told(status, raw), "Provider returned error: Too long.", "{status} {raw}");
            }
            // What is no fault of the request is not told by it.
            assert_eq!(told(500, raw), "Provider returned error");
        }
        for raw in ["", "<html>", "{}", r#"{"error":{"message":" "}}"#, r#"{"error":"no"}"#] {
            assert_eq!(told(400, raw), "Provider returned error", "{raw}");
        }
        let long = told(400, &json!({"message":"ä".repeat(2_000)}).to_string());
        assert!(long.len() <= "Provider returned error: ".len() + MAX_REASON, "{}", long.len());
        let key = Secret::new("sk-very-secret".to_owned());
        let echoed = Failure::status(400, r#"{"message":"bad sk-very-secret"}"#, None, Some(&key)).to_error("P");
        assert_eq!(echoed.message(), "Provider returned error: bad [hidden]");
    }

    #[test]
    fn our_key_is_never_passed_on() {
        let key = Secret::new("sk-very-secret".to_owned());
        let echoed = Failure::status(400, "bad key sk-very-secret", None, Some(&key));
        assert_eq!(echoed.raw, "bad key [hidden]");
        assert_eq!(Failure::status(401, "sk-other", None, Some(&key)).raw, "");
    }

    #[test]
    fn an_error_object_tells_its_status() {
        let fault = |error: Value| Failure::from_error(&error, None).fault;
        assert_eq!(fault(json!({"code":429})), Fault::Status(429));
        assert_eq!(fault(json!({"code":"500"})), Fault::Status(500));
        assert_eq!(fault(json!({"type":"overloaded_error"})), Fault::Status(529));
        assert_eq!(fault(json!({"code":"model_error","message":"x"})), Fault::Status(502));
    }
}
