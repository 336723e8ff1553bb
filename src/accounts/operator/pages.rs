//! The page on which the first operator is made.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use crate::accounts::Recent;
use crate::web::views::accounts as views;
use crate::web::{App, PageError, Protected, client, flash, html, public_page, see_other, unprocessable};

#[derive(Deserialize)]
pub struct ClaimQuery {
    #[serde(default)]
    token: String,
}

fn void(app: &App, request: &HttpRequest) -> views::ClaimOperator {
    views::ClaimOperator {
        page: public_page(app, request, "This link no longer works"),
        expired: true,
        ..views::ClaimOperator::default()
    }
}

/// `GET /operator/claim`: only asks. Whoever opens it shows first who they are, so that the token is still in the URL
/// when they come back.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn claim_form(
    app: web::Data<App>,
    person: Recent,
    request: HttpRequest,
    query: web::Query<ClaimQuery>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    let token = query.into_inner().token;
    if !super::is_claimable(&mut conn, &token).await? {
        return html(&void(&app, &request));
    }
    html(&views::ClaimOperator {
        page: public_page(&app, &request, "Become the operator"),
        email: person.0.person().email.clone(),
        token,
        expired: false,
    })
}

#[derive(Deserialize)]
pub struct ClaimForm {
    token: String,
}

/// `POST /operator/claim`
///
/// # Errors
/// Database errors only; a token that was used is told on the page.
pub async fn claim(
    app: web::Data<App>,
    person: Recent,
    request: HttpRequest,
    Protected(form): Protected<ClaimForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    let origin = client::origin(&app, &request);
    if !super::claim(&mut conn, person.0.person(), &form.token, &origin).await? {
        return unprocessable(&void(&app, &request));
    }
    let mut response = see_other("/");
    flash::set(&mut response, &app, true, "You are the operator of this instance now.");
    Ok(response)
}
