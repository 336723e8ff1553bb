//! People: looking for one, where they belong, and signing them out.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::orgs::ReasonForm;
use super::{
    ROWS, address, again, choices, done, form, page, page_with, pager, place, read_id, read_place, reason_field, wrong,
};
use crate::audit::{Action, Target};
use crate::base::ids::PersonId;
use crate::base::paging::{Rows, fetch_limit};
use crate::console::act;
use crate::console::extract::{Acting, Operator};
use crate::console::store::{self, PersonRow};
use crate::orgs::Role;
use crate::web::present::when;
use crate::web::views::Badge;
use crate::web::views::blocks::{Block, Cell, Column, Facts, Filters, Input, Note, Table};
use crate::web::{App, PageError, Protected};

const HERE: &str = "/admin/people";

#[derive(Default, Deserialize)]
pub struct PeopleQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: String,
}

fn badge(person: &PersonRow) -> Badge {
    if person.frozen_at.is_some() {
        Badge::new("bad", "lock", "Frozen")
    } else if person.leaves_at.is_some() {
        Badge::new("warn", "clock", "Leaving")
    } else if person.verified_at.is_none() {
        Badge::new("", "mail", "Address not proven")
    } else if person.two_factor {
        Badge::new("good", "shield", "Two-factor")
    } else {
        Badge::new("", "user", "Password or link")
    }
}

/// `GET /admin/people`
///
/// # Errors
/// `Invalid` for a place that cannot be read; database errors.
pub async fn index(
    app: web::Data<App>,
    staff: Operator,
    query: web::Query<PeopleQuery>,
) -> Result<HttpResponse, PageError> {
    let search: String = query.q.trim().chars().take(200).collect();
    let frozen = match query.state.as_str() {
        "" => false,
        "frozen" => true,
        _ => return Err(wrong("state")),
    };
    let before = read_place(&query.before)?;
    let mut conn = app.db.acquire().await?;
    let rows = Rows::of(store::people(&mut conn, (&search, frozen), before, fetch_limit(ROWS)).await?, ROWS);
    let here = |before: &str| address(HERE, &[("q", &search), ("state", &query.state), ("before", before)]);
    let now = app.clock.now();
    let table = Table {
        id: "people",
        columns: vec![
            Column::of("Person"),
            Column::of("Address"),
            Column::of("Sign-in"),
            Column::right("Sessions"),
            Column::far("Joined"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|one| {
                vec![
                    Cell::link(one.name.as_str(), format!("{HERE}/{}", one.id))
                        .under(one.staff.clone().unwrap_or_default()),
                    Cell::text(one.email.as_str()),
                    Cell::badge(badge(one)),
                    Cell::text(one.sessions.to_string()),
                    Cell::when(when(one.created_at, now, staff.viewer())),
                ]
            })
            .collect(),
        empty: "Nobody fits".into(),
        empty_note: "Look for a part of the name, the beginning of the address, or the id.".into(),
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&place(last.created_at, last.id.0)))),
        ..Table::default()
    };
    let filters = Filters {
        action: HERE.into(),
        fields: vec![
            Input::of("text", "q", "Name, address or id").value(search.clone()),
            Input::of("select", "state", "State").choices(choices("Any", &[("frozen", "Frozen")], &query.state)),
        ],
        is_on: !search.is_empty() || frozen,
        ..Filters::default()
    };
    page(
        staff.shell("people", "People", "Who has an account here."),
        vec![Block::Filters(filters), Block::Table(table)],
    )
}

/// `GET /admin/people/{person}`
///
/// # Errors
/// `NotFound` for nobody; database errors.
pub async fn show(app: web::Data<App>, staff: Operator, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let id: PersonId = read_id(&id)?;
    let mut conn = app.db.acquire().await?;
    let person = store::person(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let mut facts = vec![
        ("Name", Cell::text(person.name.as_str())),
        ("Address", Cell::text(person.email.as_str())),
        ("Sign-in", Cell::badge(badge(&person))),
        ("Sessions", Cell::text(person.sessions.to_string())),
        ("Joined", Cell::when(when(person.created_at, now, viewer))),
    ];
    if let Some(at) = person.leaves_at {
        facts.push(("Erased", Cell::when(when(at, now, viewer))));
    }
    if let Some(role) = &person.staff {
        facts.push(("Runs this instance as", Cell::link(role.as_str(), "/admin/staff")));
    }
    if let Some(org) = person.personal {
        facts
            .push(("Personal organization", Cell::link("Credits and freezing", format!("/admin/organizations/{org}"))));
    }
    facts.push(("Id", Cell::mono(id.to_string())));
    let memberships = store::memberships(&mut conn, id).await?;
    let table = Table {
        id: "memberships",
        title: "Member of".into(),
        columns: vec![Column::of("Organization"), Column::of("Kind"), Column::of("Role")],
        rows: memberships
            .iter()
            .map(|one| {
                vec![
                    Cell::link(one.name.as_str(), format!("/admin/organizations/{}", one.org)),
                    Cell::text(one.kind.as_str()),
                    Cell::text(Role::parse(&one.role).map_or("", Role::label)),
                ]
            })
            .collect(),
        empty: "No organization".into(),
        empty_note: "They are in none any more.".into(),
        ..Table::default()
    };
    let mut out = form(&staff, "sign-out", format!("{HERE}/{id}/sign-out"), "Sign them out everywhere", "Sign out");
    out.note = "Every browser of theirs has to sign in again. Keys go on; freeze the account to stop those too.".into();
    out.fields = vec![reason_field()];
    out.danger = true;
    let mut blocks = Vec::new();
    if let Some(at) = person.frozen_at {
        let text = format!(
            "Frozen since {}. Nobody is signed in as them, and no key that they made is taken.",
            viewer.moment_in_zone(at)
        );
        blocks.push(Block::Note(Note { tone: "bad", icon: "lock", text, ..Note::default() }));
    }
    blocks.extend([Block::Facts(Facts::of("facts", "", facts)), Block::Table(table)]);
    blocks.push(Block::Form(super::freezing::form_of(&staff, &person)));
    blocks.push(Block::Form(out));
    page_with(staff.shell("people", &person.name, ""), Some((HERE, "People")), Vec::new(), blocks)
}

/// `POST /admin/people/{person}/sign-out`
///
/// # Errors
/// `NotFound` for nobody; those of [`act::begin`].
pub async fn sign_out(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    let id: PersonId = read_id(&id)?;
    let person = store::person(&mut *app.db.acquire().await?, id).await?.ok_or(PageError::NotFound)?;
    let here = format!("{HERE}/{id}");
    let Some(mut act) = act::begin(&app, &staff, &form.form, &form.reason, "sign_out").await? else {
        return Ok(again(&app, &here));
    };
    let ended = store::end_sessions(&mut act.tx, id).await?;
    let target = Target::new("person", id, person.name.as_str());
    act.note(None, Action::PersonSignedOut, target, (Value::Null, json!({ "sessions": ended }))).await?;
    act.commit().await?;
    Ok(done(&app, &here, true, &format!("{ended} sessions were ended.")))
}
