//! To a provider and back.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::flow::BeginError;
use super::{Entered, Flow, LinkError, NewFlow, Proven, Provider, ProviderError, Providers, Purpose, Through};
use crate::accounts::pages::{finished, signed_in, with_next};
use crate::accounts::session::Session;
use crate::accounts::{Links, Recent, SignUpRules, SignedIn, extract};
use crate::base::ids::SessionId;
use crate::base::origin::subscriber;
use crate::web::error::local_path;
use crate::web::page::with_status;
use crate::web::views::accounts as views;
use crate::web::{App, Destination, PageError, Protected, away, client, cookies, csrf, flash, public_page, see_other};

/// Longer ones are no answer of a provider.
const MAX_ANSWER: usize = 4_096;

/// The buttons of a page.
#[must_use]
pub fn buttons<'a>(providers: impl Iterator<Item = &'a Provider>) -> Vec<views::ProviderButton> {
    let button = |provider: &Provider| views::ProviderButton {
        name: provider.settings.name.clone(),
        label: provider.settings.label.clone(),
    };
    providers.map(button).collect()
}

fn callback_url(app: &App, provider: &Provider) -> String {
    app.url(&format!("/oidc/{}/callback", provider.settings.name))
}

#[derive(Deserialize)]
pub struct StartForm {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    next: String,
}

/// `POST /oidc/sign-in`
///
/// # Errors
/// `NotFound` for a provider that is not configured; a page when it is away.
pub async fn start_sign_in(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    request: HttpRequest,
    Protected(form): Protected<StartForm>,
) -> Result<HttpResponse, PageError> {
    start(&app, &providers, &request, Purpose::SignIn, None, &form).await
}

/// `POST /oidc/link`
///
/// # Errors
/// As [`start_sign_in`].
pub async fn start_link(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    person: Recent,
    request: HttpRequest,
    Protected(form): Protected<StartForm>,
) -> Result<HttpResponse, PageError> {
    start(&app, &providers, &request, Purpose::Link, Some(person.0.session.id), &form).await
}

/// `POST /oidc/step-up`
///
/// # Errors
/// As [`start_sign_in`].
pub async fn start_step_up(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    person: SignedIn,
    request: HttpRequest,
    Protected(form): Protected<StartForm>,
) -> Result<HttpResponse, PageError> {
    if providers.find(&form.provider).is_some_and(|provider| !provider.settings.asks_again()) {
        // A page of before. The one that is there now says what to do instead.
        return Ok(see_other(&with_next("/step-up", local_path(&form.next))));
    }
    start(&app, &providers, &request, Purpose::StepUp, Some(person.session.id), &form).await
}

async fn start(
    app: &App,
    providers: &Providers,
    request: &HttpRequest,
    purpose: Purpose,
    session: Option<SessionId>,
    form: &StartForm,
) -> Result<HttpResponse, PageError> {
    let provider = providers.find(&form.provider).ok_or(PageError::NotFound)?;
    let browser = csrf::mark(app, request).ok_or(PageError::Misconfigured)?;
    let next = local_path(&form.next);
    let ip = subscriber(&client::ip(app, request));
    let new = NewFlow { purpose, browser: &browser, session, next, ip: &ip };
    let url = match super::begin(&app.db, providers, provider, &callback_url(app, provider), new).await {
        Ok(url) => url,
        Err(BeginError::Provider(error)) => return failed(app, request, provider, purpose, next, error),
        Err(BeginError::TooMany) => return Err(PageError::TooMany),
        Err(BeginError::Database(error)) => return Err(error.into()),
        Err(BeginError::Seal(error)) => return Err(PageError::Internal(anyhow::Error::new(error))),
    };
    let to = Destination {
        label: &provider.settings.label,
        url: &url,
        explanation: "You sign in there and come back here. Farebox never sees the password you use there.",
        back: ("/sign-in", "Back to sign in"),
    };
    away(app, request, to)
}

#[derive(Deserialize, Default)]
pub struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    iss: Option<String>,
    error: Option<String>,
}

