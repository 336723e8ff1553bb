//! Trying a key: the smallest real call, to the host that it is pinned to.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde_json::json;
use tokio::time::timeout;
use url::Url;

use crate::base::Secret;
use crate::catalog::{Offer, ProviderKind};
use crate::outgoing::HttpClient;
use crate::routing::origin_of;

/// Somebody waits for it on a page.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// How a test went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tried {
    Works,
    /// In words for whoever pressed the button; never the provider's own, which might repeat the key.
    Failed(String),
}

/// Asks for one token of an answer with this key. It costs a fraction of a cent on the account that the key belongs to, and
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
    let body = json!({
        "model": offer.endpoint.upstream_model,
        "max_tokens": 1,
        "messages": [{ "role": "user", "content": "Hi" }],
    });
    let request = request.header(name, value).header("anthropic-version", "2023-06-01").json(&body);
    match timeout(MAX_WAIT, request.send()).await {
        Err(_) => failed("The provider did not answer in time. Try again later."),
        Ok(Err(_)) => failed("The provider could not be reached. Try again later."),
        // Of the body nothing is needed, and nothing of it is shown.
        Ok(Ok(response)) => judged(response.status()),
    }
}

fn judged(status: StatusCode) -> Tried {
    match status.as_u16() {
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
