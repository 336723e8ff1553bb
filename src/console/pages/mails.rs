//! Mails and jobs: what waits, what was given up, and trying again.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;

use super::orgs::ReasonForm;
use super::{ROWS, address, again, choices, done, form, page, pager, read_id, read_some, reason_field, wrong};
use crate::audit::{Action, Target};
use crate::base::email_address::masked;
use crate::base::ids::MailId;
use crate::base::paging::{Rows, fetch_limit};
use crate::console::extract::{Acting, Operator};
use crate::console::{act, store};
use crate::mail;
use crate::web::present::when;
use crate::web::views::blocks::{Block, Cell, Column, Filters, Form, Input, Table};
use crate::web::views::{Badge, Choice};
use crate::web::{App, PageError, Protected};

const MAILS: &str = "/admin/mails";
const JOBS: &str = "/admin/jobs";
const MAIL_STATES: [(&str, &str); 3] = [("dead", "Given up"), ("waiting", "Waiting"), ("sent", "Sent")];

#[derive(Default, Deserialize)]
pub struct WorkQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: String,
}

fn state_filter(action: &str, states: &[(&str, &str)], chosen: &str) -> Filters {
    Filters {
        action: action.into(),
        fields: vec![Input::of("select", "state", "State").choices(choices("Any", states, chosen))],
        is_on: !chosen.is_empty(),
        ..Filters::default()
    }
}

fn retry_form(staff: &Operator, action: &str, what: &str, name: &'static str, known: Vec<Choice>) -> Form {
    let mut retry = form(staff, "retry", action, &format!("Try {what} again"), "Try again");
    retry.note = "With as many tries as a fresh one.".into();
    retry.fields = vec![Input::of("select", name, "Which").choices(known).required(), reason_field()];
    retry
}

/// `GET /admin/mails`
///
/// # Errors
/// `Invalid` for a filter that cannot be read; database errors.
pub async fn index(
    app: web::Data<App>,
    staff: Operator,
    query: web::Query<WorkQuery>,
) -> Result<HttpResponse, PageError> {
    if !query.state.is_empty() && !MAIL_STATES.iter().any(|(state, _)| *state == query.state) {
        return Err(wrong("state"));
    }
    let before: Option<MailId> = read_some(&query.before, "before")?;
    let mut conn = app.db.acquire().await?;
    let rows = Rows::of(store::mails(&mut conn, &query.state, before, fetch_limit(ROWS)).await?, ROWS);
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let here = |before: &str| address(MAILS, &[("state", &query.state), ("before", before)]);
    let table = Table {
        id: "mails",
        note: "What a mail says concerns only whoever gets it, so it is not shown.".into(),
        columns: vec![
            Column::of("Time"),
            Column::of("Kind"),
            Column::of("To"),
            Column::of("State"),
            Column::right("Tries"),
            Column::of("Last error"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|one| {
                let state = match (one.sent_at, one.dead_at) {
                    (Some(_), _) => Badge::new("good", "circle-check", "Sent"),
                    (None, Some(_)) => Badge::new("bad", "circle-x", "Given up"),
                    (None, None) if one.recipient.is_empty() => Badge::new("", "ban", "Forgotten"),
                    (None, None) => Badge::new("warn", "clock", "Waiting"),
                };
                // To whom a mail went is forgotten after a month, or with them.
                let (to, error) = match one.recipient.as_str() {
                    "" => ("nobody known any more".to_owned(), String::new()),
                    known => (masked(known), one.last_error.replace(known, &masked(known))),
                };
                vec![
                    Cell::when(when(one.created_at, now, viewer)),
                    Cell::text(one.kind.replace('_', " ")),
                    Cell::text(to),
                    Cell::badge(state),
                    Cell::text(one.attempts.to_string()),
                    Cell::text(error),
                ]
            })
            .collect(),
        empty: "No mail fits".into(),
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&last.id.to_string()))),
        ..Table::default()
    };
    let mut blocks = vec![Block::Filters(state_filter(MAILS, &MAIL_STATES, &query.state)), Block::Table(table)];
    let dead = mail::dead(&mut conn, None, 100).await?;
    if !dead.is_empty() {
        let each = dead.iter().map(|one| {
            let label =
                format!("{}, {} to {}", one.created_at.format("%Y-%m-%d %H:%M"), one.kind, one.masked_recipient());
            Choice::new(&one.id.to_string(), &label, "", false)
        });
        let known = std::iter::once(Choice::new("all", "All that were given up", "", true)).chain(each).collect();
        blocks.push(Block::Form(retry_form(&staff, "/admin/mails/retry", "a mail", "mail", known)));
    }
    page(staff.shell("mails", "Mails", "What was sent, what waits, and what was given up."), blocks)
}

