//! The pages that mailed links open.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::EmailChangeError;
use crate::accounts::SignedIn;
use crate::accounts::mails::Links;
use crate::web::views::accounts as views;
use crate::web::{App, PageError, Protected, client, flash, html, public_page, see_other, unprocessable};

#[derive(Deserialize)]
pub struct Token {
    #[serde(default)]
    token: String,
}

fn confirm_view(app: &App, request: &HttpRequest, token: String, problem: String) -> views::EmailLink {
    views::EmailLink {
        page: public_page(app, request, "Confirm your new address"),
        token,
        action: "/email/confirm",
        text: "From now on you sign in with this address, and mails about your account come here. The old address \
               is told, and can take the change back for a week.",
        button: "Use this address",
        problem,
    }
}

fn revert_view(app: &App, request: &HttpRequest, token: String, problem: String) -> views::EmailLink {
    views::EmailLink {
        page: public_page(app, request, "Take the new address back"),
        token,
        action: "/email/revert",
        text: "Your account gets this address back, and every device is signed out. The password, and whatever was added \
               to the account since the change was asked for, no longer lets anybody in. We send you a link with which \
               you set a new password.",
        button: "Take it back",
        problem,
    }
}

/// `GET /email/confirm`: only asks; mail scanners that follow links change nothing.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn confirm_form(
    app: web::Data<App>,
    _person: SignedIn,
    request: HttpRequest,
    query: web::Query<Token>,
) -> Result<HttpResponse, PageError> {
    html(&confirm_view(&app, &request, query.into_inner().token, String::new()))
}

/// `POST /email/confirm`
///
/// # Errors
/// Database errors; a wrong link is told on the page.
pub async fn confirm(
    app: web::Data<App>,
    person: SignedIn,
    request: HttpRequest,
    Protected(form): Protected<Token>,
) -> Result<HttpResponse, PageError> {
    let mut tx = app.db.begin().await?;
    let origin = client::origin(&app, &request);
    match super::confirm(&mut tx, &Links::of(&app), person.person(), &form.token, &origin).await {
        Ok(()) => {
            tx.commit().await?;
            let mut response = see_other("/settings/profile");
            flash::set(&mut response, &app, true, "Your e-mail address is changed.");
            Ok(response)
        }
        Err(error) => refused(error, |problem| confirm_view(&app, &request, String::new(), problem)),
    }
}

/// `GET /email/revert`: only asks.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn revert_form(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<Token>,
) -> Result<HttpResponse, PageError> {
    html(&revert_view(&app, &request, query.into_inner().token, String::new()))
}

/// `POST /email/revert`
///
/// # Errors
/// Database errors; a wrong link is told on the page.
pub async fn revert(
    app: web::Data<App>,
    request: HttpRequest,
    Protected(form): Protected<Token>,
) -> Result<HttpResponse, PageError> {
    let mut tx = app.db.begin().await?;
    match super::revert(&mut tx, &Links::of(&app), &form.token, &client::origin(&app, &request)).await {
        Ok(()) => {
            tx.commit().await?;
            let mut response = see_other("/sign-in");
            let text = "Your address is back and every device is signed out. Set a new password with the link that we \
                        have just mailed to you.";
            flash::set(&mut response, &app, true, text);
            Ok(response)
        }
        Err(error) => refused(error, |problem| revert_view(&app, &request, String::new(), problem)),
    }
}

fn refused(error: EmailChangeError, view: impl FnOnce(String) -> views::EmailLink) -> Result<HttpResponse, PageError> {
    match error {
        EmailChangeError::WrongLink | EmailChangeError::Taken => unprocessable(&view(error.to_string())),
        other => Err(other.into()),
    }
}

impl From<EmailChangeError> for PageError {
    fn from(error: EmailChangeError) -> PageError {
        match error {
            EmailChangeError::Database(error) => error.into(),
            EmailChangeError::Internal(error) => PageError::Internal(error),
            EmailChangeError::TooMany => PageError::TooManyMails,
            EmailChangeError::Same | EmailChangeError::WrongLink | EmailChangeError::Taken => {
                PageError::Invalid(error.to_string())
            }
        }
    }
}
