//! Pages of people who are not signed in yet, and signing out.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::mails::Links;
use super::password::{Hasher, Password};
use super::sign_in::SignInError;
use super::sign_up::NewPerson;
use super::{SessionSecret, SignedIn};
use crate::base::EmailAddress;
use crate::web::error::local_path;
use crate::web::views::accounts as views;
use crate::web::views::common::Field;
use crate::web::{App, PageError, Protected, client, cookies, flash, html, public_page, see_other, unprocessable};

fn links(app: &App) -> Links {
    Links { base: app.public_url.clone() }
}

fn field(value: &str, error: impl std::fmt::Display) -> Field {
    Field::wrong(value, error.to_string())
}

fn filled(value: &str) -> Field {
    field(value, "")
}

fn signed_in(app: &App, secret: &SessionSecret, next: &str) -> HttpResponse {
    let mut response = see_other(local_path(next));
    response.add_cookie(&cookies::session(app, secret.0.expose())).ok();
    response
}

impl From<SignInError> for PageError {
    fn from(error: SignInError) -> PageError {
        match error {
            SignInError::Database(error) => error.into(),
            SignInError::Internal(error) => PageError::Internal(error),
            SignInError::TooMany => PageError::TooMany,
            SignInError::WrongPassword | SignInError::WrongLink => {
                PageError::Forbidden("The link or password is wrong.")
            }
        }
    }
}

/// `GET /sign-up`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn sign_up_form(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, PageError> {
    html(&views::SignUp { page: public_page(&app, &request, "Create your account"), ..views::SignUp::default() })
}

#[derive(Deserialize)]
pub struct SignUpForm {
    #[serde(default)]
    name: String,
    email: String,
    password: String,
}

/// `POST /sign-up`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn sign_up(
    app: web::Data<App>,
    hasher: web::Data<Hasher>,
    request: HttpRequest,
    Protected(form): Protected<SignUpForm>,
) -> Result<HttpResponse, PageError> {
    let email = EmailAddress::parse(&form.email);
    let password = Password::choose(&form.password, &form.email);
    let (email, password) = match (email, password) {
        (Ok(email), Ok(password)) => (email, password),
        (email, password) => {
            let wrong =
                |label: &str, problem: Option<String>| problem.map(|p| format!("{label} {p}.")).unwrap_or_default();
            return unprocessable(&views::SignUp {
                page: public_page(&app, &request, "Create your account"),
                name: filled(&form.name),
                email: field(&form.email, wrong("This", email.err().map(|e| e.to_string()))),
                password: field("", wrong("The password", password.err().map(|e| e.to_string()))),
                closed: String::new(),
            });
        }
    };
    let throttle = super::Throttle::of(&client::ip(&app, &request), "sign-up");
    let mut tx = app.db.begin().await?;
    if throttle.is_closed(&mut tx).await? {
        return Err(PageError::TooMany);
    }
    // Each sign-up counts as a try: it costs a hash and a mail.
    throttle.note_failure(&mut tx).await?;
    let shown = email.to_string();
    let new = NewPerson { email, name: form.name, password };
    super::sign_up(&mut tx, &hasher, &links(&app), new).await?;
    tx.commit().await?;
    html(&views::SignUpSent {
        page: public_page(&app, &request, "Look into your mailbox"),
        email: shown,
        link_lasts: "24 hours".into(),
    })
}

#[derive(Deserialize)]
pub struct TokenQuery {
    #[serde(default)]
    token: String,
}

/// `GET /verify`: only asks; mail scanners that follow links change nothing.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn verify_form(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<TokenQuery>,
) -> Result<HttpResponse, PageError> {
    html(&views::Verify {
        page: public_page(&app, &request, "Confirm your address"),
        token: query.into_inner().token,
        password: Field::default(),
        expired: false,
    })
}

#[derive(Deserialize)]
pub struct VerifyForm {
    token: String,
    password: String,
}

