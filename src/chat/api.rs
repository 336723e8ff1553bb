//! What the chat room's script calls: messages, and what a call came to whose end it did not see.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::told::{self, Refusal};
use crate::activity;
use crate::base::ids::CallId;
use crate::gateway::{Answer, ClientFacts, Gateway, MAX_BODY, Protocol, respond};
use crate::keys::{AuthError, Caller, ChatTerms, chat_caller};
use crate::ledger;
use crate::orgs::{KeyUser, Member};
use crate::web::headers::request_id;
use crate::web::{App, PageError, csrf};

/// How the calls of the chat room are told apart in the log.
const APP: &str = "Farebox chat";
/// Carries the token that a form has as a field.
const TOKEN_HEADER: &str = "x-csrf-token";

/// `POST /chat/completions`: a chat completion for whoever is signed in, with the body that the API takes. Errors are JSON
/// with a sentence for a person.
///
/// # Errors
/// For what the script never sends: the pages that say so.
pub async fn complete(
    app: web::Data<App>,
    gateway: web::Data<Gateway>,
    terms: web::Data<ChatTerms>,
    request: HttpRequest,
    member: Result<KeyUser, PageError>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let by_script = is_json(request.headers());
    let member = match member {
        Ok(member) => member,
        Err(error) if by_script => return Ok(told::not_let_in(&error).respond()),
        Err(error) => return Err(error),
    };
    if !by_script {
        return Err(PageError::Invalid("This address is for the chat room.".into()));
    }
    let token = request.headers().get(TOKEN_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Err(error) = csrf::check(&app, &request, token) {
        return Ok(told::not_ours(&error).respond());
    }
    let body = match payload.to_bytes_limited(MAX_BODY).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Ok(told::unreadable().respond()),
        Err(_) => return Ok(told::too_large(MAX_BODY).respond()),
    };
    let caller = match caller(&app, &member, &terms).await {
        Ok(caller) => caller,
        Err(refusal) => return Ok(refusal.respond()),
    };
    let facts = ClientFacts { request_id: request_id(&request), app: APP.to_owned(), ..ClientFacts::default() };
    let (call, answer) = gateway.chat(&caller, facts, &body).await;
    match answer {
        Answer::Error(error) => Ok(told::refused(&error, &member, &terms).of_call(call).respond()),
        answer => Ok(respond(Protocol::Chat, "", call, answer)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

async fn caller(app: &App, member: &KeyUser, terms: &ChatTerms) -> Result<Caller, Refusal> {
    let away = |error: sqlx::Error| told::not_authentic(&AuthError::Unavailable(error), member);
    let mut tx = member.tenant(app).await.map_err(away)?;
    let caller = chat_caller(&mut tx, member.org_id(), member.person().id, terms).await;
    let caller = caller.map_err(|error| told::not_authentic(&error, member))?;
    tx.commit().await.map_err(away)?;
    Ok(caller)
}

/// `GET /chat/calls/{call}`: what a call came to, also where its answer was stopped or broke off, and what is left.
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn call(app: web::Data<App>, member: Member, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let id: CallId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(&app).await?;
    let Some(detail) = activity::detail(&mut conn, member.org_id(), id).await? else {
        let running = ledger::is_held(&mut conn, member.org_id(), id).await?;
        return if running { Ok(answer(&json!({ "running": true }))) } else { Err(PageError::NotFound) };
    };
    let own = member.calls_of();
    if own.is_some() && detail.member != own {
        return Err(PageError::NotFound);
    }
    let available = member.credit.available();
    Ok(answer(&json!({
        "cost": detail.cost.exact(),
        "status": detail.status,
        "model": detail.model,
        "provider": detail.provider,
        "prompt_tokens": detail.prompt_tokens,
        "completion_tokens": detail.completion_tokens,
        "available": available.display(),
        "available_exact": available.display_exact(),
    })))
}

fn answer(body: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body)
}
