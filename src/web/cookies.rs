//! Cookies, all out of reach of scripts.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};

use super::App;

/// `__Host-` binds a cookie to this host and to TLS; browsers refuse it without TLS.
fn name(app: &App, plain: &'static str, host: &'static str) -> &'static str {
    if app.is_https() { host } else { plain }
}

#[must_use]
pub fn session_name(app: &App) -> &'static str {
    name(app, "farebox_session", "__Host-farebox_session")
}

#[must_use]
pub fn visitor_name(app: &App) -> &'static str {
    name(app, "farebox_visitor", "__Host-farebox_visitor")
}

fn build(app: &App, name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build(name, value).path("/").http_only(true).same_site(SameSite::Lax).secure(app.is_https()).finish()
}

/// The cookie of a signed-in browser; it lives as long as a session may.
#[must_use]
pub fn session(app: &App, secret: &str) -> Cookie<'static> {
    let mut cookie = build(app, session_name(app), secret.to_owned());
    cookie.set_max_age(Duration::days(30));
    cookie
}

#[must_use]
pub fn half_name(app: &App) -> &'static str {
    name(app, "farebox_half", "__Host-farebox_half")
}

/// The cookie of a browser whose person owes the second factor; it lives as long as that may take.
#[must_use]
pub fn half(app: &App, secret: &str) -> Cookie<'static> {
    let mut cookie = build(app, half_name(app), secret.to_owned());
    cookie.set_max_age(Duration::minutes(5));
    cookie
}

/// A random mark of a browser that has no session; form tokens are bound to it.
#[must_use]
pub fn visitor(app: &App, mark: &str) -> Cookie<'static> {
    build(app, visitor_name(app), mark.to_owned())
}

#[must_use]
pub fn gone(app: &App, name: &'static str) -> Cookie<'static> {
    let mut cookie = build(app, name, String::new());
    cookie.make_removal();
    cookie
}

#[must_use]
pub fn read(request: &HttpRequest, name: &str) -> Option<String> {
    request.cookie(name).map(|cookie| cookie.value().to_owned()).filter(|value| value.len() == 64)
}
