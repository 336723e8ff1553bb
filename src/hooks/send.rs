//! One try: what is asked of an address, and what it answers.

use std::time::{Duration, Instant};

use crate::outgoing::{ForbiddenAddress, HttpClient};

/// From the first byte sent to the head of the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// The head decides; the beginning of the body is only shown.
const BODY_WITHIN: Duration = Duration::from_secs(2);
/// Of an answer no more is read.
const MAX_READ: usize = 2_048;
/// And no more is kept, in characters.
const MAX_EXCERPT: usize = 500;
const USER_AGENT: &str = concat!("Farebox-Webhooks/", env!("CARGO_PKG_VERSION"));

/// The way out for messages: a client of its own, because what an operator lets models reach in their own network,
/// organizations must not.
#[derive(Clone, Debug)]
pub struct Courier(HttpClient);

/// A message, ready to be sent.
pub(super) struct Message<'a> {
    pub url: &'a str,
    pub id: &'a str,
    pub timestamp: i64,
    pub signatures: String,
    pub body: String,
}

/// What became of a try.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Outcome {
    /// `None` where nothing was answered.
    pub status: Option<u16>,
    /// Empty where it was taken.
    pub error: String,
    pub excerpt: String,
    pub milliseconds: i32,
}

impl Outcome {
    pub fn is_taken(&self) -> bool {
        self.error.is_empty()
    }

    /// The address says that it wants nothing more.
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }

    pub fn failed(error: impl Into<String>) -> Outcome {
        Outcome { error: error.into(), ..Outcome::default() }
    }
}

impl Courier {
    #[must_use]
    pub fn new(client: HttpClient) -> Courier {
        Courier(client)
    }

    /// Whether an address may be called, as far as it shows without looking its name up.
    ///
    /// # Errors
    /// Why not.
    pub fn may_call(&self, url: &url::Url) -> Result<(), ForbiddenAddress> {
        self.0.post(url.clone()).map(|_| ())
    }

    pub(super) async fn send(&self, message: Message<'_>) -> Outcome {
        let began = Instant::now();
        let mut outcome = self.ask(message).await;
        outcome.milliseconds = i32::try_from(began.elapsed().as_millis()).unwrap_or(i32::MAX);
        outcome
    }

    async fn ask(&self, message: Message<'_>) -> Outcome {
        let Ok(url) = url::Url::parse(message.url) else { return Outcome::failed("The address is damaged.") };
        let request = match self.0.post(url) {
            Ok(request) => request,
            Err(error) => return Outcome::failed(forbidden(error)),
        };
        let request = request
            .header("content-type", "application/json")
            .header("user-agent", USER_AGENT)
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp.to_string())
            .header("webhook-signature", message.signatures)
            .body(message.body);
        let answer = match tokio::time::timeout(ANSWER_WITHIN, request.send()).await {
            Err(_) => return Outcome::failed("Nothing was answered within 15 seconds."),
            Ok(Err(error)) => return Outcome::failed(unreached(&error)),
            Ok(Ok(answer)) => answer,
        };
        let status = answer.status();
        let error = if status.is_success() {
            String::new()
        } else if status.is_redirection() {
            "It answers with another address, which is not followed.".to_owned()
        } else if status.as_u16() == 410 {
            "It answers that it is gone for good.".to_owned()
        } else {
            format!("It answers {}, not 2xx.", status.as_u16())
        };
        Outcome { status: Some(status.as_u16()), error, excerpt: beginning(answer).await, milliseconds: 0 }
    }
}

/// What of the body comes within two seconds, at most two kilobytes. Dropping the rest closes the connection.
async fn beginning(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() < MAX_READ {
            let Ok(Some(more)) = answer.chunk().await else { break };
            bytes.extend(more.iter().take(MAX_READ - bytes.len()));
        }
    };
    let _ = tokio::time::timeout(BODY_WITHIN, read).await;
    excerpt(&bytes)
}

/// Text that can be stored and shown, whatever came.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = plain.take(MAX_EXCERPT).collect();
    short.trim().to_owned()
}

fn forbidden(error: ForbiddenAddress) -> &'static str {
    match error {
        ForbiddenAddress::Scheme => "Only https addresses are called.",
        ForbiddenAddress::NotPublic => "The address is not public, so it is not called.",
        ForbiddenAddress::Malformed => "The address has a user name or no host.",
    }
}

/// What can be said without repeating addresses of a network.
fn unreached(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = cause {
        if let Some(error) = one.downcast_ref::<ForbiddenAddress>() {
            return forbidden(*error);
        }
        cause = one.source();
    }
    if error.is_timeout() {
        "It could not be connected to in time."
    } else if error.is_connect() {
        "It could not be connected to: the name, the port or its certificate is wrong, or it is down."
    } else {
        "The connection broke before an answer came."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_plain_text() {
        assert_eq!(excerpt(b"  ok\n\0then "), "ok  then");
        assert_eq!(excerpt(&[0xff, 0xfe]), "\u{fffd}\u{fffd}");
        assert_eq!(excerpt("é".repeat(2_000).as_bytes()).chars().count(), MAX_EXCERPT);
    }
}
