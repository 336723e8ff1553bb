//! Asking a processor over HTTP: bounded in time and size, following nothing, obeying no environment.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::ProcessorError;
use crate::base::Usd;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Of one request. Making an invoice may ask a node and a source of rates.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The largest answer is a page of invoices or checkouts, each of a few kilobytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Of a processor's own words, so much is kept.
const MAX_SAID: usize = 300;

/// A client for one processor. The operator named its address, so it may stand in a private network.
#[derive(Clone, Debug)]
pub struct Remote {
    client: reqwest::Client,
    base: Url,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    body: Vec<u8>,
}

/// A part of an error that says why; processors write it in one of these ways.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    #[serde(rename_all = "camelCase")]
    Named {
        error_message: String,
    },
    Plain {
        message: String,
    },
    List(Vec<Message>),
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl Remote {
    /// # Errors
    /// When TLS cannot be set up.
    #[expect(
        clippy::disallowed_methods,
        reason = "a client with its own limits: no redirects, no proxies, short waits"
    )]
    pub fn new(base: &Url) -> anyhow::Result<Remote> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            // Asked from the threads of several runtimes.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Remote { client, base: base.clone() })
    }

    /// Below the base address. Each part is one step of the path, however it is spelled.
    #[must_use]
    pub fn address(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    #[must_use]
    pub fn base(&self) -> &Url {
        &self.base
    }

    pub fn request(&self, method: reqwest::Method, url: Url) -> reqwest::RequestBuilder {
        self.client.request(method, url).header("accept", "application/json")
    }

    /// # Errors
    /// `Unknown` when there is no answer in time, or too much of one. Any status is an answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, ProcessorError> {
        let unknown = |error: reqwest::Error| ProcessorError::Unknown(error.without_url().to_string());
        let mut answer = request.send().await.map_err(unknown)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unknown)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(ProcessorError::Unknown("the answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }
}

impl Answer {
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// # Errors
    /// What the status says where it is no success; `Unknown` where the body is not what it should be, for then nobody
    /// can tell what happened.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ProcessorError> {
        if !self.is_success() {
            return Err(self.failure());
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ProcessorError::Unknown(format!("the answer cannot be read: {error}")))
    }

    /// The same, and `None` for what the processor does not know.
    ///
    /// # Errors
    /// As [`Answer::read`].
    pub fn find<T: DeserializeOwned>(&self) -> Result<Option<T>, ProcessorError> {
        if self.status == 404 { Ok(None) } else { self.read().map(Some) }
    }

    /// What a status says of whether it happened.
    fn failure(&self) -> ProcessorError {
        let said = match serde_json::from_slice(&self.body) {
            Ok(Said::Named { error_message: said } | Said::Plain { message: said }) => said,
            Ok(Said::List(list)) => list.into_iter().map(|one| one.message).collect::<Vec<_>>().join(" "),
            Err(_) => String::new(),
        };
        let said: String = said.chars().filter(|letter| !letter.is_control()).take(MAX_SAID).collect();
        match self.status {
            // A conflict is another request with our key that is still running.
            408 | 409 | 425 | 429 | 500.. => ProcessorError::Unknown(format!("{}: {said}", self.status)),
            _ if said.is_empty() => ProcessorError::Refused(format!("status {}", self.status)),
            _ => ProcessorError::Refused(said),
        }
    }
}

/// Reads a decimal, written as text or as a number.
///
/// # Errors
/// When it is none.
pub fn decimal<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(serde_json::Number),
    }
    let text = match Written::deserialize(from)? {
        Written::Text(text) => text,
        Written::Number(number) => number.to_string(),
    };
    let parsed = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&text));
    parsed.map_err(|_| serde::de::Error::custom("is no decimal"))
}

/// The same where it may be missing.
///
/// # Errors
/// When it is there and no decimal.
pub fn maybe_decimal<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Decimal>, D::Error> {
    #[derive(Deserialize)]
    struct Some_(#[serde(deserialize_with = "decimal")] Decimal);
    Ok(Option::<Some_>::deserialize(from)?.map(|found| found.0))
}

/// An amount of dollars to the cent, as it is written in requests: `105.26`.
///
/// # Errors
/// `Refused` when it has parts of a cent.
pub fn cents(amount: Usd) -> Result<String, ProcessorError> {
    let whole = amount.whole_cents().ok_or_else(|| ProcessorError::Refused("parts of a cent".to_owned()))?;
    Ok(format!("{:.2}", Usd::from_cents(whole).amount()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> ProcessorError {
        Answer { status, body: body.as_bytes().to_vec() }.failure()
    }

    #[test]
    fn what_may_have_happened_is_unknown_and_what_did_not_is_refused() {
        for status in [408, 409, 429, 500, 503] {
            assert!(matches!(failure(status, ""), ProcessorError::Unknown(_)), "{status}");
        }
        for (body, said) in [
            (r#"{"code":"generic-error","message":"No rate"}"#, "No rate"),
            (r#"[{"path":"amount","message":"too small"},{"path":"","message":"no"}]"#, "too small no"),
            (r#"{"errorType":"invalid_request","errorMessage":"expiresAt","correlationId":"1"}"#, "expiresAt"),
            ("<html>", "status 422"),
        ] {
            assert!(matches!(failure(422, body), ProcessorError::Refused(text) if text == said), "{body}");
        }
    }

    #[test]
    fn a_path_is_made_of_its_steps_and_nothing_else() {
        let url: Url = "https://pay.example.com/shop/".parse().unwrap_or_else(|error| panic!("{error}"));
        let remote = Remote { client: crate_client(), base: url };
        let address = remote.address(&["api", "v1", "stores", "../x?y#z"]);
        assert_eq!(address.as_str(), "https://pay.example.com/shop/api/v1/stores/..%2Fx%3Fy%23z");
    }

    fn crate_client() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = "https://example.com/".parse().unwrap_or_else(|error| panic!("{error}"));
        Remote::new(&base).unwrap_or_else(|error| panic!("{error}")).client
    }

    #[test]
    fn amounts_are_written_with_two_digits() {
        assert_eq!(cents(Usd::from_hundredths(10_526)).ok().as_deref(), Some("105.26"));
        assert_eq!(cents(Usd::from_whole(20)).ok().as_deref(), Some("20.00"));
        assert!(cents(Usd::parse("0.001").unwrap_or_default()).is_err());
    }
}
