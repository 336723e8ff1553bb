//! `/step-up/continue`: the form that was kept, to be sent after all.

use actix_web::{HttpRequest, HttpResponse, web};

use super::form::KeptForm;
use super::{store, words};
use crate::accounts::{Factors, Recent};
use crate::web::views::accounts as views;
use crate::web::{App, PageError, csrf, flash, form, html, public_page, see_other};

/// `GET /step-up/continue`
///
/// # Errors
/// Database errors only; without a form it leads to the first page.
pub async fn show(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    person: Recent,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let (mut conn, session) = (app.db.acquire().await?, person.0.session.id);
    let Some((paths, sealed)) = store::find(&mut conn, session).await? else { return Ok(gone(&app)) };
    let Ok(kept) = KeptForm::open(&factors.sealer, session, paths, &sealed) else {
        // Sealed with a key that is no longer this instance's.
        store::forget(&mut conn, session).await?;
        return Ok(gone(&app));
    };
    let (shown, mut page) = (kept.shown(), public_page(&app, &request, "Go on where you were"));
    let (tokens, fields): (Vec<_>, Vec<_>) = kept.fields.into_iter().partition(|(name, _)| name == form::TOKEN_FIELD);
    // What is open may have changed meanwhile; the form still is one of the organization that it was filled in for.
    page.csrf = csrf::token_again(&app, &request, tokens.first().map_or("", |(_, token)| token));
    let button = words::deed(&kept.action).to_owned();
    html(&views::KeptForm { page, shown, button, action: kept.action, back: kept.back, fields })
}

fn gone(app: &App) -> HttpResponse {
    let mut response = see_other("/");
    flash::set(
        &mut response,
        app,
        false,
        "A form is kept for fifteen minutes only, so nothing was done. Fill it in again.",
    );
    response
}
