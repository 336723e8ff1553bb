//! Making an organization, opening one, its settings, leaving it, and its end.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{of_team, roles, told};
use crate::accounts::Links;
use crate::accounts::Recent;
use crate::audit::{self, Action};
use crate::base::ids::OrgId;
use crate::keys;
use crate::orgs::{self, Manager, Member, Myself, OrgError, OrgName, Owner, Permission, Role};
use crate::pictures;
use crate::topups;
use crate::web::present::amount;
use crate::web::views::Field;
use crate::web::views::teams as views;
use crate::web::{App, EmptyForm, PageError, Protected, Upload, flash, html, local_path, see_other, unprocessable};

const SETTINGS: &str = "/settings/organization";

#[derive(Default, Deserialize)]
pub struct NewForm {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
}

fn new_view(member: &Member, id: &str, name: Field) -> views::New {
    views::New {
        shell: member.shell(
            "",
            "Create an organization",
            "One balance, one activity log, and roles for several people.",
        ),
        form_id: id.to_owned(),
        name,
    }
}

/// `GET /organizations/new`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn new_form(member: Member) -> Result<HttpResponse, PageError> {
    html(&new_view(&member, &OrgId::fresh().to_string(), Field::default()))
}

/// `POST /organizations`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn create(
    app: web::Data<App>,
    member: Myself,
    Protected(form): Protected<NewForm>,
) -> Result<HttpResponse, PageError> {
    let id: OrgId = form.id.parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let name = match OrgName::parse(&form.name) {
        Ok(name) => name,
        Err(error) => return unprocessable(&new_view(&member, &form.id, Field::wrong(&form.name, error.to_string()))),
    };
    let session = member.signed_in.session.id;
    let mut tx = app.db.begin().await?;
    match orgs::create(&mut tx, member.person(), id, &name, &member.origin).await {
        Ok(()) => {
            orgs::open(&mut tx, member.person(), session, id).await?;
            tx.commit().await?;
        }
        // The same form again: it is there, if it is theirs.
        Err(OrgError::Again) => {
            tx.rollback().await?;
            let mut conn = app.db.acquire().await?;
            if !orgs::open(&mut conn, member.person(), session, id).await? {
                return Err(PageError::Invalid("The form is damaged.".into()));
            }
        }
        Err(error) => {
            let error = told(error)?;
            return unprocessable(&new_view(&member, &form.id, Field::wrong(&form.name, error)));
        }
    }
    let mut response = see_other("/settings/members");
    flash::set(&mut response, &app, true, &format!("{} is there, and you own it. Invite the others.", name.as_str()));
    Ok(response)
}

#[derive(Default, Deserialize)]
pub struct OpenForm {
    /// The page that comes then; the overview without one.
    #[serde(default)]
    next: String,
}

/// `POST /organizations/{org}/open`
///
/// # Errors
/// `NotFound` for one that the person is not in.
pub async fn open(
    app: web::Data<App>,
    member: Myself,
    org: web::Path<String>,
    Protected(form): Protected<OpenForm>,
) -> Result<HttpResponse, PageError> {
    let org: OrgId = org.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = app.db.acquire().await?;
    if !orgs::open(&mut conn, member.person(), member.signed_in.session.id, org).await? {
        return Err(PageError::NotFound);
    }
    Ok(see_other(local_path(&form.next)))
}

async fn settings_view(app: &App, member: &Member, name: Field) -> Result<views::Organization, PageError> {
    let (is_team, role) = (member.org.is_team(), member.role());
    let mut conn = member.tenant(app).await?;
    let last = role == Role::Owner && orgs::count_owners(&mut conn, member.org_id()).await? <= 1;
    Ok(views::Organization {
        shell: member.shell("organization", "Organization", "What it is called, what you are in it, and its end."),
        name,
        id: member.org_id().to_string(),
        role: role.label().to_owned(),
        role_note: role.note().to_owned(),
        is_team,
        may_rename: member.may(Permission::ManageSettings),
        picture_error: String::new(),
        may_leave: !last,
        may_delete: member.may(Permission::Own) && member.org.delete_after.is_none(),
        roles: roles(),
    })
}

/// `GET /settings/organization`
///
/// # Errors
/// Database errors only.
pub async fn settings(app: web::Data<App>, member: Member) -> Result<HttpResponse, PageError> {
    html(&settings_view(&app, &member, Field::of(&member.org.name)).await?)
}

#[derive(Deserialize)]
pub struct NameForm {
    #[serde(default)]
    name: String,
}

/// `POST /settings/organization`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn rename(
    app: web::Data<App>,
    member: Manager,
    Protected(form): Protected<NameForm>,
) -> Result<HttpResponse, PageError> {
    let name = match OrgName::parse(&form.name) {
        Ok(name) => name,
        Err(error) => {
            let field = Field::wrong(&form.name, format!("{error} Nothing was saved."));
            return unprocessable(&settings_view(&app, &member, field).await?);
        }
    };
    let mut tx = member.tenant(&app).await?;
    orgs::rename(&mut tx, &member.acting(), &name).await?;
    tx.commit().await?;
    let mut response = see_other(SETTINGS);
    flash::set(&mut response, &app, true, &format!("It is called {} now.", name.as_str()));
    Ok(response)
}

