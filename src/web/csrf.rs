//! No other site may act for a person.
//!
//! Three walls: cookies are `SameSite=Lax`; a request that changes something must come from our own
//! pages by `Sec-Fetch-Site` or `Origin`; and a form carries a token.
//!
//! Of whom a page knows to be signed in, the token is bound to the session's id: that stays when showing again who one is
//! renews the secret, so forms in other tabs go on working, and is another one after every sign-in. Else it is bound to
//! the browser's cookie. A page that shows an organization names it in the token, so that a form acts on what it was made
//! for or on nothing, whatever was opened in another tab meanwhile.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, ResponseError, web};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::error::return_path;
use super::form::STALE;
use super::{App, PageError, cookies};
use crate::base::Secret;
use crate::base::ids::{OrgId, SessionId};
use crate::base::secret::random_token;

pub const OTHER_ORG: &str = "Another organization was opened in this browser meanwhile, so nothing was done. Go back and \
                             reload the page, or open the other one again before you send this.";
/// Instead of an organization, in the token of a page that is about nobody but who is signed in.
const NO_ORG: &str = "me";

/// The browser's mark for the time of this request, when it has just been given one.
#[derive(Clone)]
struct FreshMark(String);

/// The session that this request belongs to, once that was looked up.
struct Known(SessionId);

/// The organization that the form of this request was made for.
struct MadeFor(OrgId);

/// The organization on which this request acts.
struct ActsOn(OrgId);

/// Guards pages: gives every browser a mark, and lets only our own pages change something.
///
/// # Errors
/// Those of the handler.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let app = request.app_data::<web::Data<App>>().cloned().ok_or(PageError::Misconfigured)?;
    if !is_safe(request.method()) && !is_same_origin(&app, request.request()) {
        // An answer and no error, so that it carries the headers of every page.
        let answer = PageError::Forbidden("This request came from another site, so nothing was done.").error_response();
        return Ok(request.into_response(answer).map_into_right_body());
    }
    let fresh = match cookies::read(request.request(), cookies::visitor_name(&app)) {
        Some(_) => None,
        None => {
            let mark = random_token().expose().clone();
            request.extensions_mut().insert(FreshMark(mark.clone()));
            Some(mark)
        }
    };
    let mut response = next.call(request).await?;
    if let Some(mark) = fresh {
        response.response_mut().add_cookie(&cookies::visitor(&app, &mark)).ok();
    }
    Ok(response.map_into_left_body())
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_same_origin(app: &App, request: &HttpRequest) -> bool {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else {
        // A browser too old for both headers still has to show the token.
        return true;
    };
    let ours = app.public_url.origin().ascii_serialization();
    let here = text(header::HOST.as_str()).map(|host| format!("{}://{host}", app.public_url.scheme()));
    origin == ours || here.is_some_and(|here| origin == here)
}

/// The mark of this browser, whether somebody is signed in or not.
#[must_use]
pub fn mark(app: &App, request: &HttpRequest) -> Option<String> {
    cookies::read(request, cookies::visitor_name(app))
        .or_else(|| request.extensions().get::<FreshMark>().map(|mark| mark.0.clone()))
}

/// Notes whose session a request belongs to.
pub fn signed_in(request: &HttpRequest, session: SessionId) {
    request.extensions_mut().insert(Known(session));
}

/// Notes on which organization a request acts.
///
/// # Errors
/// `Forbidden` where its form was made for another one. Which of the two is known first does not matter.
pub fn acts_on(request: &HttpRequest, org: OrgId) -> Result<(), PageError> {
    request.extensions_mut().insert(ActsOn(org));
    agree(request)
}

fn agree(request: &HttpRequest) -> Result<(), PageError> {
    let known = request.extensions();
    match (known.get::<MadeFor>(), known.get::<ActsOn>()) {
        (Some(MadeFor(one)), Some(ActsOn(other))) if one != other => Err(PageError::Forbidden(OTHER_ORG)),
        _ => Ok(()),
    }
}

fn session(request: &HttpRequest) -> Option<SessionId> {
    request.extensions().get::<Known>().map(|known| known.0)
}

/// What a token is bound to where no session was looked up: the session's secret, else the browser's mark.
fn binding(app: &App, request: &HttpRequest) -> Option<String> {
    cookies::read(request, cookies::session_name(app)).or_else(|| mark(app, request))
}

/// The token for forms of this response that are about no organization.
#[must_use]
pub fn token(app: &App, request: &HttpRequest) -> String {
    match session(request) {
        Some(session) => of_session(&app.form_key, session, None),
        None => binding(app, request).map(|binding| of_browser(&app.form_key, &binding)).unwrap_or_default(),
    }
}

