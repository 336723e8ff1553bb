//! Getting a key by a link, without an account.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{base_url, snippets};
use crate::base::Viewer;
use crate::catalog::Shelf;
use crate::keys::extract::keep_holder;
use crate::keys::give::{self, ClaimError};
use crate::keys::shown::limit_lines;
use crate::ledger;
use crate::web::page::{TokenLink, with_status, without_referrer};
use crate::web::views::holders as views;
use crate::web::{App, PageError, Protected, client, html, public_page};

/// `GET /claim`: says what the link gives and changes nothing, because programs that read mail open links, too.
///
/// # Errors
/// Database errors only; a link that gives nothing has a page that says why.
pub async fn show(
    app: web::Data<App>,
    request: HttpRequest,
    link: web::Query<TokenLink>,
) -> Result<HttpResponse, PageError> {
    let mut tx = app.db.begin().await?;
    let offer = match give::look(&mut tx, &link.token, app.clock.now()).await {
        Ok(offer) => offer,
        Err(error) => return over(&app, &request, error),
    };
    let meters = ledger::meter_states(&mut tx, offer.key.org, &[offer.key.meter()]).await?;
    let limits = meters.first().map(|meter| meter.limits).unwrap_or_default();
    let viewer = Viewer::ANYBODY;
    let page = html(&views::Claim {
        page: public_page(&app, &request, "A key for you"),
        token: link.token.clone(),
        org_name: offer.org_name,
        maker: offer.key.maker.clone().unwrap_or_else(|| "Somebody".to_owned()),
        name: offer.key.name.clone(),
        limits: limit_lines(&limits),
        expires: offer.key.expires_at.map_or_else(|| "Never".to_owned(), |at| viewer.moment_in_zone(at)),
        until: viewer.moment_in_zone(offer.until),
    })?;
    Ok(without_referrer(page))
}

/// `POST /claim`: the answer is the only page that ever shows the key.
///
/// # Errors
/// As [`show`].
pub async fn claim(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    request: HttpRequest,
    Protected(link): Protected<TokenLink>,
) -> Result<HttpResponse, PageError> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let claimed = match give::claim(&mut tx, &link.token, now, &client::origin(&app, &request)).await {
        Ok(claimed) => claimed,
        Err(error) => return over(&app, &request, error),
    };
    let meters = ledger::meter_states(&mut tx, claimed.key.org, &[claimed.key.meter()]).await?;
    tx.commit().await?;
    let limits = meters.first().map(|meter| meter.limits).unwrap_or_default();
    let text = claimed.plain.reveal();
    let expires = claimed.key.expires_at;
    let mut response = html(&views::Claimed {
        page: public_page(&app, &request, "Your key"),
        key: text.to_owned(),
        org_name: claimed.org_name,
        name: claimed.key.name.clone(),
        limits: limit_lines(&limits),
        expires: expires.map_or_else(|| "Never".to_owned(), |at| Viewer::ANYBODY.moment_in_zone(at)),
        base_url: base_url(&app),
        snippets: snippets(&app, &shelf.current(), &claimed.key, Some(text)),
    })?;
    // Whoever has just got the key may look at it without pasting it.
    keep_holder(&app, &mut response, &claimed.key, now);
    Ok(without_referrer(response))
}

fn over(app: &App, request: &HttpRequest, error: ClaimError) -> Result<HttpResponse, PageError> {
    let viewer = Viewer::ANYBODY;
    let ask = "Ask whoever gave it to you for another one.";
    let (title, text) = match error {
        ClaimError::Database(error) => return Err(error.into()),
        ClaimError::Unknown => (
            "This link does not work",
            format!("It was revoked, another link took its place, or a part of it is missing. {ask}"),
        ),
        ClaimError::Used(at) => (
            "This link was used",
            format!(
                "Its key was shown on {}, once. If that was not you, tell whoever gave you the link, so that they \
                     can stop the key.",
                viewer.moment_in_zone(at)
            ),
        ),
        ClaimError::Late(at) => {
            ("This link is too old", format!("It worked until {}. {ask}", viewer.moment_in_zone(at)))
        }
        ClaimError::Withdrawn => {
            ("This key is not given out any more", format!("It was stopped before anybody claimed it. {ask}"))
        }
    };
    let page = views::LinkOver {
        page: public_page(app, request, title),
        text,
        href: "/key".to_owned(),
        label: "Look up a key that you have".to_owned(),
    };
    Ok(without_referrer(with_status(StatusCode::GONE, &page)?))
}