/// `POST /settings/organization/picture`
///
/// # Errors
/// Database errors; what is wrong with the file is shown beside its field.
pub async fn save_picture(
    app: web::Data<App>,
    member: Manager,
    // Who may not is told so, whatever they sent.
    upload: Result<Upload, PageError>,
) -> Result<HttpResponse, PageError> {
    let file = upload?.file;
    let picture = match pictures::decode(file).await? {
        Ok(picture) => picture,
        Err(error) => {
            let view = settings_view(&app, &member, Field::of(&member.org.name)).await?;
            return unprocessable(&views::Organization { picture_error: error.to_string(), ..view });
        }
    };
    let mut tx = member.tenant(&app).await?;
    pictures::set(&mut tx, pictures::Owner::Org(member.org_id()), &picture).await?;
    audit::record(&mut tx, member.acting().entry(Action::OrgAvatarChanged)).await?;
    tx.commit().await?;
    let mut response = see_other(SETTINGS);
    flash::set(&mut response, &app, true, "The picture is saved.");
    Ok(response)
}

/// `POST /settings/organization/picture/remove`
///
/// # Errors
/// Database errors only.
pub async fn remove_picture(
    app: web::Data<App>,
    member: Manager,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(&app).await?;
    if pictures::remove(&mut tx, pictures::Owner::Org(member.org_id())).await? {
        audit::record(&mut tx, member.acting().entry(Action::OrgAvatarChanged)).await?;
    }
    tx.commit().await?;
    let mut response = see_other(SETTINGS);
    flash::set(&mut response, &app, true, "The picture is removed.");
    Ok(response)
}

#[derive(Deserialize)]
pub struct LeaveForm {
    /// Sent by the button; a request without it did not come from there.
    #[serde(default)]
    leave: String,
}

/// `POST /settings/organization/leave`
///
/// # Errors
/// `NotFound` in a personal organization.
pub async fn leave(
    app: web::Data<App>,
    member: Member,
    Protected(form): Protected<LeaveForm>,
) -> Result<HttpResponse, PageError> {
    of_team(&member)?;
    if form.leave != "yes" {
        return Err(PageError::Invalid("The form is damaged.".into()));
    }
    let mut tx = member.tenant(&app).await?;
    match super::super::leave(&mut tx, &member.acting()).await {
        Ok(()) => {
            orgs::close(&mut tx, member.signed_in.session.id).await?;
            tx.commit().await?;
            let mut response = see_other("/");
            let text = format!("You left {}. Your keys there are disabled.", member.org.name);
            flash::set(&mut response, &app, true, &text);
            Ok(response)
        }
        Err(error) => {
            let mut response = see_other(SETTINGS);
            flash::set(&mut response, &app, false, &told(error)?);
            Ok(response)
        }
    }
}

#[derive(Deserialize)]
pub struct DeleteForm {
    #[serde(default)]
    name: String,
}

async fn delete_view(app: &App, owner: &Owner, typed: Field) -> Result<views::Delete, PageError> {
    let mut conn = owner.tenant(app).await?;
    let keys = keys::count(&mut conn, owner.org_id(), None).await?;
    let members = orgs::members(&mut conn, owner.org_id()).await?.len();
    let pending = topups::pending(&mut conn, owner.org_id(), owner.person().viewer()).await?;
    Ok(views::Delete {
        pending,
        shell: owner.shell("organization", &format!("Delete {}", owner.org.name), ""),
        name: owner.org.name.clone(),
        credits: amount(owner.credit.available()),
        keys: keys.to_string(),
        members: members.to_string(),
        typed,
    })
}

/// `GET /settings/organization/delete`: says what is lost.
///
/// # Errors
/// `NotFound` in a personal organization.
pub async fn delete_form(app: web::Data<App>, _recent: Recent, owner: Owner) -> Result<HttpResponse, PageError> {
    of_team(&owner)?;
    html(&delete_view(&app, &owner, Field::default()).await?)
}

/// `POST /settings/organization/delete`
///
/// # Errors
/// `NotFound` in a personal organization; a wrong name is told beside its field.
pub async fn delete(
    app: web::Data<App>,
    _recent: Recent,
    owner: Owner,
    Protected(form): Protected<DeleteForm>,
) -> Result<HttpResponse, PageError> {
    of_team(&owner)?;
    if form.name.trim() != owner.org.name {
        let field = Field::wrong(&form.name, "This is not the name. Nothing was deleted.");
        return unprocessable(&delete_view(&app, &owner, field).await?);
    }
    let mut tx = owner.tenant(&app).await?;
    let mut response = see_other(SETTINGS);
    match super::super::ask_deletion(&mut tx, &owner.acting(), &Links::of(&app)).await {
        Ok(()) => tx.commit().await?,
        Err(error) => flash::set(&mut response, &app, false, &told(error)?),
    }
    Ok(response)
}

/// `POST /settings/organization/keep`
///
/// # Errors
/// Database errors only.
pub async fn keep(app: web::Data<App>, owner: Owner, _form: Protected<EmptyForm>) -> Result<HttpResponse, PageError> {
    let mut tx = owner.tenant(&app).await?;
    let kept = super::super::undo_deletion(&mut tx, &owner.acting()).await?;
    tx.commit().await?;
    let mut response = see_other(SETTINGS);
    if kept {
        let text = format!("{} stays. The keys that worked before work again.", owner.org.name);
        flash::set(&mut response, &app, true, &text);
    }
    Ok(response)
}
