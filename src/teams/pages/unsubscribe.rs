//! `/unsubscribe`: saying no to one kind of mail by the link in its head, without signing in.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::base::email_address::masked;
use crate::db;
use crate::mail::{Off, OffLinks};
use crate::notices;
use crate::orgs;
use crate::topups::Usual;
use crate::web::page::{TokenLink, with_status, without_referrer};
use crate::web::views::holders::LinkOver;
use crate::web::views::notices as views;
use crate::web::{App, PageError, client, html, public_page};

/// `GET /unsubscribe`: asks, and changes nothing, because programs that read mail open links, too.
///
/// # Errors
/// Database errors only; a link that does nothing has a page that says why.
pub async fn show(
    app: web::Data<App>,
    links: web::Data<OffLinks>,
    request: HttpRequest,
    link: web::Query<TokenLink>,
) -> Result<HttpResponse, PageError> {
    let Some(Off { org, person, topic }) = links.read(&link.token) else { return unknown(&app, &request) };
    let mut tx = db::tenant(&app.db, org).await?;
    let org_name = orgs::find_org(&mut tx, org).await?;
    let member = orgs::member_row(&mut tx, org, person).await?;
    drop(tx);
    let (Some(org_name), Some(member)) = (org_name, member) else { return no_member(&app, &request) };
    let page = html(&views::Off {
        page: public_page(&app, &request, "Stop these mails"),
        token: link.token.clone(),
        label: topic.label().to_owned(),
        note: topic.note().to_owned(),
        org_name,
        email: masked(&member.email),
    })?;
    Ok(without_referrer(page))
}

/// `POST /unsubscribe`: switches it off. Mail programs send it by themselves when their reader asks them to: without a cookie,
/// with a body that says nothing more and is not read, and they follow no redirect.
///
/// # Errors
/// As [`show`].
pub async fn stop(
    app: web::Data<App>,
    links: web::Data<OffLinks>,
    request: HttpRequest,
    link: web::Query<TokenLink>,
) -> Result<HttpResponse, PageError> {
    let Some(Off { org, person, topic }) = links.read(&link.token) else { return unknown(&app, &request) };
    let mut tx = db::tenant(&app.db, org).await?;
    let usual = Usual::of(&mut tx, org).await?;
    let usual = |topic, role| usual.choice(topic, role);
    let origin = client::origin(&app, &request);
    if !notices::switch_off(&mut tx, (org, person), topic, &origin, &usual).await? {
        return no_member(&app, &request);
    }
    tx.commit().await?;
    let page = LinkOver {
        page: public_page(&app, &request, "These mails have stopped"),
        text: format!(
            "You get no more mails about “{}” of this organization. All others still come. To get these again, sign in \
             and choose so.",
            topic.label()
        ),
        href: "/settings/notifications".to_owned(),
        label: "See notifications".to_owned(),
    };
    Ok(without_referrer(html(&page)?))
}

fn unknown(app: &App, request: &HttpRequest) -> Result<HttpResponse, PageError> {
    let page = LinkOver {
        page: public_page(app, request, "This link does not work"),
        text: "A part of it is missing or was changed, so nothing was done. Sign in to choose which mails you get."
            .to_owned(),
        href: "/settings/notifications".to_owned(),
        label: "See notifications".to_owned(),
    };
    Ok(without_referrer(with_status(StatusCode::BAD_REQUEST, &page)?))
}

/// Nothing is left to switch off, so a mail program is told that it is done.
fn no_member(app: &App, request: &HttpRequest) -> Result<HttpResponse, PageError> {
    let page = LinkOver {
        page: public_page(app, request, "These mails have stopped"),
        text: "Whoever this link was mailed to is no longer in the organization, and gets no mails about it."
            .to_owned(),
        ..LinkOver::default()
    };
    Ok(without_referrer(html(&page)?))
}
