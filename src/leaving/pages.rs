//! The pages of leaving.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::{LeaveError, store};
use crate::accounts::{Links, Recent, SignedIn, operator};
use crate::orgs::{Member, Myself};
use crate::topups;
use crate::web::views::Field;
use crate::web::views::leaving as views;
use crate::web::{
    App, EmptyForm, PageError, Protected, client, flash, html, present, public_page, see_other, unprocessable,
};

impl From<LeaveError> for PageError {
    fn from(error: LeaveError) -> PageError {
        match error {
            LeaveError::Database(error) => error.into(),
            LeaveError::Internal(error) => PageError::Internal(error),
            LeaveError::NotLeaving => PageError::NotFound,
            LeaveError::SoleOwner(_) | LeaveError::LastOperator | LeaveError::Already => {
                PageError::Invalid(error.to_string())
            }
        }
    }
}

async fn view(app: &App, member: &Member) -> Result<views::Delete, PageError> {
    let mut conn = app.db.acquire().await?;
    let person = member.person();
    let stake = store::stake(&mut conn, person.id).await?;
    let pending = match member.personal() {
        Some(org) => topups::pending(&mut conn, org.id, person.viewer()).await?,
        None => Vec::new(),
    };
    Ok(views::Delete {
        shell: member.shell("profile", "Delete your account", "It can be kept for seven days; then it is erased."),
        credits: present::amount(stake.credits),
        pending,
        keys: stake.keys,
        memberships: stake.memberships,
        sole_owner_of: store::sole_ownerships(&mut conn, person.id).await?,
        last_operator: operator::is_last_operator(&mut conn, person.id).await?,
        alone_in: store::alone_in(&mut conn, person.id).await?,
        email: person.email.clone(),
        typed: Field::default(),
    })
}

/// `GET /settings/delete`
///
/// # Errors
/// Database errors only.
pub async fn form(app: web::Data<App>, member: Member, _recent: Recent) -> Result<HttpResponse, PageError> {
    html(&view(&app, &member).await?)
}

#[derive(Deserialize)]
pub struct DeleteForm {
    typed: String,
}

/// `POST /settings/delete`
///
/// # Errors
/// Database errors; what keeps somebody from leaving is told on the page.
pub async fn delete(
    app: web::Data<App>,
    member: Myself,
    _recent: Recent,
    request: HttpRequest,
    Protected(form): Protected<DeleteForm>,
) -> Result<HttpResponse, PageError> {
    let person = member.person();
    if !form.typed.trim().eq_ignore_ascii_case(&person.email) {
        let typed = Field::wrong(&form.typed, format!("Type {} to confirm.", person.email));
        return unprocessable(&views::Delete { typed, ..view(&app, &member).await? });
    }
    let mut tx = app.db.begin().await?;
    let links = Links::of(&app);
    match super::leave(&mut tx, &links, &member.signed_in.session, &client::origin(&app, &request)).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(see_other("/account/leaving"))
        }
        // The page says what stands against it. It reads on a connection of its own, so this one is given back first.
        Err(LeaveError::SoleOwner(_) | LeaveError::LastOperator) => {
            tx.rollback().await?;
            unprocessable(&view(&app, &member).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// `GET /account/leaving`: the one page of an account that is closed.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn leaving(app: web::Data<App>, person: SignedIn, request: HttpRequest) -> Result<HttpResponse, PageError> {
    let Some(due) = person.session.leaves_at else { return Ok(see_other("/")) };
    html(&views::Leaving {
        page: public_page(&app, &request, "Your account is closed"),
        name: person.person().name.clone(),
        due: present::when(due, app.clock.now(), person.person().viewer()),
    })
}

/// `POST /account/keep`
///
/// # Errors
/// `NotFound` when there is nothing to take back.
pub async fn keep(
    app: web::Data<App>,
    person: SignedIn,
    request: HttpRequest,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = app.db.begin().await?;
    super::keep(&mut tx, person.person(), &client::origin(&app, &request)).await?;
    tx.commit().await?;
    let mut response = see_other("/");
    flash::set(&mut response, &app, true, "Your account stays, and its keys work again.");
    Ok(response)
}
