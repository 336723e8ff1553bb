//! Noticing that a form came too late, and keeping it.

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, ResponseError, web};
use bytes::Bytes;

use super::form::{KEPT_FOR, KeptForm, MAX_BYTES};
use super::store;
use crate::accounts::{Factors, extract};
use crate::web::{App, PageError, flash, form};

const HERE: &str = "/step-up/continue";
const NOT_KEPT: &str = "What you sent was not done and not kept. Confirm that it is you, then enter it again.";

/// Passes requests on. A form that is answered with a step-up is kept, and the way leads back to it.
///
/// # Errors
/// Those of the handler.
pub async fn keep(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if !may_be_kept(&request) {
        let mut response = next.call(request).await?;
        if is_asked(&response).is_some() && response.request().method() == Method::POST {
            not_kept(&mut response);
        }
        return Ok(response.map_into_left_body());
    }
    let body: Bytes = match request.extract::<Bytes>().await {
        Ok(body) => body,
        Err(error) => return Ok(request.error_response(error).map_into_right_body()),
    };
    request.set_payload(Payload::from(body.clone()));
    let mut response = next.call(request).await?;
    let Some(back) = is_asked(&response) else { return Ok(response.map_into_left_body()) };
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    let app = response.request().app_data::<web::Data<App>>();
    // Which of the two is noticed first depends on whether the database or the form is read sooner.
    let proven = app.ok_or(PageError::Misconfigured).and_then(|app| form::check(app, response.request(), &fields));
    if let Err(error) = proven {
        return Ok(response.into_response(error.error_response()).map_into_right_body());
    }
    let kept = keep_form(response.request(), &back, fields).await.unwrap_or_else(|error| {
        // Then it is lost, and the step-up goes on.
        tracing::warn!(%error, "a form was not kept");
        false
    });
    if kept {
        let to_it = PageError::StepUp { next: HERE.to_owned() };
        return Ok(response.into_response(to_it.error_response()).map_into_right_body());
    }
    not_kept(&mut response);
    Ok(response.map_into_left_body())
}

/// Where the way goes on after the step-up that a handler asked for.
fn is_asked<B>(response: &ServiceResponse<B>) -> Option<String> {
    match response.response().error().and_then(|error| error.as_error::<PageError>()) {
        Some(PageError::StepUp { next }) => Some(next.clone()),
        _ => None,
    }
}

/// Nobody shall think that it was done.
fn not_kept<B>(response: &mut ServiceResponse<B>) {
    if let Some(app) = response.request().app_data::<web::Data<App>>().cloned() {
        flash::set(response.response_mut(), &app, false, NOT_KEPT);
    }
}

/// A form of fields, of a length that is told and small.
fn may_be_kept(request: &ServiceRequest) -> bool {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let length = text(header::CONTENT_LENGTH).parse().unwrap_or(usize::MAX);
    request.method() == Method::POST
        && text(header::CONTENT_TYPE).starts_with("application/x-www-form-urlencoded")
        && length <= MAX_BYTES
}

async fn keep_form(request: &HttpRequest, back: &str, fields: Vec<(String, String)>) -> Result<bool, PageError> {
    let app = request.app_data::<web::Data<App>>().ok_or(PageError::Misconfigured)?;
    let factors = request.app_data::<web::Data<Factors>>().ok_or(PageError::Misconfigured)?;
    let action = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Some(kept) = KeptForm::of(action, back, fields) else { return Ok(false) };
    let session = extract::current(request).await?.session.id;
    let sealed = kept.seal(&factors.sealer, session).map_err(|error| PageError::Internal(error.into()))?;
    let mut conn = app.db.acquire().await?;
    store::keep(&mut conn, session, (&kept.action, &kept.back), &sealed, KEPT_FOR).await?;
    Ok(true)
}
