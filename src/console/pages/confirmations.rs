//! What waits for a second operator besides grants and corrections: looking at it, and agreeing to it.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::orgs::ReasonForm;
use super::{ROWS, address, again, done, page, page_with, pager, read_id, read_some, second, uses, wrong};
use crate::audit::{Action, Target};
use crate::base::ids::{ConfirmationId, PersonId};
use crate::base::paging::{Rows, fetch_limit};
use crate::console::act;
use crate::console::confirmation::{self, ConfirmError, Confirmed, Wish};
use crate::console::extract::{Acting, Staff};
use crate::console::store;
use crate::web::present::{amount, counted, when};
use crate::web::views::blocks::{Block, Cell, Column, Facts, Table};
use crate::web::{App, PageError, Protected};

pub const HERE: &str = "/admin/confirmations";

fn told(error: ConfirmError) -> Result<String, PageError> {
    match error {
        ConfirmError::Database(error) => Err(error.into()),
        ConfirmError::Internal(error) => Err(error.into()),
        ConfirmError::NotFound => Err(PageError::NotFound),
        told => Ok(told.to_string()),
    }
}

fn what(wish: &Wish) -> &'static str {
    match wish {
        Wish::Codes { .. } => "Redemption codes",
        Wish::Operator { .. } => "A new operator",
    }
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: String,
}

/// `GET /admin/confirmations`
///
/// # Errors
/// `Invalid` for a filter that cannot be read; database errors.
pub async fn index(app: web::Data<App>, staff: Staff, query: web::Query<ListQuery>) -> Result<HttpResponse, PageError> {
    if !matches!(query.state.as_str(), "" | "waiting") {
        return Err(wrong("state"));
    }
    let before: Option<ConfirmationId> = read_some(&query.before, "before")?;
    let waiting = query.state == "waiting";
    let mut conn = app.db.acquire().await?;
    let rows = Rows::of(store::confirmations(&mut conn, waiting, before, fetch_limit(ROWS)).await?, ROWS);
    let named = rows.rows.iter().flat_map(|one| {
        let whom = if let Wish::Operator { person } = one.wish.0 { Some(person) } else { None };
        [Some(one.made_by), one.decided_by, whom]
    });
    let people: Vec<PersonId> = named.flatten().collect();
    let people = store::person_names(&mut conn, &people).await?;
    let person = |id: Option<PersonId>| id.and_then(|id| people.get(&id).cloned()).unwrap_or_default();
    let here = |before: &str| address(HERE, &[("state", &query.state), ("before", before)]);
    let now = app.clock.now();
    let table = Table {
        id: "confirmations",
        columns: vec![
            Column::of("Time"),
            Column::of("What"),
            Column::right("Worth"),
            Column::of("State"),
            Column::of("Asked by"),
            Column::far("Decided by"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|one| {
                let (worth, about) = match &one.wish.0 {
                    Wish::Codes { new, .. } => (Cell::amount(amount(new.worth())), counted(new.codes.into(), "code")),
                    Wish::Operator { person: whom } => (Cell::text("–"), person(Some(*whom))),
                };
                vec![
                    Cell::when(when(one.created_at, now, staff.viewer())).to(format!("{HERE}/{}", one.id)),
                    Cell::text(what(&one.wish.0)).under(about),
                    worth,
                    Cell::badge(second::badge(&one.state, one.expires_at, now)),
                    Cell::text(person(Some(one.made_by))),
                    Cell::text(person(one.decided_by)),
                ]
            })
            .collect(),
        empty: if waiting { "Nothing waits".into() } else { "Nothing was asked for yet".into() },
        empty_note: "Codes above the amount and new operators come here, where another operator looks at them.".into(),
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&last.id.to_string()))),
        ..Table::default()
    };
    let about =
        "Codes and operators that a second operator has to agree to. Grants and corrections have their own page.";
    page(
        staff.shell("confirmations", "Confirmations", about),
        vec![Block::Filters(second::filters(HERE, &query.state)), Block::Table(table)],
    )
}

