//! No other site may act for a person.
//!
//! Three walls: cookies are `SameSite=Lax`; a request that changes something must come from our own
//! pages by `Sec-Fetch-Site` or `Origin`; and a form carries a token that is bound to the browser's cookie.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, ResponseError, web};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{App, PageError, cookies};
use crate::base::secret::random_token;

/// The browser's mark for the time of this request, when it has just been given one.
#[derive(Clone)]
struct FreshMark(String);

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

/// What a form token is bound to: the session, else the browser's mark.
fn binding(app: &App, request: &HttpRequest) -> Option<String> {
    cookies::read(request, cookies::session_name(app)).or_else(|| mark(app, request))
}

/// The token for forms of this response.
#[must_use]
pub fn token(app: &App, request: &HttpRequest) -> String {
    binding(app, request).map(|binding| sign(app, &binding)).unwrap_or_default()
}

#[must_use]
pub fn is_valid(app: &App, request: &HttpRequest, token: &str) -> bool {
    let Some(binding) = binding(app, request) else { return false };
    sign(app, &binding).as_bytes().ct_eq(token.as_bytes()).into()
}

fn sign(app: &App, binding: &str) -> String {
    // HMAC takes keys of any length, so this cannot fail; an empty token would match nothing useful.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(app.form_key.expose()) else { return String::new() };
    mac.update(binding.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}
