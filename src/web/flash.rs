//! What has just happened, told once on the next page. It travels in a cookie that only we set.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::App;
use super::page::see_other;
use super::views::Flash;

pub const NAME: &str = "farebox_flash";
const MAX_LENGTH: usize = 400;

/// Adds a notice for the next page to a redirect.
pub fn set<B>(response: &mut HttpResponse<B>, app: &App, good: bool, text: &str) {
    let text: String = text.chars().take(MAX_LENGTH).collect();
    let value = format!("{}{}", if good { "g" } else { "b" }, utf8_percent_encode(&text, NON_ALPHANUMERIC));
    let cookie = Cookie::build(NAME, value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(app.is_https())
        .max_age(Duration::minutes(1))
        .finish();
    response.add_cookie(&cookie).ok();
}

/// After a change: go and look, by GET, and hear what became of it.
#[must_use]
pub fn told(app: &App, to: &str, good: bool, text: &str) -> HttpResponse {
    let mut response = see_other(to);
    set(&mut response, app, good, text);
    response
}

/// The notice that the last redirect left, if any.
#[must_use]
pub fn take(request: &HttpRequest) -> Option<Flash> {
    let cookie = request.cookie(NAME)?;
    let (kind, rest) = cookie.value().split_at_checked(1)?;
    let text = percent_decode_str(rest).decode_utf8().ok()?;
    Some(if kind == "g" { Flash::good(text) } else { Flash::bad(text) })
}
