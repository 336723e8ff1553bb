//! Freezing a person: their sessions end, and no key that they made is taken, on every node within a second.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::orgs::ReasonForm;
use super::{again, done, form, read_id, reason_field};
use crate::accounts;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Origin;
use crate::base::ids::PersonId;
use crate::console::act;
use crate::console::extract::{Acting, Staff};
use crate::console::store::{self, PersonRow};
use crate::web::views::blocks::Form;
use crate::web::{App, PageError, Protected};

const RUNS_THIS: &str =
    "They help to run this instance. Take that away first, on the page of operators. Nothing was done.";

/// The form that freezes somebody, or lets them go on.
pub fn form_of(staff: &Staff, person: &PersonRow) -> Form {
    let here = format!("/admin/people/{}", person.id);
    let mut freeze = if person.frozen_at.is_some() {
        let mut freeze = form(staff, "unfreeze", format!("{here}/unfreeze"), "Let them go on", "Unfreeze");
        freeze.note =
            "They can sign in again, and their keys work within a second, unless somebody stopped those.".into();
        freeze
    } else {
        let mut freeze = form(staff, "freeze", format!("{here}/freeze"), "Freeze the account", "Freeze");
        freeze.note =
            "They are signed out everywhere and cannot sign in. Every key that they made, in every organization, \
                       is refused within a second on every node, and what those issued too. Running calls end and are \
                       settled. Their organizations go on."
                .into();
        freeze.danger = true;
        freeze
    };
    freeze.fields = vec![reason_field()];
    freeze
}

/// `POST /admin/people/{person}/freeze`
///
/// # Errors
/// `NotFound` for nobody; `Invalid` for somebody who helps to run this instance; those of [`act::begin`].
pub async fn freeze(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    set_frozen(&app, &staff, &id, &form, true).await
}

/// `POST /admin/people/{person}/unfreeze`
///
/// # Errors
/// As [`freeze`].
pub async fn unfreeze(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    set_frozen(&app, &staff, &id, &form, false).await
}

async fn set_frozen(
    app: &App,
    staff: &Acting,
    id: &str,
    form: &ReasonForm,
    frozen: bool,
) -> Result<HttpResponse, PageError> {
    let id: PersonId = read_id(id)?;
    store::person(&mut *app.db.acquire().await?, id).await?.ok_or(PageError::NotFound)?;
    let here = format!("/admin/people/{id}");
    let what = if frozen { "freeze_person" } else { "unfreeze_person" };
    let Some(mut act) = act::begin(app, staff, &form.form, &form.reason, what).await? else {
        return Ok(again(app, &here));
    };
    // Under the lock of the act, so that nobody becomes an operator meanwhile, and oneself is one.
    let person = store::person(&mut act.tx, id).await?.ok_or(PageError::NotFound)?;
    let sessions = if frozen {
        if person.staff.is_some() {
            return Err(PageError::Invalid(RUNS_THIS.into()));
        }
        let by = act.person.id;
        match accounts::freeze(&mut act.tx, id, by).await? {
            Some(sessions) => sessions,
            None => return Ok(done(app, &here, false, "They were frozen already.")),
        }
    } else if accounts::unfreeze(&mut act.tx, id).await? {
        0
    } else {
        return Ok(done(app, &here, false, "They were not frozen."));
    };
    let action = if frozen { Action::PersonFrozen } else { Action::PersonUnfrozen };
    // In their own log without the operator's name, then in that of the house.
    let own = Entry::new(Chain::Person(id), Actor::Operator, action, &Origin::here());
    audit::record(&mut act.tx, own.change(Value::Null, json!({ "reason": act.reason }))).await?;
    let change = (json!({ "frozen": !frozen }), json!({ "frozen": frozen, "sessions": sessions }));
    act.note(None, action, Target::new("person", id, person.name.as_str()), change).await?;
    act.commit().await?;
    let text = if frozen { "Frozen. Their sessions ended, and their keys are refused." } else { "They can go on." };
    Ok(done(app, &here, true, text))
}