/// `GET /oidc/{provider}/callback`
///
/// # Errors
/// `NotFound` for a provider that is not configured; everything else is told on a page.
pub async fn callback(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    rules: web::Data<SignUpRules>,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let provider = providers.find(&path).ok_or(PageError::NotFound)?;
    let query = Some(request.query_string()).filter(|query| query.len() <= MAX_ANSWER);
    let answer: Answer = query.and_then(|query| serde_urlencoded::from_str(query).ok()).unwrap_or_default();
    let browser = csrf::mark(&app, &request).ok_or(PageError::Misconfigured)?;
    let mut conn = app.db.acquire().await?;
    let flow = super::resume(&mut conn, &providers, &answer.state, &browser).await?;
    // Nothing of the database is held while the provider is asked.
    drop(conn);
    let Some(flow) = flow.filter(|flow| flow.provider == provider.settings.name) else {
        return problem(&app, &request, StatusCode::UNPROCESSABLE_ENTITY, strange(provider));
    };
    let session = extract::current(&request).await.ok().map(|signed_in| signed_in.session);
    if flow.session.is_some() && flow.session != session.as_ref().map(|session| session.id) {
        return problem(&app, &request, StatusCode::UNPROCESSABLE_ENTITY, strange(provider));
    }
    let (purpose, next) = (flow.purpose, flow.next.clone());
    if answer.error.is_some() || answer.code.is_empty() {
        let refused = answer.error.as_deref() == Some("access_denied");
        return problem(&app, &request, StatusCode::UNPROCESSABLE_ENTITY, denied(provider, purpose, &next, refused));
    }
    match ask(&app, provider, flow, &answer).await {
        Ok(proven) => finish(&app, &rules, &request, provider, (purpose, &next), session, proven).await,
        Err(error) => failed(&app, &request, provider, purpose, &next, error),
    }
}

async fn ask(app: &App, provider: &Provider, flow: Flow, answer: &Answer) -> Result<Proven, ProviderError> {
    let callback = callback_url(app, provider);
    super::prove(provider, &callback, flow, &answer.code, answer.iss.as_deref(), app.clock.now()).await
}

async fn finish(
    app: &App,
    rules: &SignUpRules,
    request: &HttpRequest,
    provider: &Provider,
    (purpose, next): (Purpose, &str),
    session: Option<Session>,
    proven: Proven,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    let origin = client::origin(app, request);
    let label = provider.settings.label.as_str();
    let told = |told| problem(app, request, StatusCode::UNPROCESSABLE_ENTITY, told);
    match (purpose, session) {
        (Purpose::SignIn, before) => {
            let through = Through {
                provider: &provider.settings.name,
                rules,
                links: &Links::of(app),
                origin: &origin,
                before: before.as_ref(),
            };
            match super::enter(&mut conn, &proven, through).await? {
                Entered::In(done) => {
                    // An invitation, for instance, waits for the account that was made for it.
                    let landing = cookies::landing_path(app, request);
                    let mut response = finished(app, &done, if next == "/" { &landing } else { next });
                    response.add_cookie(&cookies::gone(app, cookies::landing_name(app))).ok();
                    Ok(response)
                }
                Entered::Unproven => told(unproven(label)),
                Entered::Known => told(known(label)),
                Entered::NotAdmitted => told(not_admitted(rules)),
            }
        }
        (Purpose::Link, Some(session)) => {
            match super::link(&mut conn, &Links::of(app), &session, &proven, label, &origin).await {
                Ok(()) => {
                    let mut response = see_other("/settings/sign-in");
                    flash::set(&mut response, app, true, &format!("You can now sign in with {label}."));
                    Ok(response)
                }
                Err(error) => told(not_linked(label, error)?),
            }
        }
        (Purpose::StepUp, Some(session)) => match super::confirm(&mut conn, &session, &proven, &origin).await {
            Ok(Some(secret)) => Ok(signed_in(app, &secret, next)),
            Ok(None) => Ok(see_other(&with_next("/step-up", next))),
            Err(error) => told(not_linked(label, error)?),
        },
        (Purpose::Link | Purpose::StepUp, None) => told(strange(provider)),
    }
}

fn problem(
    app: &App,
    request: &HttpRequest,
    status: StatusCode,
    mut view: views::IdentityProblem,
) -> Result<HttpResponse, PageError> {
    view.page = public_page(app, request, &view.heading);
    with_status(status, &view)
}

