//! `/step-up/continue`: the form that was kept, to be sent after all.

use actix_web::{HttpRequest, HttpResponse, web};

use super::form::KeptForm;
use super::store;
use crate::accounts::{Factors, Recent};
use crate::web::views::accounts as views;
use crate::web::{App, PageError, flash, html, public_page, see_other};

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
    let Ok(form) = KeptForm::open(&factors.sealer, session, paths, &sealed) else {
        // Sealed with a key that is no longer this instance's.
        store::forget(&mut conn, session).await?;
        return Ok(gone(&app));
    };
    html(&views::KeptForm {
        page: public_page(&app, &request, "Go on where you were"),
        shown: form.shown(),
        action: form.action,
        back: form.back,
        fields: form.fields,
    })
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
