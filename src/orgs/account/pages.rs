//! The e-mail address and the picture of whoever is signed in.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use crate::accounts::email_change::{self, EmailChangeError};
use crate::accounts::{Links, Recent, SignedIn};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::EmailAddress;
use crate::base::ids::PictureId;
use crate::orgs::{Member, Myself, pages};
use crate::pictures::{self, Owner};
use crate::web::views::Field;
use crate::web::views::accounts as views;
use crate::web::{App, EmptyForm, PageError, Protected, Upload, client, flash, html, see_other, unprocessable};

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
    member: Myself,
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
    let links = Links::of(&app);
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

fn picture_changed(member: &Member) -> Entry {
    let person = member.person();
    Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::PictureChanged, &member.origin)
        .named(&person.name)
}

/// `POST /settings/picture`
///
/// # Errors
/// Database errors; what is wrong with the file is shown beside its field.
pub async fn save_picture(app: web::Data<App>, member: Myself, upload: Upload) -> Result<HttpResponse, PageError> {
    let picture = match pictures::decode(upload.file).await? {
        Ok(picture) => picture,
        Err(error) => {
            let view = pages::current(&member);
            return unprocessable(&views::Profile { picture_error: error.to_string(), ..view });
        }
    };
    let mut tx = app.db.begin().await?;
    pictures::set(&mut tx, Owner::Person(member.person().id), &picture).await?;
    audit::record(&mut tx, picture_changed(&member)).await?;
    tx.commit().await?;
    let mut response = see_other("/settings/profile");
    flash::set(&mut response, &app, true, "Your picture is saved.");
    Ok(response)
}

/// `POST /settings/picture/remove`
///
/// # Errors
/// Database errors only.
pub async fn remove_picture(
    app: web::Data<App>,
    member: Myself,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = app.db.begin().await?;
    if pictures::remove(&mut tx, Owner::Person(member.person().id)).await? {
        audit::record(&mut tx, picture_changed(&member)).await?;
    }
    tx.commit().await?;
    let mut response = see_other("/settings/profile");
    flash::set(&mut response, &app, true, "Your picture is removed.");
    Ok(response)
}

/// `GET /pictures/{picture}`, for whoever is signed in. A picture never changes under its id.
///
/// # Errors
/// `NotFound` when it was replaced or removed.
pub async fn picture(
    app: web::Data<App>,
    _person: SignedIn,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id: PictureId = path.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = app.db.acquire().await?;
    let png = pictures::find(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/png"))
        .insert_header((CACHE_CONTROL, "private, max-age=31536000, immutable"))
        .body(png))
}
