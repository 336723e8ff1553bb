//! Trying a key: the smallest real call, to the host that it is pinned to.

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Response, StatusCode};
use serde_json::json;
use tokio::time::timeout;
use url::Url;

use crate::base::Secret;
use crate::catalog::{Offer, ProviderKind};
use crate::outgoing::HttpClient;
use crate::routing::origin_of;

/// Somebody waits for it on a page.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Tokens of the answer: fewer are refused by some models that think.
const CAP: u32 = 16;
/// Bytes of a refusal that are read.
const MAX_REFUSAL: usize = 16 * 1_024;

/// How a test went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tried {
    Works,
    /// The key, but not the model that was asked: in words, with its status.
    Accepted(String),
    /// In words for whoever pressed the button; never the provider's own, which might repeat the key.
    Failed(String),
}

/// Asks for a few tokens of an answer with this key. It costs a fraction of a cent on the account that the key belongs to, and
/// nothing here. Nothing is retried, and no transaction may be open.
pub async fn try_key(http: &HttpClient, offer: &Offer, origin: &str, key: &Secret<String>) -> Tried {
    let provider = &offer.provider.provider;
    let base = provider.base_url.as_deref().unwrap_or_default();
    if origin_of(base).as_deref() != Some(origin) {
        return failed("The address of this provider has changed since the key was stored. Paste the key again.");
    }
    let path = if provider.kind == ProviderKind::Anthropic { "messages" } else { "chat/completions" };
    let Ok(url) = Url::parse(&format!("{}/{path}", base.trim_end_matches('/'))) else {
        return failed("The provider has no valid address.");
    };
    let Ok(request) = http.post(url) else { return failed("The provider's address may not be called from here.") };
    let (name, value) = match provider.kind {
        ProviderKind::Anthropic => ("x-api-key", key.expose().clone()),
        ProviderKind::OpenAi | ProviderKind::Sandbox => ("authorization", format!("Bearer {}", key.expose())),
    };
    let Ok(mut value) = HeaderValue::from_str(&value) else {
        return failed("The key has characters that cannot be sent.");
    };
    value.set_sensitive(true);
    let mut body = json!({
        "model": offer.endpoint.upstream_model,
        "messages": [{ "role": "user", "content": "Hi" }],
    });
    body[cap_name(provider.slug.as_str())] = CAP.into();
    let request = request.header(name, value).header("anthropic-version", "2023-06-01").json(&body);
    let asked = async {
        let response = request.send().await?;
        let status = response.status();
        // Nothing of the body is shown, and only of what may be about the key is anything read.
        let said = if may_be_the_model(status) { start_of(response).await? } else { String::new() };
        Ok::<_, reqwest::Error>(judged(status, &said, offer.endpoint.model.as_str()))
    };
    match timeout(MAX_WAIT, asked).await {
        Err(_) => failed("The provider did not answer in time. Try again later."),
        Ok(Err(_)) => failed("The provider could not be reached. Try again later."),
        Ok(Ok(tried)) => tried,
    }
}

/// What a provider of OpenAI's kind calls the longest answer. The first knows only the new name for its newer models, many others
/// only the old one.
#[must_use]
pub fn cap_name(provider: &str) -> &'static str {
    if provider == "openai" { "max_completion_tokens" } else { "max_tokens" }
}

async fn start_of(mut response: Response) -> Result<String, reqwest::Error> {
    let mut start = Vec::new();
    while start.len() < MAX_REFUSAL {
        let Some(piece) = response.chunk().await? else { break };
        start.extend_from_slice(&piece);
    }
    start.truncate(MAX_REFUSAL);
    Ok(String::from_utf8_lossy(&start).to_ascii_lowercase())
}

/// Whether the key may have been good, and what was asked with it was not.
fn may_be_the_model(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 422)
}

/// `said` is what a refusal says, in small letters. All that we sent is the name of a model and a greeting, so what it says of
/// keys and credits is of this key's.
fn judged(status: StatusCode, said: &str, model: &str) -> Tried {
    match status.as_u16() {
        code if may_be_the_model(status) => {
            if said.contains("api key") || said.contains("api_key") {
                Tried::Failed(format!(
                    "The provider refused the key ({code}). Check that it was copied whole and may be used."
                ))
            } else if said.contains("credit balance") {
                Tried::Failed(format!("The provider says that the account has no money left ({code})."))
            } else {
                Tried::Accepted(format!(
                    "The provider accepted the key, but not the test with {model} ({code}). Other models may work."
                ))
            }
        }
        200..=299 => Tried::Works,
        401 | 403 => {
            failed("The provider refused the key (401 or 403). Check that it was copied whole and may be used.")
        }
        402 => failed("The provider says that the account has no money left (402)."),
        // The key was understood; the account is at its pace.
        429 => failed("The provider says that the account is at its limit (429)."),
        300..=399 => failed("The provider answered with another address, which is not followed."),
        status => Tried::Failed(format!("The provider answered {status}.")),
    }
}

fn failed(why: &str) -> Tried {
    Tried::Failed(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_where_only_the_model_was_refused() {
        let tried = |status: u16, said: &str| judged(StatusCode::from_u16(status).expect("a status"), said, "a/b");
        assert_eq!(tried(200, ""), Tried::Works);
        for status in [400, 404, 422] {
            let told = tried(status, "unsupported parameter: 'max_tokens' is not supported with this model");
            assert!(matches!(&told, Tried::Accepted(note) if note.contains("a/b")), "{told:?}");
            let google = tried(status, r#"[{"error":{"message":"api key not valid. please pass a valid api key."}}]"#);
            assert!(matches!(&google, Tried::Failed(why) if why.contains("refused the key")), "{google:?}");
        }
        let empty = tried(400, r#"{"error":{"message":"your credit balance is too low"}}"#);
        assert!(matches!(&empty, Tried::Failed(why) if why.contains("no money")), "{empty:?}");
        for status in [301, 401, 402, 403, 429, 500, 503] {
            assert!(matches!(tried(status, ""), Tried::Failed(_)), "{status}");
        }
        assert_eq!([cap_name("openai"), cap_name("google")], ["max_completion_tokens", "max_tokens"]);
    }
}
