//! Asking for the second factor: when signing in, and before something dangerous.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::super::oidc::{self, Providers};
use super::super::pages::{NextQuery, field, signed_in, with_next};
use super::super::passkeys::{self, Asked, Purpose};
use super::super::sign_in::{SecondAnswer, SignInError};
use super::super::step_up as again;
use super::super::{Factors, Hasher, SessionSecret, SignedIn, finish_second, half_signed_in};
use super::has_app;
use crate::accounts::Links;
use crate::web::error::local_path;
use crate::web::views::accounts as views;
use crate::web::views::common::Field;
use crate::web::{
    App, EmptyForm, PageError, Protected, client, cookies, flash, html, public_page, see_other, unprocessable,
};

/// What a script passes on to the browser's own dialog.
pub fn asked(asked: &Asked) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "challenge": asked.token.expose(), "options": asked.options }))
}

/// What a passkey answered.
#[derive(Deserialize)]
pub struct PasskeyForm {
    pub challenge: String,
    pub credential: String,
    #[serde(default)]
    pub next: String,
}

fn half(app: &App, request: &HttpRequest) -> Option<SessionSecret> {
    cookies::read(request, cookies::half_name(app)).as_deref().and_then(SessionSecret::parse)
}

/// The first factor was too long ago.
fn start_again(app: &App, next: &str) -> HttpResponse {
    let mut response = see_other(&with_next("/sign-in", local_path(next)));
    flash::set(&mut response, app, false, "Signing in took longer than five minutes. Start again.");
    response.add_cookie(&cookies::gone(app, cookies::half_name(app))).ok();
    response
}

#[derive(Deserialize)]
pub struct SecondQuery {
    #[serde(default)]
    next: String,
    #[serde(default)]
    with: String,
}

async fn second_view(
    app: &App,
    request: &HttpRequest,
    recovery: bool,
    next: &str,
    (code_error, passkey_error): (&str, &str),
) -> Result<Option<views::Second>, PageError> {
    let Some(half) = half(app, request) else { return Ok(None) };
    let mut conn = app.db.acquire().await?;
    let Some(person) = half_signed_in(&mut conn, &half).await? else { return Ok(None) };
    let app_codes = has_app(&mut conn, person.id).await?;
    let other = with_next("/sign-in/second", local_path(next));
    let other = match (recovery, other.contains('?')) {
        (true, _) => other,
        (false, true) => format!("{other}&with=recovery"),
        (false, false) => format!("{other}?with=recovery"),
    };
    Ok(Some(views::Second {
        page: public_page(app, request, "Confirm that it is you"),
        email: person.email.clone(),
        code: field("", code_error),
        next: local_path(next).to_owned(),
        recovery: recovery || !app_codes,
        other_href: if app_codes { other } else { String::new() },
        passkey: passkeys::has_any(&mut conn, person.id).await?,
        passkey_error: passkey_error.to_owned(),
    }))
}

/// `GET /sign-in/second`
///
/// # Errors
/// Database errors only; without a first factor it leads back to the start.
pub async fn second_form(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<SecondQuery>,
) -> Result<HttpResponse, PageError> {
    match second_view(&app, &request, query.with == "recovery", &query.next, ("", "")).await? {
        Some(view) => html(&view),
        None => Ok(start_again(&app, &query.next)),
    }
}

#[derive(Deserialize)]
pub struct SecondForm {
    code: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    with: String,
}

/// `POST /sign-in/second`
///
/// # Errors
/// `TooMany` when guessing is suspected; a wrong code is told on the page.
pub async fn second(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    request: HttpRequest,
    Protected(form): Protected<SecondForm>,
) -> Result<HttpResponse, PageError> {
    let Some(half) = half(&app, &request) else { return Ok(start_again(&app, &form.next)) };
    let (mut conn, origin) = (app.db.acquire().await?, client::origin(&app, &request));
    let (links, now) = (Links::of(&app), app.clock.now());
    let answer = SecondAnswer::Code(&form.code);
    match finish_second(&mut conn, &factors, &links, &half, answer, now, &origin).await {
        Ok(secret) => Ok(signed_in(&app, &secret, &form.next)),
        Err(error @ SignInError::WrongCode) => {
            drop(conn);
            let recovery = form.with == "recovery";
            let told = if recovery { WRONG_RECOVERY_CODE.to_owned() } else { error.to_string() };
            match second_view(&app, &request, recovery, &form.next, (&told, "")).await? {
                Some(view) => unprocessable(&view),
                None => Ok(start_again(&app, &form.next)),
            }
        }
        Err(SignInError::TooLate) => Ok(start_again(&app, &form.next)),
        Err(error) => Err(error.into()),
    }
}

const WRONG_RECOVERY_CODE: &str = "This is none of your recovery codes, or it was used before. Each works once.";

/// `POST /sign-in/second/passkey/start`
///
/// # Errors
/// `Forbidden` without a first factor; `NotFound` without a passkey.
pub async fn second_passkey_start(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    request: HttpRequest,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let half = half(&app, &request).ok_or(SignInError::TooLate)?;
    let mut conn = app.db.acquire().await?;
    let person = half_signed_in(&mut conn, &half).await?.ok_or(SignInError::TooLate)?;
    Ok(asked(&passkeys::start_known(&mut conn, &factors, Purpose::Second, person.id).await?))
}

