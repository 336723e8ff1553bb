//! Pages of people who are not signed in yet, and signing out.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::mails::Links;
use super::oidc::{self, Providers};
use super::password::{Hasher, Password};
use super::policy::SignUpRules;
use super::sign_in::SignInError;
use super::sign_up::NewPerson;
use super::{Factors, Finished, Mailing, SessionSecret, SignedIn};
use crate::base::EmailAddress;
use crate::web::error::local_path;
use crate::web::views::accounts as views;
use crate::web::views::common::Field;
use crate::web::{App, PageError, Protected, client, cookies, flash, html, public_page, see_other, unprocessable};

pub(super) fn field(value: &str, error: impl std::fmt::Display) -> Field {
    Field::wrong(value, error.to_string())
}

fn filled(value: &str) -> Field {
    field(value, "")
}

/// The way on for a browser that has just been signed in, with its new secret.
pub(super) fn signed_in(app: &App, secret: &SessionSecret, next: &str) -> HttpResponse {
    let mut response = see_other(local_path(next));
    response.add_cookie(&cookies::session(app, secret.0.expose())).ok();
    response.add_cookie(&cookies::gone(app, cookies::half_name(app))).ok();
    response
}

/// Where a first factor leads: in, or to the page that asks for the second.
pub fn finished(app: &App, finished: &Finished, next: &str) -> HttpResponse {
    match finished {
        Finished::Signed(secret) => signed_in(app, secret, next),
        Finished::NeedsSecond(half) => {
            let mut response = see_other(&with_next("/sign-in/second", local_path(next)));
            response.add_cookie(&cookies::half(app, half.0.expose())).ok();
            response
        }
    }
}

pub(super) fn with_next(path: &str, next: &str) -> String {
    if matches!(next, "" | "/") {
        return path.to_owned();
    }
    format!("{path}?{}", serde_urlencoded::to_string([("next", next)]).unwrap_or_default())
}

impl From<SignInError> for PageError {
    fn from(error: SignInError) -> PageError {
        match error {
            SignInError::Database(error) => error.into(),
            SignInError::Internal(error) => PageError::Internal(error),
            SignInError::TooMany => PageError::TooMany,
            SignInError::Busy => PageError::Busy,
            SignInError::WrongPassword | SignInError::WrongLink => {
                PageError::Forbidden("The link or password is wrong.")
            }
            SignInError::WrongCode => PageError::Forbidden("This code is not right, or was used before."),
            SignInError::WrongPasskey => PageError::Forbidden("This passkey could not be checked."),
            SignInError::TooLate => PageError::Forbidden("This took too long, or was sent twice. Start again."),
            SignInError::Frozen => PageError::Forbidden(super::sign_in::FROZEN),
            SignInError::Password(_) => PageError::Invalid(error.to_string()),
            SignInError::NoPasskeys => PageError::NotFound,
        }
    }
}

/// `GET /sign-up`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn sign_up_form(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    rules: web::Data<SignUpRules>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    html(&sign_up_view(&app, &providers, &rules, &request))
}

