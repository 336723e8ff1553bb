//! Where processors deliver their messages. A message is believed for its signature alone, stored, and applied later;
//! success is answered only when it is stored.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use metrics::counter;

use super::inbox;
use super::processors::{Processors, WebhookError};
use crate::web::App;

/// No processor sends larger messages.
pub const MAX_BODY: usize = 256 * 1024;

/// `POST /webhooks/{processor}`
///
/// Answers 200 for what is stored, was stored before, or does not matter; 400 for what is not believed, and says no
/// more; 503 when it could not be stored, so that it is delivered again.
pub async fn receive(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    request: HttpRequest,
    processor: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let Ok(by) = processors.get(&processor) else { return answer(StatusCode::NOT_FOUND, "no such processor\n") };
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let event = match by.read_webhook(&header, &body, app.clock.now()) {
        Ok(event) => event,
        Err(WebhookError::Irrelevant) => return answer(StatusCode::OK, "ignored\n"),
        Err(error) => {
            counter!("farebox_webhooks_refused_total", "processor" => by.name()).increment(1);
            tracing::warn!(processor = by.name(), %error, "a payment message was refused");
            return answer(StatusCode::BAD_REQUEST, "refused\n");
        }
    };
    match inbox::take(&app.db, event).await {
        Ok(()) => answer(StatusCode::OK, "stored\n"),
        Err(error) => {
            tracing::error!(processor = by.name(), %error, "a payment message was not stored");
            answer(StatusCode::SERVICE_UNAVAILABLE, "try again\n")
        }
    }
}

fn answer(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text)
}
