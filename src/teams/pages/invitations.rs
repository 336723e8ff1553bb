//! Inviting, and answering an invitation.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::list::{Asked, first_page};
use super::{of_team, told};
use crate::accounts::{self, Links, Recent, SignedIn};
use crate::base::ids::InvitationId;
use crate::base::{EmailAddress, Viewer};
use crate::orgs::{self, Invitation, Lasts, Manager, OrgError, Role};
use crate::web::views::Field;
use crate::web::views::teams::{self as views, InvitationState};
use crate::web::{App, EmptyForm, PageError, Protected, client, cookies, flash, html, public_page, unprocessable};

const MEMBERS: &str = "/settings/members";

#[derive(Deserialize)]
pub struct InviteForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    lasts: String,
}

/// `POST /settings/members/invitations`
///
/// # Errors
/// `NotFound` in a personal organization; mistakes are shown beside their field.
pub async fn invite(
    app: web::Data<App>,
    _recent: Recent,
    manager: Manager,
    Protected(form): Protected<InviteForm>,
) -> Result<HttpResponse, PageError> {
    of_team(&manager)?;
    let damaged = || PageError::Invalid("This role or time is not offered.".into());
    let role = Role::parse(&form.role).filter(|role| *role != Role::Owner).ok_or_else(damaged)?;
    let lasts = Lasts::parse(&form.lasts).ok_or_else(damaged)?;
    let email = match EmailAddress::parse(&form.email) {
        Ok(email) => email,
        Err(error) => return again(&app, &manager, form, format!("This {error}. Nothing was sent.")).await,
    };
    if let Err(error) = count(&app, &manager, &email).await {
        return again(&app, &manager, form, told(error)?).await;
    }
    let mut tx = manager.tenant(&app).await?;
    match super::super::invite(&mut tx, &manager.acting(), &Links::of(&app), &email, role, lasts).await {
        Ok(()) => tx.commit().await?,
        Err(error) => {
            drop(tx);
            return again(&app, &manager, form, told(error)?).await;
        }
    }
    Ok(done(&app, true, &format!("The invitation is on its way to {email}.")))
}

/// Whoever asks for mails is counted beside the organizations, and what was counted stays, whatever comes of the mail.
async fn count(app: &App, manager: &Manager, to: &EmailAddress) -> Result<(), OrgError> {
    let mut tx = app.db.begin().await?;
    orgs::count_mail(&mut tx, &manager.acting(), to).await?;
    Ok(tx.commit().await?)
}

async fn again(app: &App, manager: &Manager, form: InviteForm, error: String) -> Result<HttpResponse, PageError> {
    let asked = Asked { email: Field::wrong(form.email, error), role: form.role, lasts: form.lasts };
    unprocessable(&first_page(app, manager, asked).await?)
}

fn parse(id: &str) -> Result<InvitationId, PageError> {
    id.parse().map_err(|_| PageError::NotFound)
}

fn done(app: &App, good: bool, text: &str) -> HttpResponse {
    flash::told(app, MEMBERS, good, text)
}

/// `POST /settings/members/invitations/{invitation}/resend`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn resend(
    app: web::Data<App>,
    _recent: Recent,
    manager: Manager,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let (id, now) = (parse(&id)?, app.clock.now());
    let mut tx = manager.tenant(&app).await?;
    let counted = match orgs::resends_to(&mut tx, &manager.acting(), id, now).await {
        Ok(to) => {
            drop(tx);
            count(&app, &manager, &to).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = counted {
        return Ok(done(&app, false, &told(error)?));
    }
    let mut tx = manager.tenant(&app).await?;
    match orgs::resend(&mut tx, &manager.acting(), &Links::of(&app), id, now).await {
        Ok(email) => {
            tx.commit().await?;
            Ok(done(&app, true, &format!("A new link is on its way to {email}. The one before no longer works.")))
        }
        Err(error) => Ok(done(&app, false, &told(error)?)),
    }
}

/// `POST /settings/members/invitations/{invitation}/revoke`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn revoke(
    app: web::Data<App>,
    manager: Manager,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = manager.tenant(&app).await?;
    let email = orgs::revoke(&mut tx, &manager.acting(), parse(&id)?).await?;
    tx.commit().await?;
    Ok(done(&app, true, &format!("The invitation of {email} is revoked. Its link no longer works.")))
}

#[derive(Deserialize)]
pub struct TokenQuery {
    #[serde(default)]
    token: String,
}

