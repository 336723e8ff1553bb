//! The part of the Checkouts API that is modelled.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::business::{Business, MAX_CHECKOUTS};
use super::checkout::{NewCheckout, Status};
use super::token;
use crate::base::{Digest, Usd};
use crate::stand_ins::booth::{Booth, Reply, Seen};

const PAGE: usize = 20;
const MAX_PAGE: usize = 100;
const MAX_TEXT: usize = 500;

fn refused(status: u16, kind: &str, message: impl Into<String>) -> Reply {
    let message: String = message.into();
    Reply { status, body: json!({ "errorType": kind, "errorMessage": message, "correlationId": "stand-in" }) }
}

fn invalid(message: impl Into<String>) -> Reply {
    refused(400, "invalid_request", message)
}

fn missing() -> Reply {
    refused(404, "not_found", "There is no such checkout.")
}

/// What a request is, apart from its body.
struct Asked {
    method: String,
    steps: Vec<String>,
    query: String,
    /// What its token has to be for.
    uri: String,
    token: String,
    key: Option<String>,
}

/// Everything under `/api/v1/checkouts`.
pub async fn answer(booth: web::Data<Booth<Business>>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let head = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let path = request.path().to_owned();
    let steps = path.trim_start_matches("/api/v1/checkouts").split('/').filter(|step| !step.is_empty());
    let asked = Asked {
        method: request.method().to_string(),
        steps: steps.map(str::to_owned).collect(),
        query: request.query_string().to_owned(),
        uri: format!("{} {}{path}", request.method(), head("host").unwrap_or_default()),
        token: head("authorization")
            .and_then(|sent| sent.strip_prefix("Bearer ").map(str::to_owned))
            .unwrap_or_default(),
        key: head("x-idempotency-key"),
    };
    let seen = Seen {
        method: asked.method.clone(),
        path: request.uri().to_string(),
        idempotency_key: asked.key.clone(),
        status: 0,
    };
    booth.answer(seen, move |business, now_ms| perform(business, &asked, &body, now_ms)).await
}

fn perform(business: &mut Business, asked: &Asked, body: &[u8], now_ms: i64) -> Reply {
    let problem = token::problem(&asked.token, &business.key_id, &business.public_key, &asked.uri, now_ms / 1000);
    if let Some(problem) = problem {
        return refused(401, "unauthorized", format!("The token is refused: {problem}."));
    }
    let Some(key) = asked.key.as_deref().filter(|_| asked.method == "POST") else {
        return dispatch(business, asked, body, now_ms);
    };
    let looks = uuid::Uuid::try_parse(key).is_ok_and(|id| id.get_version_num() == 4 && key.len() == 36);
    if !looks {
        return invalid("X-Idempotency-Key must be a UUID of version 4.");
    }
    let digest = Digest::of([asked.uri.as_bytes(), body].concat()).to_hex();
    match business.answered(key, &digest) {
        Some(Ok(first)) => first,
        Some(Err(())) => refused(422, "idempotency_error", "This key was used with another request."),
        None => {
            let reply = dispatch(business, asked, body, now_ms);
            if reply.status < 400 {
                business.keep_answer(key, digest, &reply);
            }
            reply
        }
    }
}

fn dispatch(business: &mut Business, asked: &Asked, body: &[u8], now_ms: i64) -> Reply {
    let steps: Vec<&str> = asked.steps.iter().map(String::as_str).collect();
    match (asked.method.as_str(), steps.as_slice()) {
        ("POST", []) => make(business, body, now_ms),
        ("GET", []) => list(business, &asked.query),
        ("GET", [id]) => told(business, id, 200),
        ("POST", [id, "deactivate"]) => {
            if !business.get(id).is_some_and(|checkout| checkout.status == Status::Active) {
                return invalid("Only an active checkout can be deactivated.");
            }
            business.deactivate(id, now_ms);
            told(business, id, 200)
        }
        ("POST", [id, "refund"]) => refund(business, id, body, now_ms),
        _ => refused(404, "not_found", "This stand-in does not model this address."),
    }
}

