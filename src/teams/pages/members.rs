//! One member, and what can be changed about them.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{of_team, told};
use crate::accounts::Links;
use crate::accounts::Recent;
use crate::base::Usd;
use crate::base::ids::PersonId;
use crate::keys::{self, shown};
use crate::ledger::{self, Limits};
use crate::orgs::{self, Manager, MemberRow, Owner, Permission, Role};
use crate::web::present::{amount, day};
use crate::web::views::teams as views;
use crate::web::views::{Choice, Field};
use crate::web::{App, EmptyForm, PageError, Protected, flash, html, unprocessable};

pub(super) fn href(person: PersonId) -> String {
    format!("/settings/members/{person}")
}

async fn find(app: &App, manager: &Manager, id: &str) -> Result<MemberRow, PageError> {
    of_team(manager)?;
    let id: PersonId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = manager.tenant(app).await?;
    orgs::member_row(&mut conn, manager.org_id(), id).await?.ok_or(PageError::NotFound)
}

/// What somebody typed for a cap.
#[derive(Clone, Default, Deserialize)]
pub struct CapForm {
    #[serde(default)]
    total: String,
    #[serde(default)]
    day: String,
    #[serde(default)]
    week: String,
    #[serde(default)]
    month: String,
}

/// A limit as it is typed, and what is wrong with it. Blank is none.
fn read(text: &str) -> (Field, Option<Usd>) {
    if text.trim().is_empty() {
        return (Field::of(text), None);
    }
    match Usd::parse(text) {
        Ok(limit) if !limit.is_negative() => (Field::of(text), Some(limit)),
        Ok(_) => (Field::wrong(text, "A cap is zero or more. Nothing was saved."), None),
        Err(error) => (Field::wrong(text, format!("This {error}. Nothing was saved.")), None),
    }
}

fn typed(limit: Option<Usd>) -> String {
    limit.map(|limit| limit.exact()).unwrap_or_default()
}

/// Why a role cannot be changed; empty when it can.
fn role_why(manager: &Manager, member: &MemberRow, owners: i64) -> &'static str {
    if member.role() != Role::Owner {
        ""
    } else if !manager.may(Permission::Own) {
        "Only an owner can change the role of an owner."
    } else if owners <= 1 {
        "This is the only owner. Transfer the ownership, or make somebody else an owner first."
    } else {
        ""
    }
}

async fn member_view(
    app: &App,
    manager: &Manager,
    member: &MemberRow,
    cap: Option<&CapForm>,
) -> Result<views::Member, PageError> {
    let org = manager.org_id();
    let mut conn = manager.tenant(app).await?;
    let meters = ledger::meter_states(&mut conn, org, &[member.meter]).await?;
    let meter = meters.first();
    let limits = meter.map(|meter| meter.limits).unwrap_or_default();
    let stored = CapForm {
        total: typed(limits.total),
        day: typed(limits.day),
        week: typed(limits.week),
        month: typed(limits.month),
    };
    let cap = cap.unwrap_or(&stored);
    let why = role_why(manager, member, orgs::count_owners(&mut conn, org).await?);
    let (you, owner) = (member.person == manager.person().id, member.role() == Role::Owner);
    let (owns, viewer) = (manager.may(Permission::Own), manager.person().viewer());
    let offered = Role::ALL.into_iter().filter(|role| owns || *role != Role::Owner);
    Ok(views::Member {
        shell: manager.shell("members", &member.name, ""),
        href: href(member.person),
        email: member.email.clone(),
        joined: day(member.joined_at, viewer),
        used: amount(meter.map_or(Usd::ZERO, |meter| meter.spent.total)),
        meter: meter.and_then(|meter| shown::bar(&member.name, meter, viewer.locale)),
        keys: keys::count(&mut conn, org, Some(member.person)).await?.to_string(),
        you,
        role_choices: match why {
            "" => offered
                .map(|role| Choice::new(role.as_str(), role.label(), role.note(), role == member.role()))
                .collect(),
            _ => Vec::new(),
        },
        role_why: why.to_owned(),
        may_cap: owns || !owner,
        total: read(&cap.total).0,
        day: read(&cap.day).0,
        week: read(&cap.week).0,
        month: read(&cap.month).0,
        may_remove: !you && (owns || !owner),
        may_transfer: owns && !you,
    })
}

/// `GET /settings/members/{person}`
///
/// # Errors
/// `NotFound` for somebody who is no member.
pub async fn show(
    app: web::Data<App>,
    _recent: Recent,
    manager: Manager,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let member = find(&app, &manager, &id).await?;
    html(&member_view(&app, &manager, &member, None).await?)
}

#[derive(Deserialize)]
pub struct RoleForm {
    #[serde(default)]
    role: String,
}

/// `POST /settings/members/{person}/role`
///
/// # Errors
/// `NotFound` for somebody who is no member.
pub async fn change_role(
    app: web::Data<App>,
    _recent: Recent,
    manager: Manager,
    id: web::Path<String>,
    Protected(form): Protected<RoleForm>,
) -> Result<HttpResponse, PageError> {
    let member = find(&app, &manager, &id).await?;
    let role = Role::parse(&form.role).ok_or_else(|| PageError::Invalid("There is no such role.".into()))?;
    let mut tx = manager.tenant(&app).await?;
    match super::super::change_role(&mut tx, &manager.acting(), &Links::of(&app), member.person, role).await {
        Ok(_) => tx.commit().await?,
        Err(error) => return Ok(flash::told(&app, &href(member.person), false, &told(error)?)),
    }
    let text = format!("{} is now {} here.", member.name, role.label());
    // Whoever took the page from themselves goes where they still may.
    let to = match member.person == manager.person().id && !role.may(Permission::ManageMembers) {
        true => "/settings/organization".to_owned(),
        false => href(member.person),
    };
    Ok(flash::told(&app, &to, true, &text))
}

