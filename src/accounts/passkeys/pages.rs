//! Signing in with a passkey alone.

use actix_web::{HttpRequest, HttpResponse, web};

use super::super::oidc::Providers;
use super::super::pages::{finished, sign_in_view};
use super::super::sign_in::SignInError;
use super::super::two_factor::pages::{PasskeyForm, asked};
use super::super::{Factors, SignUpRules, sign_in_with_passkey};
use crate::accounts::Links;
use crate::web::views::accounts as views;
use crate::web::{App, EmptyForm, PageError, Protected, client, unprocessable};

/// `POST /sign-in/passkey/start`
///
/// # Errors
/// `NotFound` where there are no passkeys.
pub async fn start(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    request: HttpRequest,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    Ok(asked(&super::start_sign_in(&mut conn, &factors, &client::ip(&app, &request)).await?))
}

/// `POST /sign-in/passkey`
///
/// # Errors
/// `TooMany` when guessing is suspected; a passkey that did not fit is told on the page.
pub async fn sign_in(
    app: web::Data<App>,
    (providers, rules): (web::Data<Providers>, web::Data<SignUpRules>),
    factors: web::Data<Factors>,
    request: HttpRequest,
    Protected(form): Protected<PasskeyForm>,
) -> Result<HttpResponse, PageError> {
    let (mut conn, origin) = (app.db.acquire().await?, client::origin(&app, &request));
    let (token, answer) = (form.challenge.as_str(), form.credential.as_str());
    match sign_in_with_passkey(&mut conn, &factors, &Links::of(&app), token, answer, &origin).await {
        Ok(done) => Ok(finished(&app, &done, &form.next)),
        Err(error @ (SignInError::WrongPasskey | SignInError::TooLate)) => unprocessable(&views::SignIn {
            passkey_error: error.to_string(),
            ..sign_in_view(&app, &request, (&providers, &rules, &factors), &form.next)
        }),
        Err(error) => Err(error.into()),
    }
}
