//! Headers of every response, the id of every request, and the limits of its body.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, web};

use super::App;
use super::error::NothingBroken;
use super::patience;
use crate::base::ids::RequestId;

/// Only what this instance serves runs or shows on its pages.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

#[derive(Clone, Copy)]
struct CurrentRequest(RequestId);

/// The id by which this request is found in the log.
#[must_use]
pub fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<CurrentRequest>().map(|current| current.0.to_string()).unwrap_or_default()
}

/// Names the request, bounds how long its body takes, logs how it ended, and sets what every response carries.
///
/// # Errors
/// Those of the handler.
pub async fn every_response(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = RequestId::fresh();
    request.extensions_mut().insert(CurrentRequest(id));
    let app = request.app_data::<web::Data<App>>();
    let (https, patience) = app.map_or((false, None), |app| (app.is_https(), Some(app.patience)));
    if let Some(patience) = patience {
        let unread = request.request().conn_data().cloned();
        let body = patience::bounded(request.take_payload(), patience, unread);
        request.set_payload(body);
    }
    let started = std::time::Instant::now();
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let mut response = next.call(request).await?;
    let status = response.status();
    // An error page shows an id of its own making; then that is the request's.
    let shown = response.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    let id = shown.map_or_else(|| id.to_string(), str::to_owned);
    if status.is_server_error() && response.response().extensions().get::<NothingBroken>().is_none() {
        tracing::error!(request = %id, %method, path, status = status.as_u16(), ms = started.elapsed().as_millis(), "failed");
    } else {
        tracing::debug!(request = %id, %method, path, status = status.as_u16(), ms = started.elapsed().as_millis(), "answered");
    }
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(HeaderName::from_static("x-request-id"), &id);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if https {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    Ok(response)
}

/// Sets what pages carry beyond that.
///
/// # Errors
/// Those of the handler.
pub async fn every_page(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let mut response = next.call(request).await?;
    forget_flash(&mut response);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=(), payment=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Some pages say more about these two.
    for (name, value) in
        [(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "strict-origin-when-cross-origin")]
    {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(response)
}

/// A notice is shown once: a page that could show it takes it away.
pub fn forget_flash<B>(response: &mut ServiceResponse<B>) {
    let shown = response.status() != actix_web::http::StatusCode::SEE_OTHER;
    if shown && response.request().cookie(super::flash::NAME).is_some() {
        let mut cookie = actix_web::cookie::Cookie::build(super::flash::NAME, "").path("/").finish();
        cookie.make_removal();
        response.response_mut().add_cookie(&cookie).ok();
    }
}
