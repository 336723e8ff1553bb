//! What load balancers and monitoring ask.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::base::Secret;
use crate::base::secret::Digest;
use crate::boot::{Figures, Readiness};
use crate::web::{App, NothingBroken};

/// Nobody waits longer for the database here.
const DATABASE_ANSWERS: Duration = Duration::from_secs(2);

/// The process is alive.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

/// The process may get requests: it is not stopping and its database answers.
pub async fn readyz(app: web::Data<App>, readiness: web::Data<Readiness>) -> HttpResponse {
    if readiness.is_stopping() {
        let mut response = HttpResponse::ServiceUnavailable().body("stopping\n");
        response.extensions_mut().insert(NothingBroken);
        return response;
    }
    let asked = sqlx::query("select 1").execute(&app.db);
    match tokio::time::timeout(DATABASE_ANSWERS, asked).await {
        Ok(Ok(_)) => HttpResponse::Ok().body("ready\n"),
        Ok(Err(_)) | Err(_) => HttpResponse::ServiceUnavailable().body("the database does not answer\n"),
    }
}

/// What `/metrics` shows, and to whom.
#[derive(Clone)]
pub struct Metrics {
    pub figures: Figures,
    pub token: Option<Secret<String>>,
}

/// What is measured, for whoever may see it.
pub async fn metrics(request: HttpRequest, metrics: web::Data<Metrics>) -> HttpResponse {
    let allowed = match &metrics.token {
        Some(token) => bears(&request, token),
        None => request.peer_addr().is_some_and(|peer| peer.ip().is_loopback()),
    };
    if !allowed {
        return HttpResponse::Unauthorized().body("FAREBOX_METRICS_TOKEN is needed\n");
    }
    let shown = metrics.figures.render().await;
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4")).body(shown)
}

fn bears(request: &HttpRequest, token: &Secret<String>) -> bool {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    Digest::of(given).matches(&Digest::of(token.expose()))
}
