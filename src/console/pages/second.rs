//! What waits for a second operator, whatever it is: its state, the forms that decide it, and ending it undone.

use actix_web::HttpResponse;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::orgs::ReasonForm;
use super::{again, choices, done, form, reason_field};
use crate::accounts::operator;
use crate::audit::{Action, Target};
use crate::base::ids::PersonId;
use crate::console::act;
use crate::console::extract::{Acting, Staff};
use crate::web::views::Badge;
use crate::web::views::blocks::{Block, Filters, Form, Input, Note};
use crate::web::{App, PageError};

pub fn badge(state: &str, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Badge {
    match state {
        "posted" => Badge::new("good", "circle-check", "Booked"),
        "confirmed" => Badge::new("good", "circle-check", "Confirmed"),
        "rejected" => Badge::new("bad", "circle-x", "Rejected"),
        "withdrawn" => Badge::new("", "x", "Withdrawn"),
        "pending" if expires_at > now => Badge::new("warn", "clock", "Waits for a second operator"),
        _ => Badge::new("", "clock", "Expired"),
    }
}

/// All of them, or those that wait.
pub fn filters(here: &str, state: &str) -> Filters {
    let states = choices("All", &[("waiting", "Waiting for a second operator")], state);
    Filters {
        action: here.into(),
        fields: vec![Input::of("select", "state", "State").choices(states)],
        is_on: state == "waiting",
        ..Filters::default()
    }
}

/// The form that agrees: the verb of its address, its button, and what it does where that is not plain.
pub struct Agree {
    pub verb: &'static str,
    pub button: String,
    pub note: &'static str,
}

/// The ways in which whoever looks may decide what `made_by` asked for, or why they may not agree.
pub async fn decisions(
    conn: &mut PgConnection,
    staff: &Staff,
    here: &str,
    made_by: PersonId,
    agree: Agree,
) -> Result<Vec<Block>, sqlx::Error> {
    let way = |verb: &'static str, title: &str, button: &str, danger| Form {
        fields: vec![reason_field()],
        danger,
        ..form(staff, verb, format!("{here}/{verb}"), title, button)
    };
    let me = staff.person().id;
    if made_by == me {
        let title = "You asked for this, so somebody else has to agree";
        return Ok(vec![Block::Form(way("withdraw", title, "Withdraw it", true))]);
    }
    let first = match operator::may_confirm(conn, made_by, me).await? {
        Ok(()) => {
            let form = way(agree.verb, "Agree to it", &agree.button, false);
            Block::Form(Form { note: agree.note.into(), ..form })
        }
        Err(refusal) => {
            let text = refusal.to_string();
            Block::Note(Note { tone: "warn", icon: "triangle-alert", text, ..Note::default() })
        }
    };
    Ok(vec![first, Block::Form(way("reject", "Reject it", "Reject", true))])
}

/// How something ends without being done.
pub struct Ending {
    /// Its page.
    pub here: String,
    pub action: Action,
    pub target: Target,
    /// By whoever asked for it; otherwise it is rejected.
    pub withdraw: bool,
    /// What is said afterwards.
    pub told: &'static str,
}

/// Ends it as `end` does, once for each form, and writes it down. What `end` refuses with is told.
pub async fn end(
    app: &App,
    staff: &Acting,
    form: &ReasonForm,
    ending: Ending,
    end: impl AsyncFnOnce(&mut PgConnection, PersonId) -> Result<(), Result<String, PageError>>,
) -> Result<HttpResponse, PageError> {
    let Ending { here, action, target, withdraw, told } = ending;
    let (what, ended_as) = if withdraw { ("withdraw", "withdrawn") } else { ("reject", "rejected") };
    let Some(mut act) = act::begin(app, staff, &form.form, &form.reason, what).await? else {
        return Ok(again(app, &here));
    };
    let by = act.person.id;
    if let Err(refusal) = end(&mut act.tx, by).await {
        drop(act);
        return Ok(done(app, &here, false, &refusal?));
    }
    act.note(None, action, target, (Value::Null, json!({ "ended_as": ended_as }))).await?;
    act.commit().await?;
    Ok(done(app, &here, true, told))
}
