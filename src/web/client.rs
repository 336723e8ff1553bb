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

/// The client's address. `X-Forwarded-For` counts only as far as trusted proxies wrote it:
/// the last entry comes from the nearest proxy, and what stands before is anybody's claim.
#[must_use]
pub fn ip(app: &App, request: &HttpRequest) -> String {
    address(app, request).map(|ip| ip.to_string()).unwrap_or_default()
}

/// As [`ip`], for comparing. `None` when nothing is known of it.
#[must_use]
pub fn address(app: &App, request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    let claimed = match usize::from(app.trusted_proxies) {
        0 => None,
        proxies => forwarded(request, proxies),
    };
    claimed.or(peer).map(|ip| ip.to_canonical())
}

fn forwarded(request: &HttpRequest, proxies: usize) -> Option<IpAddr> {
    let entries: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let index = entries.len().checked_sub(proxies)?;
    entries.get(index)?.trim().parse().ok()
}

#[must_use]
pub fn user_agent(request: &HttpRequest) -> String {
    let text = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(300).collect()
}