/// `GET /admin/confirmations/{confirmation}`
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn show(app: web::Data<App>, staff: Staff, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let id: ConfirmationId = read_id(&id)?;
    let mut conn = app.db.acquire().await?;
    let one = store::find_confirmation(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let whom = if let Wish::Operator { person } = one.wish.0 { Some(person) } else { None };
    let people: Vec<PersonId> = [Some(one.made_by), one.decided_by, whom].into_iter().flatten().collect();
    let people = store::person_names(&mut conn, &people).await?;
    let person = |id: PersonId| people.get(&id).cloned().unwrap_or_default();
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let waits = one.state == "pending" && one.expires_at > now;
    let mut facts = vec![("What", Cell::text(what(&one.wish.0)))];
    match &one.wish.0 {
        Wish::Codes { new, .. } => {
            facts.push(("Worth", Cell::amount(amount(new.worth()))));
            let uses = uses(i64::from(new.uses_per_code), i64::from(new.uses_per_org));
            facts.push(("Codes", Cell::text(new.codes.to_string()).under(uses)));
            facts.push(("Each gives", Cell::amount(amount(new.amount))));
            facts.push((
                "Until",
                new.expires_at.map_or_else(|| Cell::text("no end"), |at| Cell::when(when(at, now, viewer))),
            ));
            if !new.note.is_empty() {
                facts.push(("Note", Cell::text(new.note.as_str())));
            }
        }
        Wish::Operator { person: whom } => {
            let link = if staff.is_operator() { format!("/admin/people/{whom}") } else { String::new() };
            facts.push(("Who", Cell::text(person(*whom)).to(link)));
        }
    }
    facts.push(("Reason", Cell::text(one.reason.as_str())));
    facts.push(("State", Cell::badge(second::badge(&one.state, one.expires_at, now))));
    facts.push(("Asked by", Cell::text(person(one.made_by))));
    facts.push(("Asked", Cell::when(when(one.created_at, now, viewer))));
    if waits {
        facts.push(("Waits until", Cell::when(when(one.expires_at, now, viewer))));
    }
    if let (Some(by), Some(at)) = (one.decided_by, one.decided_at) {
        facts.push(("Decided by", Cell::text(person(by))));
        facts.push(("Decided", Cell::when(when(at, now, viewer))));
    }
    facts.push(("Id", Cell::mono(one.id.to_string())));
    let mut blocks = vec![Block::Facts(Facts::of("facts", "", facts))];
    if waits && staff.is_operator() {
        let here = format!("{HERE}/{id}");
        blocks.extend(second::decisions(&mut conn, &staff, &here, one.made_by, agree(&one.wish.0)).await?);
    }
    let shell = staff.shell("confirmations", what(&one.wish.0), "");
    page_with(shell, Some((HERE, "Confirmations")), Vec::new(), blocks)
}

fn agree(wish: &Wish) -> second::Agree {
    let (button, note) = match wish {
        Wish::Codes { new, .. } => {
            (format!("Confirm codes worth {}", new.worth().display()), "The codes work from then on.")
        }
        Wish::Operator { .. } => (
            "Make them an operator".to_owned(),
            "They may do everything here from then on, and confirm what others ask for a week later.",
        ),
    };
    second::Agree { verb: "confirm", button, note }
}

/// `POST /admin/confirmations/{confirmation}/confirm`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`].
pub async fn confirm(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    let id: ConfirmationId = read_id(&id)?;
    let here = format!("{HERE}/{id}");
    let Some(mut act) = act::begin(&app, &staff, &form.form, &form.reason, "confirm").await? else {
        return Ok(again(&app, &here));
    };
    let (by, entry) = (act.person.id, act.entry(Action::CodesMade).note(json!({ "reason": act.reason })));
    let Confirmed { one, staff: made } = match confirmation::confirm(&mut act.tx, id, by, entry).await {
        Ok(confirmed) => confirmed,
        Err(error) => {
            drop(act);
            return Ok(done(&app, &here, false, &told(error)?));
        }
    };
    if let Some((person, changed)) = made {
        act.note(None, Action::StaffChanged, Target::new("person", person.id, person.name.as_str()), changed).await?;
    }
    let after = match &one.wish.0 {
        Wish::Codes { batch, new, .. } => json!({ "batch": batch, "worth": new.worth().exact() }),
        Wish::Operator { person } => json!({ "person": person, "role": "operator" }),
    };
    act.note(None, Action::ConfirmationGiven, Target::new("confirmation", id, ""), (Value::Null, after)).await?;
    act.commit().await?;
    let text = match &one.wish.0 {
        Wish::Codes { .. } => "Confirmed. The codes work now.",
        Wish::Operator { .. } => "Confirmed. They are an operator now.",
    };
    Ok(done(&app, &here, true, text))
}

/// `POST /admin/confirmations/{confirmation}/reject`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`].
pub async fn reject(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    end(&app, &staff, &id, &form, false).await
}

/// `POST /admin/confirmations/{confirmation}/withdraw`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`].
pub async fn withdraw(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    end(&app, &staff, &id, &form, true).await
}

async fn end(
    app: &App,
    staff: &Acting,
    id: &str,
    form: &ReasonForm,
    withdraw: bool,
) -> Result<HttpResponse, PageError> {
    let id: ConfirmationId = read_id(id)?;
    let ending = second::Ending {
        here: format!("{HERE}/{id}"),
        action: Action::ConfirmationEnded,
        target: Target::new("confirmation", id, ""),
        withdraw,
        told: "It ended. Nothing was done.",
    };
    let end =
        async |conn: &mut PgConnection, by| confirmation::end(conn, id, by, withdraw).await.map(drop).map_err(told);
    second::end(app, staff, form, ending, end).await
}