/// The token for forms of a page of an organization.
#[must_use]
pub fn token_of(app: &App, request: &HttpRequest, org: OrgId) -> String {
    session(request).map(|session| of_session(&app.form_key, session, Some(org))).unwrap_or_default()
}

/// The token for a form that is shown again: it stays one of its organization.
#[must_use]
pub fn token_again(app: &App, request: &HttpRequest, before: &str) -> String {
    match org_of(before) {
        Some(Some(org)) => token_of(app, request, org),
        _ => token(app, request),
    }
}

/// Whether one of our own pages sent this, for what is open now.
///
/// # Errors
/// `Forbidden` where it did not, or the page was made for another organization than the one that is open; `SignedOut` where it
/// was made for somebody who is signed in no more.
pub fn check(app: &App, request: &HttpRequest, token: &str) -> Result<(), PageError> {
    let fits = |good: &str| bool::from(good.as_bytes().ct_eq(token.as_bytes()));
    let Some(org) = org_of(token) else {
        // The second is how the version before signed: its forms are open while one follows the other.
        let fits_to = |binding: &str| fits(&of_browser(&app.form_key, binding)) || fits(&sign(&app.form_key, binding));
        let good = binding(app, request).is_some_and(|binding| fits_to(&binding));
        return if good { Ok(()) } else { Err(PageError::Forbidden(STALE)) };
    };
    let Some(session) = session(request) else {
        return Err(PageError::SignedOut { next: return_path(request) });
    };
    if !fits(&of_session(&app.form_key, session, org)) {
        return Err(PageError::Forbidden(STALE));
    }
    if let Some(org) = org {
        request.extensions_mut().insert(MadeFor(org));
    }
    agree(request)
}

/// The organization in the token of a session; `None` for that of a browser.
fn org_of(token: &str) -> Option<Option<OrgId>> {
    match token.split_once('.')?.0 {
        NO_ORG => Some(None),
        org => org.parse().ok().map(Some),
    }
}

fn of_session(key: &Secret<[u8; 32]>, session: SessionId, org: Option<OrgId>) -> String {
    let org = org.map_or_else(|| NO_ORG.to_owned(), |org| org.to_string());
    let sum = sign(key, &format!("session:{session}:{org}"));
    format!("{org}.{sum}")
}

fn of_browser(key: &Secret<[u8; 32]>, binding: &str) -> String {
    // A cookie can be made to say anything, so what is signed says which of the two it is.
    sign(key, &format!("browser:{binding}"))
}

fn sign(key: &Secret<[u8; 32]>, text: &str) -> String {
    // HMAC takes keys of any length, so this cannot fail; an empty token would match nothing useful.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose()) else { return String::new() };
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_organization_and_fits_one_session_only() {
        let key = Secret::new([7; 32]);
        let (one, other) = (SessionId::fresh(), SessionId::fresh());
        let (ours, theirs) = (OrgId::fresh(), OrgId::fresh());
        let token = of_session(&key, one, Some(ours));
        assert_eq!(org_of(&token), Some(Some(ours)));
        assert_eq!(token, of_session(&key, one, Some(ours)), "it is the same on every page");
        assert_ne!(token, of_session(&key, other, Some(ours)));
        let sum = |token: &str| token.split_once('.').map(|(_, sum)| sum.to_owned());
        assert_ne!(sum(&token), sum(&of_session(&key, one, Some(theirs))), "another name needs another signature");
        assert_ne!(sum(&token), sum(&of_session(&key, one, None)));
        assert_eq!(org_of(&of_session(&key, one, None)), Some(None));
        let browser = of_browser(&key, &format!("session:{one}:{NO_ORG}"));
        assert_eq!(org_of(&browser), None);
        assert_ne!(sum(&of_session(&key, one, None)), Some(browser), "no cookie makes the token of a session");
    }

    #[test]
    fn a_form_acts_on_what_it_was_made_for_or_on_nothing() {
        let (ours, theirs) = (OrgId::fresh(), OrgId::fresh());
        for (acts, right) in [(ours, true), (theirs, false)] {
            let request = actix_web::test::TestRequest::default().to_http_request();
            assert!(acts_on(&request, acts).is_ok(), "a form for any");
            request.extensions_mut().insert(MadeFor(ours));
            assert_eq!(agree(&request).is_ok(), right);
            assert_eq!(acts_on(&request, acts).is_ok(), right, "whichever is known first");
        }
    }
}