fn failed(
    app: &App,
    request: &HttpRequest,
    provider: &Provider,
    purpose: Purpose,
    next: &str,
    error: ProviderError,
) -> Result<HttpResponse, PageError> {
    tracing::warn!(provider = provider.settings.name, %error, "a sign-in by a provider failed");
    let label = &provider.settings.label;
    let (status, heading, text) = match error {
        ProviderError::Slow => (
            StatusCode::GATEWAY_TIMEOUT,
            format!("{label} does not answer"),
            format!("{label} took too long, so nothing was done. Try again in a moment."),
        ),
        ProviderError::Away(_) => (
            StatusCode::BAD_GATEWAY,
            format!("{label} cannot be used now"),
            format!(
                "{label} does not answer as it should, so nothing was done. Try again later; if it stays so, tell whoever runs this server."
            ),
        ),
        ProviderError::Untrue(_) => (
            StatusCode::BAD_GATEWAY,
            format!("The answer of {label} was not accepted"),
            format!(
                "What came back from {label} could not be verified, so nobody was signed in and nothing was changed. Begin again; if it stays so, tell whoever runs this server."
            ),
        ),
        ProviderError::NotFresh => (
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("{label} did not ask you again"),
            format!(
                "{label} did not say that you have just signed in there, so this does not count as a confirmation. Sign out and in again, then add a password to your account."
            ),
        ),
    };
    let view = back(purpose, next, heading, text);
    problem(app, request, status, view)
}

/// A way back to where it began.
fn back(purpose: Purpose, next: &str, heading: String, text: String) -> views::IdentityProblem {
    let with_next = |door: &str| match serde_urlencoded::to_string([("next", next)]) {
        Ok(query) if next != "/" => format!("{door}?{query}"),
        _ => door.to_owned(),
    };
    let (action, href) = match purpose {
        Purpose::SignIn => ("Back to sign in", with_next("/sign-in")),
        Purpose::Link => ("Back to your ways to sign in", "/settings/sign-in".to_owned()),
        Purpose::StepUp => ("Back to the confirmation", with_next("/step-up")),
    };
    views::IdentityProblem { heading, text, action: action.into(), href, ..views::IdentityProblem::default() }
}

fn to_sign_in(heading: &str, text: String) -> views::IdentityProblem {
    back(Purpose::SignIn, "/", heading.to_owned(), text)
}

fn strange(provider: &Provider) -> views::IdentityProblem {
    let label = &provider.settings.label;
    let text = format!(
        "This answer of {label} belongs to no sign-in that this browser has begun. It may have been used before, or taken longer than ten minutes. Nothing was done."
    );
    to_sign_in("Begin again", text)
}

fn denied(provider: &Provider, purpose: Purpose, next: &str, refused: bool) -> views::IdentityProblem {
    let label = &provider.settings.label;
    if refused {
        let text = format!("{label} says that you, or it, declined. Nothing was changed.");
        return back(purpose, next, format!("You did not continue with {label}"), text);
    }
    let text = format!("{label} sent you back without saying who you are. Nothing was changed. Try again in a moment.");
    back(purpose, next, format!("{label} could not sign you in"), text)
}

fn unproven(label: &str) -> views::IdentityProblem {
    let text = format!(
        "To open an account, we need an e-mail address that {label} has verified, and it did not tell us one. Verify your address at {label} and try again, or sign up with a password."
    );
    to_sign_in("Your address is not verified", text)
}

fn known(label: &str) -> views::IdentityProblem {
    let text = format!(
        "The e-mail address of your account at {label} belongs to an account here already. Sign in to that one the way you always do, then link {label} under Settings, Ways to sign in."
    );
    let mut view = to_sign_in("You have an account already", text);
    "Sign in and link it".clone_into(&mut view.action);
    "/sign-in?next=%2Fsettings%2Fsign-in".clone_into(&mut view.href);
    view
}

fn not_admitted(rules: &SignUpRules) -> views::IdentityProblem {
    let text = match rules.closed() {
        closed if closed.is_empty() => format!("No account was made. Sign-up is limited here. {}", rules.hint()),
        closed => format!("No account was made. {closed}"),
    };
    to_sign_in("You cannot sign up here", text)
}

fn not_linked(label: &str, error: LinkError) -> Result<views::IdentityProblem, PageError> {
    let (heading, text) = match error {
        LinkError::Taken => (
            "It was not linked",
            format!(
                "That account at {label} signs in another account here. Unlink it there first, or choose another one."
            ),
        ),
        LinkError::Another => {
            ("It was not linked", format!("Another account at {label} is linked to yours already. Unlink it first."))
        }
        LinkError::NotLinked | LinkError::LastWay => (
            "That is somebody else",
            format!(
                "The account at {label} that you chose is not linked to the account that is signed in here. Nothing was confirmed."
            ),
        ),
        LinkError::Database(error) => return Err(error.into()),
        LinkError::Internal(error) => return Err(PageError::Internal(error)),
    };
    Ok(back(Purpose::Link, "/", heading.to_owned(), text))
}
