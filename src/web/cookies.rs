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
pub fn landing_name(app: &App) -> &'static str {
    name(app, "farebox_landing", "__Host-farebox_landing")
}

/// Where somebody goes once the address of their new account is proven.
#[must_use]
pub fn landing(app: &App, path: &str) -> Cookie<'static> {
    let encoded = percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut cookie = build(app, landing_name(app), encoded);
    cookie.set_max_age(Duration::days(1));
    cookie
}

/// What [`landing`] has left, else the first page.
#[must_use]
pub fn landing_path(app: &App, request: &HttpRequest) -> String {
    let cookie = request.cookie(landing_name(app));
    let path = cookie.and_then(|cookie| {
        percent_encoding::percent_decode_str(cookie.value()).decode_utf8().ok().map(|path| path.into_owned())
    });
    path.unwrap_or_else(|| "/".to_owned())
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

#[must_use]
pub fn holder_name(app: &App) -> &'static str {
    name(app, "farebox_holder", "__Host-farebox_holder")
}

/// The cookie of a browser that may look at one key for so many minutes. It names the key and is not one.
#[must_use]
pub fn holder(app: &App, mark: &str, minutes: i64) -> Cookie<'static> {
    let mut cookie = build(app, holder_name(app), mark.to_owned());
    cookie.set_max_age(Duration::minutes(minutes));
    cookie
}
