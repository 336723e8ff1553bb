//! Stopping a key by the link in a mail, without signing in.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::base::Viewer;
use crate::keys::alarm::{self, AlarmError};
use crate::web::page::{TokenLink, with_status, without_referrer};
use crate::web::present::amount;
use crate::web::views::holders as views;
use crate::web::{App, PageError, Protected, client, html, public_page};

/// `GET /alarm`: asks, and changes nothing.
///
/// # Errors
/// Database errors only; a link that does nothing has a page that says why.
pub async fn show(
    app: web::Data<App>,
    request: HttpRequest,
    link: web::Query<TokenLink>,
) -> Result<HttpResponse, PageError> {
    let mut tx = app.db.begin().await?;
    let found = match alarm::look_at_alarm(&mut tx, &link.token, app.clock.now()).await {
        Ok(found) => found,
        Err(error) => return over(&app, &request, error),
    };
    let page = html(&views::Alarm {
        page: public_page(&app, &request, "Stop a key"),
        token: link.token.clone(),
        key_name: found.key_name,
        masked: found.label,
        org_name: found.org_name,
        hour: Viewer::ANYBODY.moment_in_zone(found.hour),
        spent: amount(found.spent),
        usual: amount(found.usual),
        disabled: found.disabled_at.is_some(),
    })?;
    Ok(without_referrer(page))
}

/// `POST /alarm`
///
/// # Errors
/// As [`show`].
pub async fn stop(
    app: web::Data<App>,
    request: HttpRequest,
    Protected(link): Protected<TokenLink>,
) -> Result<HttpResponse, PageError> {
    let mut tx = app.db.begin().await?;
    let origin = client::origin(&app, &request);
    let stopped = match alarm::stop_by_alarm(&mut tx, &link.token, app.clock.now(), &origin).await {
        Ok(stopped) => stopped,
        Err(error) => return over(&app, &request, error),
    };
    tx.commit().await?;
    let page = views::LinkOver {
        page: public_page(&app, &request, "The key is stopped"),
        text: format!(
            "Calls with “{}” of {} are refused from now on. An owner or admin, or whoever made it, can enable it again.",
            stopped.key_name, stopped.org_name
        ),
        href: "/keys".to_owned(),
        label: "See the keys".to_owned(),
    };
    Ok(without_referrer(html(&page)?))
}

fn over(app: &App, request: &HttpRequest, error: AlarmError) -> Result<HttpResponse, PageError> {
    let (title, text) = match error {
        AlarmError::Database(error) => return Err(error.into()),
        AlarmError::Unknown => ("This link does not work", "A part of it is missing, or the key was deleted."),
        AlarmError::Used => ("This link was used", "The key was stopped with it. Sign in to see how it stands."),
        AlarmError::Late => ("This link is too old", "It worked for seven days. Sign in to stop the key."),
    };
    let page = views::LinkOver {
        page: public_page(app, request, title),
        text: text.to_owned(),
        href: "/keys".to_owned(),
        label: "See the keys".to_owned(),
    };
    Ok(without_referrer(with_status(StatusCode::GONE, &page)?))
}
