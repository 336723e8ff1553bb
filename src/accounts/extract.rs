//! From a request to the person who is signed in.

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpRequest, ResponseError, web};
use futures_util::future::LocalBoxFuture;

use super::person::Person;
use super::session::{Session, SessionSecret};
use super::store;
use crate::web::{App, PageError, cookies, csrf, flash};

pub use crate::web::error::return_path;

/// A proof that somebody is signed in. Without one, a page sends the browser to the sign-in page.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub session: Session,
}

impl SignedIn {
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.session.person
    }

    /// For a form that is dangerous only with some of what can be chosen in it; else a handler takes [`Recent`].
    ///
    /// # Errors
    /// `StepUp` where they have not shown who they are within the last five minutes.
    pub fn recently(&self, app: &App, request: &HttpRequest) -> Result<(), PageError> {
        if self.session.is_recent(app.clock.now()) {
            return Ok(());
        }
        Err(PageError::StepUp { next: return_path(request) })
    }
}

impl FromRequest for SignedIn {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { current(&request).await })
    }
}

/// A proof that whoever is signed in showed it within the last five minutes. Without one, a page asks for it first;
/// a form that was sent without one is not acted on, and the page that it came from is shown again afterwards.
#[derive(Clone, Debug)]
pub struct Recent(pub SignedIn);

impl FromRequest for Recent {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let signed_in = current(&request).await?;
            let app = request.app_data::<web::Data<App>>().ok_or(PageError::Misconfigured)?;
            signed_in.recently(app, &request)?;
            Ok(Recent(signed_in))
        })
    }
}

/// What whoever only looks may still send: the end of it, and of the session.
const WHILE_LOOKING: [&str; 2] = ["/admin/look/end", SIGN_OUT];
const SIGN_OUT: &str = "/sign-out";
const ENDED: &str = "You were signed out, so what you sent was not done.";
const ONLY_LOOKING: &str = "You look at an organization as its owner sees it, so nothing was done. Stop looking first.";

/// Refuses whatever would change something, from a browser that looks at an organization for an operator; and tells whoever
/// sends it after their session has ended that it was not done.
///
/// # Errors
/// Those of the handler.
pub async fn look_only(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if only_reads {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    // The token of a form is looked at beside other things, so whose session it is has to be known before.
    let looks = match current(request.request()).await {
        Ok(signed_in) => signed_in.session.looks_at.is_some(),
        // Who is not signed in looks at nothing; what cannot be asked is not let through.
        Err(PageError::SignedOut { .. }) => false,
        Err(error) => return Ok(request.into_response(error.error_response()).map_into_right_body()),
    };
    if looks && !WHILE_LOOKING.contains(&request.path()) {
        let answer = PageError::Forbidden(ONLY_LOOKING).error_response();
        return Ok(request.into_response(answer).map_into_right_body());
    }
    let mut response = next.call(request).await?;
    let error = response.response().error().and_then(|error| error.as_error::<PageError>());
    let ended = matches!(error, Some(PageError::SignedOut { .. })) && response.request().path() != SIGN_OUT;
    if ended && let Some(app) = response.request().app_data::<web::Data<App>>().cloned() {
        flash::set(response.response_mut(), &app, false, ENDED);
    }
    Ok(response.map_into_left_body())
}

/// # Errors
/// `SignedOut` without a standing session, and where an operator froze the account: signing in says so.
pub async fn current(request: &HttpRequest) -> Result<SignedIn, PageError> {
    let app = request.app_data::<web::Data<App>>().ok_or(PageError::Misconfigured)?;
    let signed_out = || PageError::SignedOut { next: return_path(request) };
    let secret = cookies::read(request, cookies::session_name(app)).as_deref().and_then(SessionSecret::parse);
    let secret = secret.ok_or_else(signed_out)?;
    let mut conn = app.db.acquire().await?;
    let session = store::find_session(&mut conn, &secret.digest(), app.session_idle).await?.ok_or_else(signed_out)?;
    if session.is_frozen {
        return Err(signed_out());
    }
    csrf::signed_in(request, session.id);
    if app.clock.now() - session.last_seen_at > super::session::TOUCH_EVERY {
        store::touch_session(&mut conn, session.id).await?;
    }
    Ok(SignedIn { session })
}
