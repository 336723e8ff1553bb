//! The HTTP side of the API: who asks, keys, faults, and the answer.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

use super::books::Cause;
use super::dispatch::dispatch;
use super::error::Refusal;
use super::form::Form;
use super::idempotency::{Answer, Turn};
use super::objects::{API_RELEASE, API_VERSION, random_letters};
use super::stand_in::{Seen, Shared};
use super::switches::{Fault, Switches};

/// The longest wait that a switch can ask for.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// Everything under `/v1`.
pub async fn answer(
    shared: web::Data<Shared>,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let id = format!("req_{}", random_letters(14));
    let key = head(&request, "idempotency-key").filter(|_| request.method() == "POST");
    let cause = Cause { request: Some(id.clone()), idempotency_key: key.clone() };
    let (answer, replayed) = match authorized(&shared, &request) {
        Ok(()) => perform(&shared, &request, &path, &body, cause).await,
        Err(refusal) => (Err(refusal).into(), false),
    };
    shared.saw(Seen {
        method: request.method().to_string(),
        path: request.uri().to_string(),
        idempotency_key: key.clone(),
        version: head(&request, "stripe-version"),
        status: answer.status,
    });
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header(("Request-Id", id)).insert_header(("Stripe-Version", API_VERSION));
    if let Some(key) = key {
        response.insert_header(("Idempotency-Key", key));
    }
    if replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    response.insert_header((header::CONTENT_TYPE, "application/json")).body(answer.body.to_string())
}

/// The answer, and whether it is an earlier one.
async fn perform(shared: &Shared, request: &HttpRequest, path: &str, body: &[u8], cause: Cause) -> (Answer, bool) {
    let method = request.method().as_str();
    let text = if body.is_empty() { request.query_string().as_bytes() } else { body };
    let form = match Form::decode(text) {
        Ok(form) => form,
        Err(refusal) => return (Err(refusal).into(), false),
    };
    let whole = format!("/v1/{path}");
    let mut fingerprint = format!("{method} {whole}\n").into_bytes();
    fingerprint.extend_from_slice(text);
    let key = cause.idempotency_key.clone();
    if let Some(key) = &key {
        let now_ms = shared.now_ms();
        match shared.work(Cause::default(), |work| work.books.answers.take(key, &fingerprint, now_ms)) {
            Ok(Turn::Work) => {}
            Ok(Turn::Replay(answer)) => return (answer, true),
            Err(refusal) => return (Err(refusal).into(), false),
        }
    }
    let (fault, wait) = shared.work(Cause::default(), |work| {
        let concerned = work.books.switches.concern(method, &whole);
        let delay = if concerned { work.books.switches.delay_ms } else { 0 };
        (work.books.switches.fault(method, &whole), delay)
    });
    pause(wait).await;
    if let Some(refusal) = before_work(fault) {
        if let Some(key) = &key {
            shared.work(Cause::default(), |work| work.books.answers.release(key));
        }
        return (Err(refusal).into(), false);
    }
    let answer = shared.work(cause, |work| {
        let answer: Answer = dispatch(work, method, path, &form).into();
        if let Some(key) = &key {
            work.books.answers.keep(key, &answer);
            work.books.changed = true;
        }
        answer
    });
    (after_work(shared, fault, answer).await, false)
}

fn before_work(fault: Fault) -> Option<Refusal> {
    match fault {
        Fault::RateLimit => Some(
            Refusal::new(429, "invalid_request_error", "Too many requests. Wait and try again.").code("rate_limit"),
        ),
        Fault::FailBeforeWork => Some(broken()),
        _ => None,
    }
}

/// The work is done and remembered under its key; the answer may still be lost.
async fn after_work(shared: &Shared, fault: Fault, answer: Answer) -> Answer {
    match fault {
        Fault::FailAfterWork => Err(broken()).into(),
        Fault::Late => {
            pause(shared.switches().late_by_ms).await;
            answer
        }
        _ => answer,
    }
}

fn broken() -> Refusal {
    Refusal::new(500, "api_error", "Something went wrong here. Try again with the same Idempotency-Key.")
}

async fn pause(milliseconds: u64) {
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(milliseconds).min(MAX_WAIT)).await;
    }
}

fn head(request: &HttpRequest, name: &str) -> Option<String> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The key, as a bearer token or as the user of basic authentication.
fn authorized(shared: &Shared, request: &HttpRequest) -> Result<(), Refusal> {
    let sent = head(request, "authorization").unwrap_or_default();
    let key = match sent.split_once(' ') {
        Some(("Bearer", key)) => Some(key.to_owned()),
        Some(("Basic", coded)) => basic(coded),
        _ => None,
    };
    if let Some(version) = head(request, "stripe-version").filter(|version| !version.ends_with(API_RELEASE)) {
        let message =
            format!("This stand-in speaks {API_VERSION}, not {version}. Send that in Stripe-Version, or nothing.");
        return Err(Refusal::invalid(message));
    }
    let right = key.is_some_and(|key| bool::from(key.as_bytes().ct_eq(shared.key.expose().as_bytes())));
    if right {
        return Ok(());
    }
    let message = "Send the secret key of this stand-in: Authorization: Bearer sk_test_...";
    Err(Refusal::new(401, "invalid_request_error", message))
}

fn basic(coded: &str) -> Option<String> {
    let text = String::from_utf8(BASE64_STANDARD.decode(coded).ok()?).ok()?;
    Some(text.split(':').next().unwrap_or_default().to_owned())
}

/// `GET /_control/switches`
pub async fn switches(shared: web::Data<Shared>) -> web::Json<Switches> {
    web::Json(shared.switches())
}

/// `POST /_control/switches`, as JSON; what is not named is as on a good day.
pub async fn set_switches(shared: web::Data<Shared>, body: web::Json<Switches>) -> web::Json<Switches> {
    shared.switch(body.into_inner());
    web::Json(shared.switches())
}
