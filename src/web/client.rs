//! Who is at the other end of the connection.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::App;
use crate::base::Origin;

/// From where a request comes.
#[must_use]
pub fn origin(app: &App, request: &HttpRequest) -> Origin {
    Origin { ip: ip(app, request), user_agent: user_agent(request) }
}

/// The client's address. `X-Forwarded-For` counts only as far as trusted proxies wrote it; what stands before is anybody's
/// claim.
#[must_use]
pub fn ip(app: &App, request: &HttpRequest) -> String {
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let Some(peer) = peer else { return String::new() };
    let written = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let written: Vec<&str> = written.flat_map(|value| value.split(',')).collect();
    app.proxies.client(peer, &written).to_string()
}

#[must_use]
pub fn user_agent(request: &HttpRequest) -> String {
    let text = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(300).collect()
}
