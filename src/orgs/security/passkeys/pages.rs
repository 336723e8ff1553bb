//! `/settings/security/passkeys`

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::super::pages::{HERE, NO_PASSKEYS, back};
use crate::accounts::passkeys::{self, AddError};
use crate::accounts::two_factor::pages::asked;
use crate::accounts::{Device, Factors, Links, Recent, lock_ways_in, two_factor};
use crate::base::ids::PasskeyId;
use crate::orgs::{Member, Myself};
use crate::web::views::Field;
use crate::web::views::security as views;
use crate::web::{App, EmptyForm, PageError, Protected, client, html, unprocessable};

fn new_view(member: &Member, name: &str, error: &str) -> views::PasskeyNew {
    views::PasskeyNew {
        shell: member.shell("security", "Add a passkey", ""),
        name: Field::of(name),
        error: error.to_owned(),
    }
}

/// `GET /settings/security/passkeys/new`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn new_form(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    person: Recent,
    member: Member,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let _ = person;
    if factors.webauthn.is_none() {
        return Ok(back(&app, false, NO_PASSKEYS));
    }
    let device = Device::of(&client::user_agent(&request), "");
    html(&new_view(&member, &device.browser, ""))
}

impl From<AddError> for PageError {
    fn from(error: AddError) -> PageError {
        match error {
            AddError::Database(error) => error.into(),
            AddError::Internal(error) => PageError::Internal(error),
            other => PageError::Invalid(other.to_string()),
        }
    }
}

/// `POST /settings/security/passkeys/start`
///
/// # Errors
/// `Invalid` where no passkey can be added.
pub async fn start(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    person: Recent,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.acquire().await?;
    Ok(asked(&passkeys::start_adding(&mut conn, &factors, person.0.person()).await?))
}

#[derive(Deserialize)]
pub struct PasskeyForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    challenge: String,
    #[serde(default)]
    credential: String,
}

/// `POST /settings/security/passkeys`
///
/// # Errors
/// Database errors; a passkey that was refused is told on the page.
pub async fn add(
    app: web::Data<App>,
    factors: web::Data<Factors>,
    person: Recent,
    member: Myself,
    request: HttpRequest,
    Protected(form): Protected<PasskeyForm>,
) -> Result<HttpResponse, PageError> {
    let origin = client::origin(&app, &request);
    let mut tx = app.db.begin().await?;
    let given = (form.challenge.as_str(), form.credential.as_str(), form.name.as_str());
    let added = passkeys::add(&mut tx, &factors, &Links::of(&app), person.0.person(), given, &origin).await;
    match added {
        Ok(_) => {
            tx.commit().await?;
            Ok(back(&app, true, "Your passkey is added. It signs you in from now on."))
        }
        Err(error @ (AddError::TooLate | AddError::Refused | AddError::Known | AddError::TooMany)) => {
            // Its challenge is used up.
            tx.commit().await?;
            unprocessable(&new_view(&member, &form.name, &error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// `GET /settings/security/passkeys/{passkey}/remove`
///
/// # Errors
/// `NotFound` for a passkey that is not this person's.
pub async fn remove_form(
    app: web::Data<App>,
    person: Recent,
    member: Member,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id: PasskeyId = path.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = app.db.acquire().await?;
    let known = passkeys::list(&mut conn, person.0.person().id).await?;
    let passkey = known.into_iter().find(|passkey| passkey.id == id).ok_or(PageError::NotFound)?;
    html(&views::Confirm {
        shell: member.shell("security", "Remove this passkey?", ""),
        text: format!(
            "“{}” will no longer sign in here. It stays on its device until you delete it there. We tell you by mail \
             that it was removed.",
            passkey.name
        ),
        action: format!("{HERE}/passkeys/{id}/remove"),
        button: "Remove the passkey".into(),
        danger: true,
        keep: "Keep it".into(),
    })
}

/// `POST /settings/security/passkeys/{passkey}/remove`
///
/// # Errors
/// `NotFound` for a passkey that is not this person's.
pub async fn remove(
    app: web::Data<App>,
    person: Recent,
    request: HttpRequest,
    path: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let id: PasskeyId = path.parse().map_err(|_| PageError::NotFound)?;
    let origin = client::origin(&app, &request);
    let mut tx = app.db.begin().await?;
    // Somebody else's is not there, whatever their own are to them.
    if !passkeys::list(&mut tx, person.0.person().id).await?.iter().any(|passkey| passkey.id == id) {
        return Err(PageError::NotFound);
    }
    if two_factor::is_last_factor(&mut tx, person.0.person().id).await? {
        let told = "This passkey is your second factor, so it stays. Add another one or an app first, or switch two-factor \
                    sign-in off.";
        return Ok(back(&app, false, told));
    }
    if lock_ways_in(&mut tx, person.0.person().id).await?.is_last() {
        let told = "This passkey is your only way to sign in, so it stays. Add a password, another passkey or a linked account \
                    first.";
        return Ok(back(&app, false, told));
    }
    if !passkeys::remove(&mut tx, &Links::of(&app), person.0.person(), id, &origin).await? {
        return Err(PageError::NotFound);
    }
    tx.commit().await?;
    Ok(back(&app, true, "The passkey is removed."))
}