/// `POST /settings/members/{person}/cap`
///
/// # Errors
/// `NotFound` for somebody who is no member; mistakes are shown beside their field.
pub async fn change_cap(
    app: web::Data<App>,
    _recent: Recent,
    manager: Manager,
    id: web::Path<String>,
    Protected(form): Protected<CapForm>,
) -> Result<HttpResponse, PageError> {
    let member = find(&app, &manager, &id).await?;
    let parts = [&form.total, &form.day, &form.week, &form.month].map(|text| read(text));
    if parts.iter().any(|(field, _)| !field.error.is_empty()) {
        return unprocessable(&member_view(&app, &manager, &member, Some(&form)).await?);
    }
    let [total, day, week, month] = parts.map(|(_, limit)| limit);
    let mut tx = manager.tenant(&app).await?;
    let limits = Limits { total, day, week, month };
    match super::super::change_cap(&mut tx, &manager.acting(), member.person, limits).await {
        Ok(_) => tx.commit().await?,
        Err(error) => return Ok(flash::told(&app, &href(member.person), false, &told(error)?)),
    }
    let text = format!("The spend cap of {} is saved. It counts from the next call on.", member.name);
    Ok(flash::told(&app, &href(member.person), true, &text))
}

/// `GET /settings/members/{person}/remove`: says what happens.
///
/// # Errors
/// `NotFound` for somebody who is no member, and for oneself.
pub async fn remove_form(
    app: web::Data<App>,
    _recent: Recent,
    manager: Manager,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let member = find(&app, &manager, &id).await?;
    if member.person == manager.person().id {
        return Err(PageError::NotFound);
    }
    let mut conn = manager.tenant(&app).await?;
    let keys = keys::count(&mut conn, manager.org_id(), Some(member.person)).await?;
    html(&views::Remove {
        shell: manager.shell("members", &format!("Remove {}", member.name), ""),
        href: href(member.person),
        name: member.name,
        email: member.email,
        org_name: manager.org.name.clone(),
        keys: keys.to_string(),
    })
}

/// `POST /settings/members/{person}/remove`
///
/// # Errors
/// `NotFound` for somebody who is no member, and for oneself.
pub async fn remove(
    app: web::Data<App>,
    _recent: Recent,
    manager: Manager,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let member = find(&app, &manager, &id).await?;
    let mut tx = manager.tenant(&app).await?;
    match super::super::remove(&mut tx, &manager.acting(), &Links::of(&app), member.person).await {
        Ok(_) => tx.commit().await?,
        Err(error) => return Ok(flash::told(&app, &href(member.person), false, &told(error)?)),
    }
    let text = format!("{} is removed, and their keys here are disabled.", member.name);
    Ok(flash::told(&app, "/settings/members", true, &text))
}

fn transfer_view(owner: &Owner, member: &MemberRow, typed: Field) -> views::Transfer {
    views::Transfer {
        shell: owner.shell("members", &format!("Make {} the owner", member.name), ""),
        href: href(member.person),
        name: member.name.clone(),
        email: member.email.clone(),
        org_name: owner.org.name.clone(),
        typed,
    }
}

/// Somebody to whom this owner can transfer the organization.
async fn heir(app: &App, owner: &Owner, id: &str) -> Result<MemberRow, PageError> {
    of_team(owner)?;
    let id: PersonId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = owner.tenant(app).await?;
    let member = orgs::member_row(&mut conn, owner.org_id(), id).await?;
    member.filter(|member| member.person != owner.person().id).ok_or(PageError::NotFound)
}

/// `GET /settings/members/{person}/transfer`
///
/// # Errors
/// `NotFound` for somebody who is no member, and for oneself.
pub async fn transfer_form(
    app: web::Data<App>,
    _recent: Recent,
    owner: Owner,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let member = heir(&app, &owner, &id).await?;
    html(&transfer_view(&owner, &member, Field::default()))
}

#[derive(Deserialize)]
pub struct TransferForm {
    #[serde(default)]
    name: String,
}

/// `POST /settings/members/{person}/transfer`
///
/// # Errors
/// `NotFound` for somebody who is no member; a wrong name is told beside its field.
pub async fn transfer(
    app: web::Data<App>,
    _recent: Recent,
    owner: Owner,
    id: web::Path<String>,
    Protected(form): Protected<TransferForm>,
) -> Result<HttpResponse, PageError> {
    let member = heir(&app, &owner, &id).await?;
    if form.name.trim() != owner.org.name {
        let field = Field::wrong(&form.name, "This is not the name. Nothing was changed.");
        return unprocessable(&transfer_view(&owner, &member, field));
    }
    let mut tx = owner.tenant(&app).await?;
    match super::super::transfer(&mut tx, &owner.acting(), &Links::of(&app), member.person).await {
        Ok(_) => tx.commit().await?,
        Err(error) => return Ok(flash::told(&app, &href(member.person), false, &told(error)?)),
    }
    Ok(flash::told(
        &app,
        "/settings/members",
        true,
        &format!("{} is the owner now, and you are an admin.", member.name),
    ))
}
