//! The e-mail address of whoever is signed in.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use crate::accounts::email_change::{self, EmailChangeError};
use crate::accounts::{Links, Recent};
use crate::base::EmailAddress;
use crate::orgs::Member;
use crate::web::views::Field;
use crate::web::views::accounts as views;
use crate::web::{App, PageError, Protected, client, html, unprocessable};

const CONFIRM_LASTS: &str = "an hour";

fn view(member: &Member) -> views::EmailChange {
    views::EmailChange {
        shell: member.shell("profile", "Change your e-mail address", "Your old address is told, and can take it back."),
        current: member.person().email.clone(),
        link_lasts: CONFIRM_LASTS.into(),
        ..views::EmailChange::default()
    }
}

/// `GET /settings/email`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn email_form(member: Member, _recent: Recent) -> Result<HttpResponse, PageError> {
    html(&view(&member))
}

#[derive(Deserialize)]
pub struct EmailForm {
    email: String,
}

/// `POST /settings/email`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn email(
    app: web::Data<App>,
    member: Member,
    _recent: Recent,
    request: HttpRequest,
    Protected(form): Protected<EmailForm>,
) -> Result<HttpResponse, PageError> {
    let again = |problem: String| {
        unprocessable(&views::EmailChange { email: Field::wrong(&form.email, problem), ..view(&member) })
    };
    let new = match EmailAddress::parse(&form.email) {
        Ok(new) => new,
        Err(problem) => return again(format!("This {problem}.")),
    };
    let links = Links { base: app.public_url.clone() };
    let mut tx = app.db.begin().await?;
    let asked = email_change::ask(&mut tx, &links, member.person(), &new, &client::origin(&app, &request)).await;
    match asked {
        Ok(()) => {
            tx.commit().await?;
            html(&views::EmailChange { sent: new.to_string(), ..view(&member) })
        }
        Err(EmailChangeError::Same) => again(EmailChangeError::Same.to_string()),
        Err(error) => Err(error.into()),
    }
}