#[derive(Deserialize)]
pub struct RetryMailForm {
    #[serde(default)]
    mail: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/mails/retry`
///
/// # Errors
/// `NotFound` for what is no dead letter; those of [`act::begin`].
pub async fn retry(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<RetryMailForm>,
) -> Result<HttpResponse, PageError> {
    let one: Option<MailId> = if form.mail == "all" { None } else { Some(read_id(&form.mail)?) };
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "mail").await? else {
        return Ok(again(&app, MAILS));
    };
    let mut put_back = 0;
    match one {
        Some(id) => put_back += i32::from(mail::retry(&mut act.tx, id).await?),
        None => {
            for one in mail::dead(&mut act.tx, None, 1_000).await? {
                put_back += i32::from(mail::retry(&mut act.tx, one.id).await?);
            }
        }
    }
    let target = Target::new("mail", one.map_or_else(|| "all".to_owned(), |id| id.to_string()), "");
    act.note(None, Action::MailRetried, target, (Value::Null, serde_json::json!({ "mails": put_back }))).await?;
    act.commit().await?;
    Ok(done(&app, MAILS, put_back > 0, &format!("{put_back} mails were put back.")))
}

/// `GET /admin/jobs`
///
/// # Errors
/// `Invalid` for a filter that cannot be read; database errors.
pub async fn jobs(
    app: web::Data<App>,
    staff: Operator,
    query: web::Query<WorkQuery>,
) -> Result<HttpResponse, PageError> {
    if !matches!(query.state.as_str(), "" | "dead") {
        return Err(wrong("state"));
    }
    let before: Option<i64> = read_some(&query.before, "before")?;
    let mut conn = app.db.acquire().await?;
    let rows = Rows::of(store::jobs(&mut conn, query.state == "dead", before, fetch_limit(ROWS)).await?, ROWS);
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let here = |before: &str| address(JOBS, &[("state", &query.state), ("before", before)]);
    let table = Table {
        id: "jobs",
        columns: vec![
            Column::of("Job"),
            Column::of("State"),
            Column::right("Tries"),
            Column::of("Next try"),
            Column::of("Last error"),
            Column::far("Made"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|one| {
                let state = match one {
                    one if one.locked => Badge::new("accent", "play", "Runs"),
                    one if one.attempts >= one.max_attempts => Badge::new("bad", "circle-x", "Given up"),
                    one if one.attempts > 0 => Badge::new("warn", "refresh-cw", "Failed, tries again"),
                    _ => Badge::new("", "clock", "Waiting"),
                };
                vec![
                    Cell::text(one.task.as_str()).under(one.key.clone().unwrap_or_default()),
                    Cell::badge(state),
                    Cell::text(format!("{} of {}", one.attempts, one.max_attempts)),
                    Cell::when(when(one.run_at, now, viewer)),
                    Cell::text(one.last_error.clone().unwrap_or_default().chars().take(200).collect::<String>()),
                    Cell::when(when(one.created_at, now, viewer)),
                ]
            })
            .collect(),
        empty: "No job waits".into(),
        empty_note: "A job that succeeded is gone; this page shows those that wait, run, or were given up.".into(),
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&last.id.to_string()))),
        ..Table::default()
    };
    let filters = state_filter(JOBS, &[("dead", "Given up")], &query.state);
    let mut blocks = vec![Block::Filters(filters), Block::Table(table)];
    let failed: Vec<Choice> = rows
        .rows
        .iter()
        .filter(|one| one.attempts > 0 && !one.locked)
        .map(|one| Choice::new(&one.id.to_string(), &format!("{}, {}", one.id, one.task), "", false))
        .collect();
    if !failed.is_empty() {
        blocks.push(Block::Form(retry_form(&staff, "/admin/jobs/retry", "a job", "job", failed)));
    }
    page(staff.shell("jobs", "Jobs", "What the server does by itself, and what of it failed."), blocks)
}

#[derive(Deserialize)]
pub struct RetryJobForm {
    #[serde(default)]
    job: String,
    #[serde(flatten)]
    why: ReasonForm,
}

/// `POST /admin/jobs/retry`
///
/// # Errors
/// `NotFound` for what is no number; those of [`act::begin`].
pub async fn retry_job(
    app: web::Data<App>,
    staff: Acting,
    Protected(form): Protected<RetryJobForm>,
) -> Result<HttpResponse, PageError> {
    let id: i64 = read_id(&form.job)?;
    let Some(mut act) = act::begin(&app, &staff, &form.why.form, &form.why.reason, "job").await? else {
        return Ok(again(&app, JOBS));
    };
    if !store::retry_job(&mut act.tx, id).await? {
        return Ok(done(&app, JOBS, false, "There is no such job, or it runs at this moment."));
    }
    act.note(None, Action::JobRetried, Target::new("job", id, ""), (Value::Null, Value::Null)).await?;
    act.commit().await?;
    Ok(done(&app, JOBS, true, "It tries again."))
}
