//! From a view to a response.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::views::PublicPage;
use super::{App, PageError, csrf, flash};

/// The name in an address that says of which organization the page is. Links in mails have it: whoever follows one may have
/// another organization open.
pub const OF_ORG: &str = "org";

/// A page that is as it should be.
///
/// # Errors
/// When the template cannot be written.
pub fn html(view: &impl Template) -> Result<HttpResponse, PageError> {
    with_status(StatusCode::OK, view)
}

/// A page with a secret that is shown once: nobody keeps a copy, no cache and no history.
///
/// # Errors
/// When the template cannot be written.
pub fn once(view: &impl Template) -> Result<HttpResponse, PageError> {
    let mut response = html(view)?;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The same form again, with what is wrong beside each field.
///
/// # Errors
/// When the template cannot be written.
pub fn unprocessable(view: &impl Template) -> Result<HttpResponse, PageError> {
    with_status(StatusCode::UNPROCESSABLE_ENTITY, view)
}

/// # Errors
/// When the template cannot be written.
pub fn with_status(status: StatusCode, view: &impl Template) -> Result<HttpResponse, PageError> {
    let mut body =
        view.render().map_err(|error| PageError::Internal(anyhow::anyhow!("a page was not rendered: {error}")))?;
    if status.is_client_error() {
        body = told(&body);
    }
    Ok(HttpResponse::build(status).insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8")).body(body))
}

/// A page that came again says so to whoever does not see it: in its title, and by the focus, which is in the first field that
/// is wrong.
fn told(body: &str) -> String {
    const WRONG: &str = " aria-invalid=\"true\"";
    let body = body.replacen("<title>", "<title>Error: ", 1);
    // Where a field takes the focus in any case, it is the only one.
    if body.contains(" autofocus") { body } else { body.replacen(WRONG, &format!("{WRONG} autofocus"), 1) }
}

/// After a change: go and look, by GET.
#[must_use]
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}

/// What a link in a mail carries beside its address.
#[derive(Deserialize)]
pub struct TokenLink {
    #[serde(default)]
    pub token: String,
}

/// The address of the page is a secret, so nothing that it loads or leads to hears more of it than the site.
#[must_use]
pub fn without_referrer(mut response: HttpResponse) -> HttpResponse {
    let value = header::HeaderValue::from_static("strict-origin");
    response.headers_mut().insert(header::REFERRER_POLICY, value);
    response
}

/// The frame of a page that needs nobody to be signed in.
#[must_use]
pub fn public_page(app: &App, request: &HttpRequest, title: &str) -> PublicPage {
    PublicPage {
        title: title.to_owned(),
        csrf: csrf::token(app, request),
        flash: flash::take(request),
        dev: app.dev,
        theme: "system".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::views::Field;
    use crate::web::views::activity::{Filters, Index};

    #[test]
    fn a_page_that_came_again_says_so_and_begins_at_what_is_wrong() {
        let wrong = || Field::wrong("x", "This is no amount.");
        let filters = Filters { min: wrong(), max: wrong(), ..Filters::default() };
        let body = Index { any_calls: true, refused: true, filters, ..Index::default() }.render().expect("renders");
        let told = told(&body);
        assert_eq!((body.matches("<title>Error: ").count(), told.matches("<title>Error: ").count()), (0, 1));
        assert_eq!(told.matches(" autofocus").count(), 1, "only one field has the focus");
        let field = told.split(" autofocus").next().and_then(|before| before.rsplit('<').next()).unwrap_or_default();
        assert!(field.contains("id=\"min\""), "the first one: {field}");
    }
}