/// `POST /sign-in/second/passkey`
///
/// # Errors
/// Database errors; a passkey that did not fit is told on the page.
pub async fn second_passkey(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    request: HttpRequest,
    Protected(form): Protected<PasskeyForm>,
) -> Result<HttpResponse, PageError> {
    let Some(half) = half(&app, &request) else { return Ok(start_again(&app, &form.next)) };
    let (mut conn, origin) = (app.db.acquire().await?, client::origin(&app, &request));
    let (links, now) = (Links::of(&app), app.clock.now());
    let answer = SecondAnswer::Passkey { token: &form.challenge, answer: &form.credential };
    match finish_second(&mut conn, &factors, &links, &half, answer, now, &origin).await {
        Ok(secret) => Ok(signed_in(&app, &secret, &form.next)),
        Err(error @ (SignInError::WrongPasskey | SignInError::TooLate)) => {
            drop(conn);
            match second_view(&app, &request, false, &form.next, ("", &error.to_string())).await? {
                Some(view) => unprocessable(&view),
                None => Ok(start_again(&app, &form.next)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// How somebody can show who they are depends on what they sign in with.
async fn step_up_view(
    app: &App,
    providers: &Providers,
    request: &HttpRequest,
    person: &SignedIn,
    next: &str,
) -> Result<views::StepUp, PageError> {
    let (mut conn, id) = (app.db.acquire().await?, person.person().id);
    let asks = again::asks(&mut conn, id).await?;
    let half = asks.code && again::is_half_stepped(&mut conn, &person.session).await?;
    let identities = oidc::identities_of(&mut conn, id).await?;
    let linked = identities.iter().filter_map(|identity| providers.of_issuer(&identity.issuer));
    let (again, anew): (Vec<_>, Vec<_>) = linked.partition(|provider| provider.settings.asks_again());
    Ok(views::StepUp {
        page: public_page(app, request, "Confirm that it is you"),
        email: person.person().email.clone(),
        password: Field::default(),
        code: asks.code.then(Field::default),
        half,
        app: asks.app,
        next: local_path(next).to_owned(),
        has_password: asks.password,
        providers: oidc::pages::buttons(again.into_iter()),
        anew: oidc::pages::buttons(anew.into_iter()),
        passkey: asks.passkey,
        passkey_error: String::new(),
    })
}

/// `GET /step-up`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn step_up_form(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    person: SignedIn,
    request: HttpRequest,
    query: web::Query<NextQuery>,
) -> Result<HttpResponse, PageError> {
    html(&step_up_view(&app, &providers, &request, &person, &query.next).await?)
}

#[derive(Deserialize)]
pub struct StepUpForm {
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

/// `POST /step-up`
///
/// # Errors
/// `TooMany` when guessing is suspected; a wrong password or code is told on the page.
pub async fn step_up(
    app: web::Data<App>,
    checks: (web::Data<Hasher>, web::Data<Factors>, web::Data<Providers>),
    person: SignedIn,
    request: HttpRequest,
    Protected(form): Protected<StepUpForm>,
) -> Result<HttpResponse, PageError> {
    let origin = client::origin(&app, &request);
    let (given, now) = ((form.password.as_str(), form.code.as_str()), app.clock.now());
    let (hasher, factors, providers) = &checks;
    let session = &person.session;
    let mut conn = app.db.acquire().await?;
    let done = if form.password.is_empty() && again::is_half_stepped(&mut conn, session).await? {
        let done = again::step_up_second(&mut conn, factors, session, &form.code, now, &origin).await;
        drop(conn);
        done
    } else {
        drop(conn);
        again::step_up(&app.db, (hasher, factors), session, given, now, &origin).await
    };
    let error = match done {
        Ok(secret) => return Ok(signed_in(&app, &secret, &form.next)),
        Err(error @ (SignInError::WrongPassword | SignInError::WrongCode)) => error,
        Err(error) => return Err(error.into()),
    };
    let mut view = step_up_view(&app, providers, &request, &person, &form.next).await?;
    match error {
        SignInError::WrongCode => view.code = Some(field("", error)),
        _ => view.password = field("", "This is not your password."),
    }
    unprocessable(&view)
}

/// `POST /step-up/passkey/start`
///
/// # Errors
/// `NotFound` without a passkey.
pub async fn step_up_passkey_start(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    person: SignedIn,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    Ok(asked(&passkeys::start_known(&mut conn, &factors, Purpose::StepUp, person.person().id).await?))
}

/// `POST /step-up/passkey`
///
/// # Errors
/// Database errors; a passkey that did not fit is told on the page.
pub async fn step_up_passkey(
    app: web::Data<App>,
    (factors, providers): (web::Data<Factors>, web::Data<Providers>),
    person: SignedIn,
    request: HttpRequest,
    Protected(form): Protected<PasskeyForm>,
) -> Result<HttpResponse, PageError> {
    let (mut conn, origin) = (app.db.acquire().await?, client::origin(&app, &request));
    let answer = (form.challenge.as_str(), form.credential.as_str());
    let error = match again::step_up_with_passkey(&mut conn, &factors, &person.session, answer, &origin).await {
        Ok(secret) => return Ok(signed_in(&app, &secret, &form.next)),
        Err(error @ (SignInError::WrongPasskey | SignInError::TooLate)) => error,
        Err(error) => return Err(error.into()),
    };
    drop(conn);
    let mut view = step_up_view(&app, &providers, &request, &person, &form.next).await?;
    view.passkey_error = error.to_string();
    unprocessable(&view)
}
