//! Providers of models: each whose key is stored is asked for its list of models, which costs nothing.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::header::HeaderValue;
use url::Url;

use super::{Finding, Patient, database, unasked};
use crate::base::Secret;
use crate::catalog::{self, Provider, ProviderKind};
use crate::outgoing::HttpClient;

const LIMIT: Duration = Duration::from_secs(15);
/// Providers that are asked; more belong to no one instance.
const MAX_ASKED: usize = 100;

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    const CHECK: &str = "catalog";
    let pool = match database::or_none(patient, CHECK) {
        Ok(pool) => pool,
        Err(findings) => return findings,
    };
    let read = async {
        let mut conn = pool.acquire().await?;
        let catalog = catalog::load(&mut conn).await?;
        Ok::<_, sqlx::Error>((catalog, catalog::upstream_keys(&mut conn, &patient.sealer).await?))
    };
    let (catalog, keys) = match read.await {
        Ok(read) => read,
        Err(error) => return vec![unasked(CHECK, &error)],
    };
    let catalog = if patient.production { catalog.without_sandbox() } else { catalog };
    let open = catalog.open_models().count();
    let found = format!("{open} of {} models can be called", catalog.models().len());
    let mut findings = vec![if open == 0 {
        Finding::warning(CHECK, found, "store the key of a provider: farebox providers set-key NAME")
    } else {
        Finding::ok(CHECK, found)
    }];
    if let Some(name) = &patient.config.default_model
        && !catalog.model(name).is_some_and(|listed| listed.is_open())
    {
        let found = format!("{name} cannot be called");
        findings.push(Finding::fault(
            "FAREBOX_DEFAULT_MODEL",
            found,
            "name a model that the page Models shows, or leave it out",
        ));
    }
    let asked =
        catalog.providers().iter().filter(|listed| listed.is_open() && listed.provider.kind != ProviderKind::Sandbox);
    let asks = asked.take(MAX_ASKED).map(|listed| ask(&patient.http, &listed.provider, &keys, patient.has_secret_key));
    findings.extend(futures_util::future::join_all(asks).await);
    findings
}

async fn ask(
    http: &HttpClient,
    provider: &Provider,
    keys: &HashMap<String, Secret<String>>,
    has_secret_key: bool,
) -> Finding {
    let slug = provider.slug.as_str();
    let check = slug.to_owned();
    let address = "check base_url in the catalog; private networks need FAREBOX_ALLOW_PRIVATE_UPSTREAMS=true";
    let base = provider.base_url.as_deref().unwrap_or_default();
    let Ok(url) = Url::parse(&format!("{base}/models")) else {
        return Finding::fault(check, "has no valid address", address);
    };
    let mut request = match http.get(url) {
        Ok(request) => request,
        Err(error) => return Finding::fault(check, format!("may not be called: {error}"), address),
    };
    if let Some(key) = keys.get(slug) {
        let (name, text) = match provider.kind {
            ProviderKind::Anthropic => ("x-api-key", key.expose().clone()),
            ProviderKind::OpenAi | ProviderKind::Sandbox => ("authorization", format!("Bearer {}", key.expose())),
        };
        let Ok(mut value) = HeaderValue::from_str(&text) else {
            return Finding::fault(
                check,
                "its key has characters that no header may have",
                format!("farebox providers set-key {slug}"),
            );
        };
        value.set_sensitive(true);
        request = request.header(name, value);
    } else if provider.key_env.is_some() && !has_secret_key {
        return Finding::warning(check, "could not be asked without the secret key", "set FAREBOX_SECRET_KEY");
    } else if provider.key_env.is_some() {
        // It has a row, or it would not be open, and that row cannot be opened.
        return Finding::fault(check, "its key cannot be opened", format!("farebox providers set-key {slug}"));
    }
    if provider.kind == ProviderKind::Anthropic {
        request = request.header("anthropic-version", "2023-06-01");
    }
    match tokio::time::timeout(LIMIT, request.send()).await {
        Err(_) => Finding::fault(check, "does not answer", "look at its status page, and at the network"),
        Ok(Err(error)) => Finding::fault(check, format!("cannot be reached: {}", said(&error)), address),
        // The body is not needed, and nothing of it is shown.
        Ok(Ok(answer)) => judged(slug, answer.status().as_u16()),
    }
}

/// Why, without the address.
fn said(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection, or its certificate is not good"
    } else {
        "the connection broke"
    }
}

fn judged(slug: &str, status: u16) -> Finding {
    match status {
        200..=299 => Finding::ok(slug, "answers, and takes the key"),
        401 | 403 => {
            Finding::fault(slug, format!("refuses the key ({status})"), format!("farebox providers set-key {slug}"))
        }
        402 => Finding::fault(slug, "says that the account has no money left (402)", "top the account up there"),
        429 => Finding::warning(
            slug,
            "takes the key, and says that the account is at its limit (429)",
            "ask there for a higher one",
        ),
        404 | 405 => {
            Finding::ok(slug, format!("answers; it has no list of models ({status}), so the key was not tried"))
        }
        500..=599 => Finding::warning(slug, format!("answers {status}"), "look at its status page"),
        status => Finding::warning(
            slug,
            format!("answers {status} to a question for its models"),
            "check base_url in the catalog",
        ),
    }
}
