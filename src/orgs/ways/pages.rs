//! Ways to sign in: the password, and accounts elsewhere.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use crate::accounts::oidc::{self, Identity, LinkError, Providers};
use crate::accounts::{self, Hasher, Links, Password, Recent};
use crate::base::ids::IdentityId;
use crate::orgs::{Member, Myself};
use crate::web::views::Field;
use crate::web::views::accounts as views;
use crate::web::{App, PageError, Protected, client, cookies, flash, html, present, see_other, unprocessable};

const HERE: &str = "/settings/sign-in";

fn label_of(providers: &Providers, identity: &Identity) -> String {
    match providers.of_issuer(&identity.issuer) {
        Some(provider) => provider.settings.label.clone(),
        // The operator has taken it out of the configuration since.
        None => identity.issuer.clone(),
    }
}

async fn view(
    app: &App,
    providers: &Providers,
    member: &Member,
    password_error: &str,
) -> Result<views::WaysToSignIn, PageError> {
    let mut conn = app.db.acquire().await?;
    let person = member.person();
    let identities = oidc::identities_of(&mut conn, person.id).await?;
    let stored = accounts::find_person(&mut conn, person.id).await?.ok_or(PageError::NotFound)?;
    let has_password = stored.password_hash.is_some();
    let has_passkey = accounts::passkeys::has_any(&mut conn, person.id).await?;
    let (now, viewer) = (app.clock.now(), person.viewer());
    let free = providers.iter().filter(|provider| {
        let issuer = &provider.settings.issuer;
        !identities.iter().any(|identity| identity.issuer == *issuer)
    });
    Ok(views::WaysToSignIn {
        shell: member.shell(
            "sign-in",
            "Ways to sign in",
            "What lets you in. Keep two, so that losing one does not lock you out.",
        ),
        email: person.email.clone(),
        has_password,
        password: Field::wrong("", password_error),
        linkable: oidc::pages::buttons(free),
        identities: identities
            .iter()
            .map(|identity| views::LinkedIdentity {
                id: identity.id.to_string(),
                label: label_of(providers, identity),
                email: identity.email.clone(),
                linked: present::when(identity.linked_at, now, viewer),
                last_used: identity.last_used_at.map(|at| present::when(at, now, viewer)),
                usable: providers.of_issuer(&identity.issuer).is_some(),
                only_way: !has_password && !has_passkey && identities.len() == 1,
            })
            .collect(),
    })
}

/// `GET /settings/sign-in`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    // A password is not kept over a step-up, so it is asked for before one is typed.
    _recent: Recent,
    member: Member,
) -> Result<HttpResponse, PageError> {
    html(&view(&app, &providers, &member, "").await?)
}

#[derive(Deserialize)]
pub struct UnlinkForm {
    #[serde(default)]
    identity: String,
}

/// `POST /settings/sign-in/unlink`
///
/// # Errors
/// `NotFound` for an identity that is not theirs.
pub async fn unlink(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    person: Recent,
    request: HttpRequest,
    Protected(form): Protected<UnlinkForm>,
) -> Result<HttpResponse, PageError> {
    let id: IdentityId = form.identity.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = app.db.acquire().await?;
    let links = Links::of(&app);
    let (session, origin) = (&person.0.session, client::origin(&app, &request));
    let label = |identity: &Identity| label_of(&providers, identity);
    let mut response = see_other(HERE);
    match oidc::unlink(&mut conn, &links, session, id, label, &origin).await {
        Ok(label) => flash::set(&mut response, &app, true, &format!("{label} no longer signs you in.")),
        Err(LinkError::LastWay) => {
            let text = "It was not unlinked: it is your only way to sign in. Add a password first.";
            flash::set(&mut response, &app, false, text);
        }
        Err(LinkError::Database(error)) => return Err(error.into()),
        Err(LinkError::Internal(error)) => return Err(PageError::Internal(error)),
        Err(LinkError::NotLinked | LinkError::Taken | LinkError::Another) => return Err(PageError::NotFound),
    }
    Ok(response)
}

#[derive(Deserialize)]
pub struct PasswordForm {
    #[serde(default)]
    password: String,
}

/// `POST /settings/sign-in/password`
///
/// # Errors
/// Database errors only; mistakes are shown beside the field.
pub async fn change_password(
    app: web::Data<App>,
    providers: web::Data<Providers>,
    hasher: web::Data<Hasher>,
    person: Recent,
    member: Myself,
    request: HttpRequest,
    Protected(form): Protected<PasswordForm>,
) -> Result<HttpResponse, PageError> {
    let session = &person.0.session;
    let password = match Password::choose(&form.password, &session.person.email) {
        Ok(password) => password,
        Err(problem) => {
            let error = format!("The password {problem}. Nothing was changed.");
            return unprocessable(&view(&app, &providers, &member, &error).await?);
        }
    };
    let links = Links::of(&app);
    let origin = client::origin(&app, &request);
    let secret = accounts::change_password(&app.db, &hasher, &links, session, password, &origin).await?;
    let mut response = see_other(HERE);
    response.add_cookie(&cookies::session(&app, secret.0.expose())).ok();
    flash::set(&mut response, &app, true, "Your password is set. Every other browser is signed out.");
    Ok(response)
}