fn sign_up_view(app: &App, providers: &Providers, rules: &SignUpRules, request: &HttpRequest) -> views::SignUp {
    views::SignUp {
        page: public_page(app, request, "Create your account"),
        closed: rules.closed(),
        hint: rules.hint(),
        providers: oidc::pages::buttons(providers.iter()),
        ..views::SignUp::default()
    }
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
    providers: web::Data<Providers>,
    rules: web::Data<SignUpRules>,
    request: HttpRequest,
    Protected(form): Protected<SignUpForm>,
) -> Result<HttpResponse, PageError> {
    if rules.is_closed() {
        return unprocessable(&sign_up_view(&app, &providers, &rules, &request));
    }
    let email = EmailAddress::parse(&form.email);
    let password = Password::choose(&form.password, &form.email);
    let (email, password) = match (email, password) {
        (Ok(email), Ok(password)) => (email, password),
        (email, password) => {
            let wrong =
                |label: &str, problem: Option<String>| problem.map(|p| format!("{label} {p}.")).unwrap_or_default();
            return unprocessable(&views::SignUp {
                name: filled(&form.name),
                email: field(&form.email, wrong("This", email.err().map(|e| e.to_string()))),
                password: field("", wrong("The password", password.err().map(|e| e.to_string()))),
                ..sign_up_view(&app, &providers, &rules, &request)
            });
        }
    };
    let throttle = super::Throttle::of_mail(Mailing::SignUp, &client::ip(&app, &request), &email);
    if throttle.is_closed(&mut *app.db.acquire().await?).await? {
        return Err(PageError::TooManyMails);
    }
    // Hashed in every case, so that every case takes as long.
    let password_hash = hasher.hash(password).await.map_err(SignInError::from)?;
    let mut tx = app.db.begin().await?;
    // Looked at again, because those that are sent at once all got this far before the first was counted. Each costs a hash and
    // a mail.
    if !throttle.count(&mut tx).await? {
        return Err(PageError::TooManyMails);
    }
    let admitted = rules.admit(&mut tx, &email).await?;
    let shown = email.to_string();
    let new = NewPerson { email, name: form.name, password_hash };
    super::sign_up(&mut tx, &Links::of(&app), new, admitted).await?;
    tx.commit().await?;
    html(&views::SignUpSent {
        page: public_page(&app, &request, "Look into your mailbox"),
        email: shown,
        link_lasts: "24 hours".into(),
        limited: rules.hint(),
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
    let origin = client::origin(&app, &request);
    match super::verify_email(&app.db, &hasher, &Links::of(&app), &form.token, &form.password, &origin).await {
        Ok(done) => {
            // An invitation, for instance, waits for the account that was made for it.
            let mut response = finished(&app, &done, &cookies::landing_path(&app, &request));
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
    pub(super) next: String,
}

/// `GET /sign-in`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn sign_in_form(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    rules: web::Data<SignUpRules>,
    factors: web::Data<Factors>,
    request: HttpRequest,
    query: web::Query<NextQuery>,
) -> Result<HttpResponse, PageError> {
    if super::extract::current(&request).await.is_ok() {
        return Ok(see_other(local_path(&query.next)));
    }
    html(&sign_in_view(&app, &request, (&providers, &rules, &factors), &query.next))
}

/// The page to sign in, with every way that there is.
pub(super) fn sign_in_view(
    app: &App,
    request: &HttpRequest,
    (providers, rules, factors): (&Providers, &SignUpRules, &Factors),
    next: &str,
) -> views::SignIn {
    views::SignIn {
        page: public_page(app, request, "Sign in"),
        next: local_path(next).to_owned(),
        sign_up_open: !rules.is_closed(),
        providers: oidc::pages::buttons(providers.iter()),
        passkeys: factors.webauthn.is_some(),
        ..views::SignIn::default()
    }
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
    providers: web::Data<Providers>,
    rules: web::Data<SignUpRules>,
    factors: web::Data<Factors>,
    request: HttpRequest,
    Protected(form): Protected<SignInForm>,
) -> Result<HttpResponse, PageError> {
    let again = |email_error: &str, password_error: &str| {
        unprocessable(&views::SignIn {
            email: field(&form.email, email_error),
            password: field("", password_error),
            ..sign_in_view(&app, &request, (&providers, &rules, &factors), &form.next)
        })
    };
    let Ok(email) = EmailAddress::parse(&form.email) else {
        return again("This is not an e-mail address; write it like name@example.com.", "");
    };
    let origin = client::origin(&app, &request);
    match super::sign_in(&app.db, &hasher, &Links::of(&app), &email, &form.password, &origin).await {
        Ok(done) => Ok(finished(&app, &done, &form.next)),
        Err(SignInError::WrongPassword) => again("", &SignInError::WrongPassword.to_string()),
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
pub struct SignOutForm {
    /// Where to go after signing in anew.
    #[serde(default)]
    next: String,
}

/// `POST /sign-out`
///
/// # Errors
/// Database errors only.
pub async fn sign_out(
    app: web::Data<App>,
    person: SignedIn,
    request: HttpRequest,
    Protected(form): Protected<SignOutForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    super::sign_out(&mut conn, &person.session, &client::origin(&app, &request)).await?;
    let mut response = see_other(&with_next("/sign-in", local_path(&form.next)));
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
    let throttle = super::Throttle::of_mail(Mailing::Recovery, &client::ip(&app, &request), &email);
    if throttle.is_closed(&mut *app.db.acquire().await?).await? {
        return Err(PageError::TooManyMails);
    }
    let mut tx = app.db.begin().await?;
    // Looked at again, as at sign-up.
    if !throttle.count(&mut tx).await? {
        return Err(PageError::TooManyMails);
    }
    super::start_recovery(&mut tx, &Links::of(&app), &email).await?;
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
    let origin = client::origin(&app, &request);
    match super::reset_password(&app.db, &hasher, &Links::of(&app), &form.token, &form.password, &origin).await {
        Ok(()) => {
            let mut response = see_other("/sign-in");
            flash::set(&mut response, &app, true, "Your password is changed. Sign in with it.");
            Ok(response)
        }
        Err(error @ SignInError::Password(_)) => unprocessable(&views::ResetPassword {
            page: public_page(&app, &request, "Set a new password"),
            token: form.token,
            password: field("", error),
            expired: false,
        }),
        Err(SignInError::WrongLink) => unprocessable(&views::ResetPassword {
            page: public_page(&app, &request, "This link no longer works"),
            expired: true,
            ..views::ResetPassword::default()
        }),
        Err(error) => Err(error.into()),
    }
}
