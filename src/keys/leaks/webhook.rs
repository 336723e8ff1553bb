//! Where secret scanning delivers what it found.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use metrics::counter;
use serde::{Deserialize, Serialize};

use super::revoke::{Found, revoke};
use super::scanner::{Scanner, ScannerError};
use crate::accounts::Links;
use crate::base::secret::Digest;
use crate::web::App;

/// A thousand matches have less.
pub const MAX_BODY: usize = 1024 * 1024;
/// Keys in one message. GitHub sends what is left in further ones.
const MAX_MATCHES: usize = 1_000;
const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

#[derive(Deserialize)]
struct Match {
    token: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    url: Option<String>,
}

/// What became of a match, as the partner programme reads it.
#[derive(Serialize)]
struct Verdict {
    /// SHA-256 in hex: the secret itself is not repeated.
    token_hash: String,
    token_type: String,
    label: &'static str,
}

/// `POST /webhooks/leaks/github`
///
/// Answers 200 with a verdict for each match; 400 for what is not believed or cannot be read, and says no more; 404 while
/// the operator has not switched it on; 503 when it could not be done, so that it is delivered again.
pub async fn receive(
    app: web::Data<App>,
    scanner: web::Data<Scanner>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match scanner.verify(header(IDENTIFIER), header(SIGNATURE), &body).await {
        Ok(()) => {}
        Err(ScannerError::Off) => return answer(StatusCode::NOT_FOUND, "not here\n"),
        Err(error @ ScannerError::Keys(_)) => {
            tracing::error!(%error, "a message of secret scanning could not be checked");
            return answer(StatusCode::SERVICE_UNAVAILABLE, "try again\n");
        }
        Err(error @ ScannerError::Signature) => {
            counter!("farebox_webhooks_refused_total", "processor" => "github").increment(1);
            tracing::warn!(%error, "a message of secret scanning was refused");
            return answer(StatusCode::BAD_REQUEST, "refused\n");
        }
    }
    let Ok(matches) = serde_json::from_slice::<Vec<Match>>(&body) else {
        return answer(StatusCode::BAD_REQUEST, "not a list of matches\n");
    };
    if matches.len() > MAX_MATCHES {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, "too many matches at once\n");
    }
    let mut verdicts = Vec::with_capacity(matches.len());
    for found in matches {
        match judge(&app, &found).await {
            Ok(verdict) => verdicts.push(verdict),
            Err(error) => {
                // What was done stays done; the message comes again and finds it so.
                tracing::error!(%error, "a published key was not revoked");
                return answer(StatusCode::SERVICE_UNAVAILABLE, "try again\n");
            }
        }
    }
    HttpResponse::Ok().json(verdicts)
}

async fn judge(app: &App, found: &Match) -> anyhow::Result<Verdict> {
    let mut tx = app.db.begin().await?;
    let place = found.url.as_deref().unwrap_or_default();
    let label = revoke(&mut tx, &Links::of(app), Found { token: &found.token, url: place }).await?;
    tx.commit().await?;
    Ok(Verdict { token_hash: Digest::of(&found.token).to_hex(), token_type: found.kind.clone(), label: label.as_str() })
}

fn answer(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text)
}
