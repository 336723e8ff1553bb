//! Who runs the instance, and who reads its books.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::orgs::ReasonForm;
use super::{again, confirmations, done, form, page, read_id, reason_field};
use crate::accounts;
use crate::accounts::operator::{self, By, StaffError, StaffRole};
use crate::audit::{Action, Target};
use crate::base::EmailAddress;
use crate::base::ids::PersonId;
use crate::console::act;
use crate::console::confirmation::{self, Wish};
use crate::console::extract::{Acting, Operator};
use crate::web::present::when;
use crate::web::views::blocks::{Block, Cell, Column, Input, Table};
use crate::web::views::{Badge, Choice};
use crate::web::{App, PageError, Protected};

const HERE: &str = "/admin/staff";

/// `GET /admin/staff`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, staff: Operator) -> Result<HttpResponse, PageError> {
    let everybody = operator::staff(&mut *app.db.acquire().await?).await?;
    let now = app.clock.now();
    let role = |text: &str| StaffRole::parse(text).map_or("", StaffRole::label);
    let table = Table {
        id: "staff",
        columns: vec![Column::of("Person"), Column::of("Address"), Column::of("Role"), Column::far("Since")],
        rows: everybody
            .iter()
            .map(|one| {
                vec![
                    Cell::link(one.name.as_str(), format!("/admin/people/{}", one.person)),
                    Cell::text(one.email.as_str()),
                    Cell::badge(Badge::new("", "shield", role(&one.role))),
                    Cell::when(when(one.made_at, now, staff.viewer())),
                ]
            })
            .collect(),
        empty: "Nobody".into(),
        ..Table::default()
    };
    let roles = || {
        StaffRole::ALL.iter().rev().map(|role| Choice::new(role.as_str(), role.label(), role.note(), false)).collect()
    };
    let mut add = form(&staff, "add", HERE, "Let somebody in, or change their role", "Save");
    let operators = everybody.iter().filter(|one| one.role == StaffRole::Operator.as_str()).count();
    let second = if operators > 1 {
        "A new operator needs a second operator’s word, and confirms what others ask for a week later."
    } else {
        "You are the only operator, so you make the second one alone. The two of you count as one then: neither confirms what \
         the other asks for, before somebody on the server has run “farebox user operator” for them. Large grants and codes \
         are made on the server until then, and stand in the log."
    };
    add.note = format!(
        "They have an account with a proven address already. An auditor reads everything about money and changes nothing. \
         {second}"
    );
    add.fields = vec![
        Input::of("email", "email", "Address").required(),
        Input::of("select", "role", "Role").choices(roles()).required(),
        reason_field(),
    ];
    let mut remove = form(&staff, "remove", format!("{HERE}/remove"), "Take somebody’s role away", "Remove");
    remove.note = "They keep their account. The last operator stays one.".into();
    remove.danger = true;
    let people = everybody
        .iter()
        .map(|one| Choice::new(&one.person.to_string(), &format!("{}, {}", one.name, one.email), "", false));
    remove.fields = vec![Input::of("select", "person", "Person").choices(people.collect()).required(), reason_field()];
    let shell = staff.shell("staff", "Operators and auditors", "Who runs this instance, and who reads its books.");
    page(shell, vec![Block::Table(table), Block::Form(add), Block::Form(remove)])
}

#[derive(Deserialize)]
pub struct AddForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    role: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/staff`
///
/// # Errors
/// Those of [`act::begin`]; what is wrong is told on the page.
pub async fn add(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<AddForm>,
) -> Result<HttpResponse, PageError> {
    let role = StaffRole::parse(&form.role).ok_or_else(|| PageError::Invalid("Choose a role.".into()))?;
    let Ok(email) = form.email.trim().parse::<EmailAddress>() else {
        return Ok(done(&app, HERE, false, "That is no e-mail address. Nothing was changed."));
    };
    let Some(person) = accounts::find_by_email(&mut *app.db.acquire().await?, &email).await? else {
        return Ok(done(&app, HERE, false, "Nobody has an account with that address. They sign up first."));
    };
    change(&app, &staff, &person, Some(role), &form.why).await
}

#[derive(Deserialize)]
pub struct RemoveForm {
    #[serde(default)]
    person: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/staff/remove`
///
/// # Errors
/// `NotFound` for nobody; those of [`act::begin`].
pub async fn remove(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<RemoveForm>,
) -> Result<HttpResponse, PageError> {
    let id: PersonId = read_id(&form.person)?;
    let person = accounts::find_person(&mut *app.db.acquire().await?, id).await?.ok_or(PageError::NotFound)?;
    change(&app, &staff, &person, None, &form.why).await
}

async fn change(
    app: &App,
    staff: &Acting,
    person: &accounts::Person,
    role: Option<StaffRole>,
    why: &ReasonForm,
) -> Result<HttpResponse, PageError> {
    let Some(mut act) = act::begin(app, staff, &why.form, &why.reason, "staff").await? else {
        return Ok(again(app, HERE));
    };
    if role == Some(StaffRole::Operator) && operator::needs_second(&mut act.tx, act.person.id).await? {
        if operator::is_operator(&mut act.tx, person.id).await? {
            return Ok(done(app, HERE, false, &StaffError::Already.to_string()));
        }
        let wish = Wish::Operator { person: person.id };
        let id = confirmation::ask(&mut act.tx, &wish, &act.reason, act.person.id).await?;
        let after = json!({ "kind": wish.kind(), "person": person.id });
        // Its page says who: a name here would stay when the account is erased.
        let target = Target::new("confirmation", id, "");
        act.note(None, Action::ConfirmationAsked, target, (Value::Null, after)).await?;
        act.commit().await?;
        let text = "It waits for a second operator now. Nothing is changed yet.";
        return Ok(done(app, &format!("{}/{id}", confirmations::HERE), true, text));
    }
    let changed = match operator::change_staff(&mut act.tx, person, role, By::One(act.person.id)).await {
        Ok(changed) => changed,
        Err(StaffError::Database(error)) => return Err(error.into()),
        Err(error) => return Ok(done(app, HERE, false, &error.to_string())),
    };
    act.note(None, Action::StaffChanged, Target::new("person", person.id, person.name.as_str()), changed).await?;
    act.commit().await?;
    Ok(done(app, HERE, true, "Saved."))
}
