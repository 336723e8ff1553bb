//! Sending a browser to another site from a form. A redirect would be the answer to the form, and our own policy lets
//! forms lead nowhere else; so the answer is a small page that goes on by itself.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::views::Away;
use super::{App, PageError, html, public_page};

/// Where to, and what a person should know of it.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// What people call it.
    pub label: &'a str,
    pub url: &'a url::Url,
    pub explanation: &'a str,
    /// The way back, and its words.
    pub back: (&'a str, &'a str),
}

/// The page that goes on to `to`.
///
/// # Errors
/// When the address is no header.
pub fn away(app: &App, request: &HttpRequest, to: Destination<'_>) -> Result<HttpResponse, PageError> {
    let mut response = html(&Away {
        page: public_page(app, request, &format!("On the way to {}", to.label)),
        label: to.label.to_owned(),
        host: to.url.host_str().unwrap_or_default().to_owned(),
        url: to.url.to_string(),
        explanation: to.explanation.to_owned(),
        back_href: to.back.0.to_owned(),
        back_label: to.back.1.to_owned(),
    })?;
    let refresh = HeaderValue::from_str(&format!("0;url={}", to.url))
        .map_err(|_| PageError::Internal(anyhow::anyhow!("an address is no header")))?;
    response.headers_mut().insert(HeaderName::from_static("refresh"), refresh);
    Ok(response)
}