fn over(app: &App, request: &HttpRequest) -> views::Invitation {
    views::Invitation {
        page: public_page(app, request, "This invitation no longer works"),
        state: InvitationState::Over,
        ..views::Invitation::default()
    }
}

fn view(
    app: &App,
    request: &HttpRequest,
    token: &str,
    invitation: &Invitation,
    person: Option<&SignedIn>,
) -> views::Invitation {
    let state = match person {
        None => InvitationState::Stranger,
        Some(person) if orgs::is_for(invitation, person.person()) => InvitationState::Theirs,
        Some(_) => InvitationState::OtherAccount,
    };
    let role = invitation.role();
    views::Invitation {
        page: public_page(app, request, &format!("Join {}", invitation.org_name)),
        token: token.to_owned(),
        state,
        org_name: invitation.org_name.clone(),
        inviter: invitation.inviter.clone().unwrap_or_else(|| "Somebody".to_owned()),
        role: role.label().to_owned(),
        role_note: role.note().to_owned(),
        expires: Viewer::ANYBODY.moment_in_zone(invitation.expires_at),
        signed_in_as: person.map(|person| person.person().email.clone()).unwrap_or_default(),
        invited: invitation.masked_email(),
        sign_in_href: format!("/sign-in?next=%2Finvitations%3Ftoken%3D{token}"),
    }
}

/// `GET /invitations?token=`: shows it, and changes nothing, so that programs that follow links do no harm.
///
/// # Errors
/// Database errors only.
pub async fn show(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<TokenQuery>,
) -> Result<HttpResponse, PageError> {
    let token = query.into_inner().token;
    let person = accounts::extract::current(&request).await.ok();
    let mut conn = app.db.acquire().await?;
    let invitation = match orgs::invitation_of(&mut conn, &token, person.as_ref().map(SignedIn::person)).await {
        Ok(invitation) => invitation,
        Err(OrgError::InvitationOver) => return html(&over(&app, &request)),
        Err(error) => return Err(error.into()),
    };
    drop(conn);
    let view = view(&app, &request, &token, &invitation, person.as_ref());
    let mut response = html(&view)?;
    if view.state == InvitationState::Stranger {
        // Whoever makes an account now comes back here when its address is proven.
        response.add_cookie(&cookies::landing(&app, &format!("/invitations?token={token}"))).ok();
    }
    Ok(response)
}

#[derive(Deserialize)]
pub struct TokenForm {
    #[serde(default)]
    token: String,
}

/// `POST /invitations/accept`
///
/// # Errors
/// Database errors; one that is over, or another's, is told on the page.
pub async fn accept(
    app: web::Data<App>,
    request: HttpRequest,
    person: SignedIn,
    Protected(form): Protected<TokenForm>,
) -> Result<HttpResponse, PageError> {
    let origin = client::origin(&app, &request);
    let mut tx = app.db.begin().await?;
    match orgs::accept(&mut tx, person.person(), &form.token, &origin).await {
        Ok(org) => {
            orgs::open(&mut tx, person.person(), person.session.id, org).await?;
            tx.commit().await?;
            Ok(flash::told(&app, "/", true, "Welcome. You find your other organizations in the switcher."))
        }
        Err(OrgError::InvitationOver) => unprocessable(&over(&app, &request)),
        Err(OrgError::OtherAddress) => {
            drop(tx);
            let mut conn = app.db.acquire().await?;
            let invitation = orgs::invitation_of(&mut conn, &form.token, Some(person.person())).await?;
            unprocessable(&view(&app, &request, &form.token, &invitation, Some(&person)))
        }
        Err(error) => Ok(flash::told(&app, "/", false, &told(error)?)),
    }
}

/// `POST /invitations/decline`
///
/// # Errors
/// Database errors; one that is over is told on the page.
pub async fn decline(
    app: web::Data<App>,
    request: HttpRequest,
    Protected(form): Protected<TokenForm>,
) -> Result<HttpResponse, PageError> {
    let person = accounts::extract::current(&request).await.ok();
    let origin = client::origin(&app, &request);
    let mut tx = app.db.begin().await?;
    match orgs::decline(&mut tx, person.as_ref().map(SignedIn::person), &form.token, &origin).await {
        Ok(invitation) => {
            tx.commit().await?;
            html(&views::Invitation {
                page: public_page(&app, &request, "You declined"),
                state: InvitationState::Declined,
                org_name: invitation.org_name,
                ..views::Invitation::default()
            })
        }
        Err(OrgError::InvitationOver) => unprocessable(&over(&app, &request)),
        Err(error) => Err(error.into()),
    }
}