/// `POST /verify`
///
/// # Errors
/// Database errors; a wrong link or password is told on the page.
pub async fn verify(
    app: web::Data<App>,
    hasher: web::Data<Hasher>,
    request: HttpRequest,
    Protected(form): Protected<VerifyForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    let origin = client::origin(&app, &request);
    match super::verify_email(&mut conn, &hasher, &form.token, &form.password, &origin).await {
        Ok(secret) => {
            // An invitation, for instance, waits for the account that was made for it.
            let mut response = signed_in(&app, &secret, &cookies::landing_path(&app, &request));
            response.add_cookie(&cookies::gone(&app, cookies::landing_name(&app))).ok();
            Ok(response)
        }
        Err(SignInError::WrongPassword) => unprocessable(&views::Verify {
            page: public_page(&app, &request, "Confirm your address"),
            token: form.token,
            password: field("", "This is not the password chosen at sign-up. The link is still valid."),
            expired: false,
        }),
        Err(SignInError::WrongLink) => unprocessable(&views::Verify {
            page: public_page(&app, &request, "This link no longer works"),
            expired: true,
            ..views::Verify::default()
        }),
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub struct NextQuery {
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn sign_in_form(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<NextQuery>,
) -> Result<HttpResponse, PageError> {
    if super::extract::current(&request).await.is_ok() {
        return Ok(see_other(local_path(&query.next)));
    }
    html(&views::SignIn {
        page: public_page(&app, &request, "Sign in"),
        next: local_path(&query.next).to_owned(),
        sign_up_open: true,
        ..views::SignIn::default()
    })
}

#[derive(Deserialize)]
pub struct SignInForm {
    email: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /sign-in`
///
/// # Errors
/// `TooMany` when guessing is suspected; a wrong password is told on the page.
pub async fn sign_in(
    app: web::Data<App>,
    hasher: web::Data<Hasher>,
    request: HttpRequest,
    Protected(form): Protected<SignInForm>,
) -> Result<HttpResponse, PageError> {
    let again = |email_error: &str, password_error: &str| {
        unprocessable(&views::SignIn {
            page: public_page(&app, &request, "Sign in"),
            email: field(&form.email, email_error),
            password: field("", password_error),
            next: local_path(&form.next).to_owned(),
            sign_up_open: true,
        })
    };
    let Ok(email) = EmailAddress::parse(&form.email) else {
        return again("This is not an e-mail address; write it like name@example.com.", "");
    };
    let mut conn = app.db.acquire().await?;
    let origin = client::origin(&app, &request);
    match super::sign_in(&mut conn, &hasher, &links(&app), &email, &form.password, &origin).await {
        Ok(secret) => Ok(signed_in(&app, &secret, &form.next)),
        Err(SignInError::WrongPassword) => again("", &SignInError::WrongPassword.to_string()),
        Err(error) => Err(error.into()),
    }
}

/// `GET /step-up`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn step_up_form(
    app: web::Data<App>,
    person: SignedIn,
    request: HttpRequest,
    query: web::Query<NextQuery>,
) -> Result<HttpResponse, PageError> {
    html(&views::StepUp {
        page: public_page(&app, &request, "Confirm that it is you"),
        email: person.person().email.clone(),
        password: Field::default(),
        next: local_path(&query.next).to_owned(),
    })
}

#[derive(Deserialize)]
pub struct StepUpForm {
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /step-up`
///
/// # Errors
/// `TooMany` when guessing is suspected; a wrong password is told on the page.
pub async fn step_up(
    app: web::Data<App>,
    hasher: web::Data<Hasher>,
    person: SignedIn,
    request: HttpRequest,
    Protected(form): Protected<StepUpForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    let origin = client::origin(&app, &request);
    match super::step_up(&mut conn, &hasher, &person.session, &form.password, &origin).await {
        Ok(secret) => Ok(signed_in(&app, &secret, &form.next)),
        Err(SignInError::WrongPassword) => unprocessable(&views::StepUp {
            page: public_page(&app, &request, "Confirm that it is you"),
            email: person.person().email.clone(),
            password: field("", "This is not your password."),
            next: local_path(&form.next).to_owned(),
        }),
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub struct EmptyForm {}

/// `POST /sign-out`
///
/// # Errors
/// Database errors only.
pub async fn sign_out(
    app: web::Data<App>,
    person: SignedIn,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    super::sign_out(&mut conn, &person.session).await?;
    let mut response = see_other("/sign-in");
    response.add_cookie(&cookies::gone(&app, cookies::session_name(&app))).ok();
    response.headers_mut().insert(
        actix_web::http::header::HeaderName::from_static("clear-site-data"),
        actix_web::http::header::HeaderValue::from_static("\"cache\""),
    );
    Ok(response)
}

/// `GET /recover`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn recover_form(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, PageError> {
    html(&views::Recover { page: public_page(&app, &request, "Reset your password"), email: Field::default() })
}

#[derive(Deserialize)]
pub struct RecoverForm {
    email: String,
}

/// `POST /recover`
///
/// # Errors
/// Database errors only; the answer is the same for every address.
pub async fn recover(
    app: web::Data<App>,
    request: HttpRequest,
    Protected(form): Protected<RecoverForm>,
) -> Result<HttpResponse, PageError> {
    let Ok(email) = EmailAddress::parse(&form.email) else {
        return unprocessable(&views::Recover {
            page: public_page(&app, &request, "Reset your password"),
            email: field(&form.email, "This is not an e-mail address; write it like name@example.com."),
        });
    };
    let throttle = super::Throttle::of(&client::ip(&app, &request), &format!("recover|{}", email.canonical()));
    let mut tx = app.db.begin().await?;
    if throttle.is_closed(&mut tx).await? {
        return Err(PageError::TooMany);
    }
    throttle.note_failure(&mut tx).await?;
    super::start_recovery(&mut tx, &links(&app), &email).await?;
    tx.commit().await?;
    html(&views::RecoverSent {
        page: public_page(&app, &request, "Look into your mailbox"),
        email: email.to_string(),
        link_lasts: "1 hour".into(),
    })
}

/// `GET /reset`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn reset_form(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<TokenQuery>,
) -> Result<HttpResponse, PageError> {
    html(&views::ResetPassword {
        page: public_page(&app, &request, "Set a new password"),
        token: query.into_inner().token,
        ..views::ResetPassword::default()
    })
}

/// `POST /reset`
///
/// # Errors
/// Database errors; a wrong link or password is told on the page.
pub async fn reset(
    app: web::Data<App>,
    hasher: web::Data<Hasher>,
    request: HttpRequest,
    Protected(form): Protected<VerifyForm>,
) -> Result<HttpResponse, PageError> {
    let password = match Password::choose(&form.password, "") {
        Ok(password) => password,
        Err(problem) => {
            return unprocessable(&views::ResetPassword {
                page: public_page(&app, &request, "Set a new password"),
                token: form.token,
                password: field("", format!("The password {problem}.")),
                expired: false,
            });
        }
    };
    let mut tx = app.db.begin().await?;
    match super::reset_password(&mut tx, &hasher, &form.token, password).await {
        Ok(()) => {
            tx.commit().await?;
            let mut response = see_other("/sign-in");
            flash::set(&mut response, &app, true, "Your password is changed. Sign in with it.");
            Ok(response)
        }
        Err(SignInError::WrongLink) => unprocessable(&views::ResetPassword {
            page: public_page(&app, &request, "This link no longer works"),
            expired: true,
            ..views::ResetPassword::default()
        }),
        Err(error) => Err(error.into()),
    }
}