fn told(business: &Business, id: &str, status: u16) -> Reply {
    business.object(id).map_or_else(missing, |body| Reply { status, body })
}

/// An amount with at most two digits behind the point.
fn amount(text: &str) -> Option<Usd> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    Usd::parse(text).ok().filter(|amount| plain && amount.is_positive() && amount.whole_cents().is_some())
}

fn make(business: &mut Business, body: &[u8], now_ms: i64) -> Reply {
    let new: NewCheckout = match serde_json::from_slice(body) {
        Ok(new) => new,
        Err(error) => return invalid(format!("This stand-in cannot read the checkout: {error}.")),
    };
    let Some(asked) = amount(&new.amount) else {
        return invalid("amount must be between 0.01 and 100000000, with at most 2 decimal places.");
    };
    if new.currency != "USDC" || new.network.as_deref().is_some_and(|network| network != "base") {
        return invalid("Only USDC on base is supported.");
    }
    if new.expires_at.is_some_and(|at| at.timestamp_millis() <= now_ms) {
        return invalid("expiresAt must be in the future.");
    }
    if new.description.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
        return invalid("description has at most 500 characters.");
    }
    // The company takes https only. A browser on this machine would not come back then, so this stand-in takes more.
    let urls = [&new.success_redirect_url, &new.fail_redirect_url];
    if urls.into_iter().flatten().any(|url| !url.starts_with("https://") && !url.starts_with("http://127.0.0.1")) {
        return invalid("Redirect URLs must use https.");
    }
    if business.checkouts().len() >= MAX_CHECKOUTS {
        return refused(503, "full", "This stand-in is full. Stop it, delete its state file, and start it again.");
    }
    let id = business.make(new, asked, now_ms);
    told(business, &id, 201)
}

/// The newest first. A token names the last one of its page.
fn list(business: &Business, query: &str) -> Reply {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    if let Some((name, _)) =
        pairs.iter().find(|(name, _)| !["pageSize", "pageToken", "status"].contains(&name.as_str()))
    {
        return invalid(format!("This stand-in does not model {name}."));
    }
    let value = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let size = value("pageSize").map_or(Some(PAGE), |text| text.parse().ok());
    let Some(size) = size.filter(|size| (1..=MAX_PAGE).contains(size)) else {
        return invalid("pageSize must be between 1 and 100.");
    };
    let wanted = |one: &&super::checkout::Checkout| {
        let status = serde_json::to_value(one.status).unwrap_or_default();
        value("status").is_none_or(|wanted| status == wanted)
    };
    let all = business.checkouts().iter().rev().filter(wanted);
    let after: Vec<_> = match value("pageToken") {
        Some(token) => all.skip_while(|one| one.id != token).skip(1).collect(),
        None => all.collect(),
    };
    let page: Vec<Value> = after.iter().take(size).map(|one| one.object(&business.base)).collect();
    let mut body = json!({ "checkouts": page });
    if let Some(last) = after.get(size - 1).filter(|_| after.len() > size) {
        body["nextPageToken"] = json!(last.id);
    }
    Reply { status: 200, body }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    amount: String,
    currency: Option<String>,
    reason: Option<String>,
}

fn refund(business: &mut Business, id: &str, body: &[u8], now_ms: i64) -> Reply {
    let Ok(NewRefund { amount: text, currency, reason }) = serde_json::from_slice(body) else {
        return invalid("This stand-in cannot read the refund.");
    };
    if business.get(id).is_none() {
        return missing();
    }
    if currency.is_some_and(|currency| currency != "USDC") || reason.as_ref().is_some_and(|text| text.len() > MAX_TEXT)
    {
        return invalid("Only USDC, with a reason of at most 500 characters.");
    }
    match amount(&text).and_then(|amount| business.refund(id, amount, reason, now_ms)) {
        Some(refund) => {
            let body = json!({ "checkout": business.object(id), "refund": refund.object(id) });
            Reply { status: 200, body }
        }
        None => invalid("Only a completed checkout can be refunded, and at most by what is left of it."),
    }
}
