//! Who is at the other end of the connection.

use std::net::IpAddr;

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
    address(app, request).map(|ip| ip.to_string()).unwrap_or_default()
}

/// As [`ip`], for comparing. `None` when nothing is known of it.
#[must_use]
pub fn address(app: &App, request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let written = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let written: Vec<&str> = written.flat_map(|value| value.split(',')).collect();
    Some(app.proxies.client(peer, &written))
}

#[must_use]
pub fn user_agent(request: &HttpRequest) -> String {
    let text = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(300).collect()
}
