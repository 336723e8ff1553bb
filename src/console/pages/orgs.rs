//! Organizations: looking for one, and what can be done with it.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ROWS, address, again, choices, done, form, page, page_with, pager, place, read_id, read_place, reason_field, wrong,
};
use crate::audit::{Action, Target};
use crate::base::ids::OrgId;
use crate::base::paging::{Rows, fetch_limit};
use crate::console::adjust::Kind;
use crate::console::extract::{Acting, Staff};
use crate::console::store::{self, OrgRow};
use crate::console::{act, waiting};
use crate::orgs;
use crate::topups;
use crate::web::present::{amount, when};
use crate::web::views::Badge;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Facts, Figure, Figures, Filters, Input, Note, Table};
use crate::web::{App, PageError, Protected};

const STATES: [(&str, &str); 3] =
    [("frozen", "Frozen"), ("below_zero", "Below zero"), ("closing", "Closing or closed")];

#[derive(Default, Deserialize)]
pub struct OrgQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: String,
}

/// `GET /admin/organizations`
///
/// # Errors
/// `Invalid` for a filter that cannot be read; database errors.
pub async fn index(app: web::Data<App>, staff: Staff, query: web::Query<OrgQuery>) -> Result<HttpResponse, PageError> {
    if !query.state.is_empty() && !STATES.iter().any(|(state, _)| *state == query.state) {
        return Err(wrong("state"));
    }
    let search: String = query.q.trim().chars().take(200).collect();
    let mut conn = app.db.acquire().await?;
    let before = read_place(&query.before)?;
    let found = store::orgs(&mut conn, &search, staff.is_operator(), &query.state, before, fetch_limit(ROWS)).await?;
    let rows = Rows::of(found, ROWS);
    let here =
        |before: &str| address("/admin/organizations", &[("q", &search), ("state", &query.state), ("before", before)]);
    let now = app.clock.now();
    let filters = Filters {
        action: "/admin/organizations".into(),
        fields: vec![
            // Who only looks at money does not get to know addresses, also not letter by letter.
            Input::of("text", "q", if staff.is_operator() { "Name, address or id" } else { "Name or id" })
                .value(search.clone()),
            Input::of("select", "state", "State").choices(choices("Any", &STATES, &query.state)),
        ],
        is_on: !search.is_empty() || !query.state.is_empty(),
        ..Filters::default()
    };
    let table = Table {
        id: "organizations",
        columns: vec![
            Column::of("Organization"),
            Column::of("State"),
            Column::right("Credits"),
            Column::right("Held"),
            Column::right("Members"),
            Column::right("Keys"),
            Column::far("Made"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|org| {
                vec![
                    Cell::link(org.name.as_str(), format!("/admin/organizations/{}", org.id)).under(kind(&org.kind)),
                    Cell::badge(state(org)),
                    Cell::amount(amount(org.posted)),
                    Cell::amount(amount(org.held)),
                    Cell::text(org.members.to_string()),
                    Cell::text(org.keys.to_string()),
                    Cell::when(when(org.created_at, now, staff.viewer())),
                ]
            })
            .collect(),
        empty: "No organization fits".into(),
        empty_note: match staff.is_operator() {
            true => "Look for a part of its name, the beginning of a member’s address, or its id.".into(),
            false => "Look for a part of its name, or its id.".into(),
        },
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&place(last.created_at, last.id.0)))),
        ..Table::default()
    };
    let shell = staff.shell("organizations", "Organizations", "Who owns credits here.");
    page(shell, vec![Block::Filters(filters), Block::Table(table)])
}

fn kind(kind: &str) -> &'static str {
    if kind == "team" { "Organization" } else { "Personal" }
}

fn state(org: &OrgRow) -> Badge {
    if org.deleted_at.is_some() {
        Badge::new("", "trash-2", "Deleted")
    } else if org.frozen_by.is_some() {
        Badge::new("bad", "lock", "Frozen")
    } else if org.frozen_at.is_some() || org.delete_after.is_some() {
        Badge::new("warn", "clock", "Closing")
    } else if org.keys_stopped_at.is_some() {
        Badge::new("warn", "octagon-x", "Keys stopped")
    } else if org.posted.is_negative() {
        Badge::new("bad", "triangle-alert", "Below zero")
    } else {
        Badge::new("good", "circle-check", "Open")
    }
}

/// `GET /admin/organizations/{org}`
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn show(app: web::Data<App>, staff: Staff, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let id: OrgId = read_id(&id)?;
    let mut conn = app.db.begin_with(super::books::READ).await?;
    let org = store::org(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let here = format!("/admin/organizations/{id}");
    let month = now.format("%Y-%m").to_string();
    let mut blocks = Vec::new();
    if let Some(at) = org.frozen_at.filter(|_| org.frozen_by.is_some()) {
        let text = format!("Frozen since {}. Every key of it is refused.", viewer.moment_in_zone(at));
        blocks.push(Block::Note(Note { tone: "bad", icon: "lock", text, ..Note::default() }));
    }
    blocks.push(Block::Figures(Figures {
        id: "money",
        figures: vec![
            Figure::amount(
                "Credits",
                amount(org.posted),
                &address("/admin/books/journal", &[("account", &id.to_string())]),
            ),
            Figure::amount(
                "Held by running calls",
                amount(org.held),
                &address(super::holds::HERE, &[("org", &id.to_string())]),
            ),
            Figure::count("Members", org.members.to_string(), ""),
            Figure::count("Keys", org.keys.to_string(), ""),
        ],
        ..Figures::default()
    }));
    blocks.push(Block::Facts(Facts::of(
        "facts",
        "",
        vec![
            ("Id", Cell::mono(id.to_string())),
            ("Kind", Cell::text(kind(&org.kind))),
            ("State", Cell::badge(state(&org))),
            ("Made", Cell::when(when(org.created_at, now, viewer))),
            ("Statement", Cell::link(format!("{month}, so far"), format!("{here}/statements/{month}"))),
            ("Payments", Cell::link("All of them", address("/admin/payments", &[("org", &id.to_string())]))),
        ],
    )));
    blocks.push(Block::Table(payments(&mut conn, &app, &staff, id).await?));
    blocks.push(Block::Table(adjusted(&mut conn, &app, &staff, id).await?));
    if staff.is_operator() {
        blocks.push(Block::Table(members(&mut conn, id).await?));
        blocks.extend(forms(&staff, &org, &here));
    }
    let mut actions = vec![
        ActionLink::of("Journal", address("/admin/books/journal", &[("account", &id.to_string())]), "book-open"),
        ActionLink::of("Statements", format!("{here}/statements"), "scroll-text"),
    ];
    if staff.is_operator() {
        actions.push(ActionLink::primary(
            "Grant or correct",
            address("/admin/adjustments/new", &[("org", &id.to_string())]),
            "plus",
        ));
    }
    let shell = staff.shell("organizations", &org.name, "What it has, what it did, and what can be done with it.");
    page_with(shell, Some(("/admin/organizations", "Organizations")), actions, blocks)
}

async fn payments(conn: &mut sqlx::PgConnection, app: &App, staff: &Staff, org: OrgId) -> Result<Table, sqlx::Error> {
    let found = topups::page_anywhere(conn, Some(org), (None, None), None, 10).await?;
    let now = app.clock.now();
    Ok(Table {
        id: "payments",
        title: "Latest payments".into(),
        columns: vec![
            Column::of("Time"),
            Column::right("Credits"),
            Column::right("Fee"),
            Column::of("Paid with"),
            Column::of("State"),
        ],
        rows: found
            .iter()
            .map(|topup| {
                vec![
                    Cell::when(when(topup.created_at, now, staff.viewer())).to(format!("/admin/payments/{}", topup.id)),
                    Cell::amount(amount(topup.credits)),
                    Cell::amount(amount(topup.fee)),
                    Cell::text(topups::method_name(&topup.method)).under(topup.processor.clone()),
                    Cell::badge(super::payments::badge(topup.state())),
                ]
            })
            .collect(),
        empty: "No payments yet".into(),
        empty_note: "They begin on the organization’s own page of credits.".into(),
        ..Table::default()
    })
}

async fn adjusted(conn: &mut sqlx::PgConnection, app: &App, staff: &Staff, org: OrgId) -> Result<Table, sqlx::Error> {
    let found = store::adjustments(conn, Some(org), false, None, 10).await?;
    let now = app.clock.now();
    Ok(Table {
        id: "adjustments",
        title: "Grants and corrections".into(),
        columns: vec![
            Column::of("Time"),
            Column::of("What"),
            Column::right("Amount"),
            Column::of("State"),
            Column::of("Reason"),
        ],
        rows: found
            .iter()
            .map(|one| {
                vec![
                    Cell::when(when(one.created_at, now, staff.viewer())).to(format!("/admin/adjustments/{}", one.id)),
                    Cell::text(Kind::parse(&one.kind).map_or("", Kind::label)),
                    Cell::amount(amount(one.amount)),
                    Cell::badge(super::second::badge(&one.state, one.expires_at, now)),
                    Cell::text(one.reason.as_str()),
                ]
            })
            .collect(),
        empty: "No grants or corrections".into(),
        empty_note: format!(
            "Make one with the button above. Above an amount they wait for a second operator, {} days at most.",
            waiting::OPEN_FOR.num_days()
        ),
        ..Table::default()
    })
}

async fn members(conn: &mut sqlx::PgConnection, org: OrgId) -> Result<Table, sqlx::Error> {
    let found = orgs::member_rows(conn, org, 100).await?;
    Ok(Table {
        id: "members",
        title: "Members".into(),
        columns: vec![Column::of("Person"), Column::of("Address"), Column::of("Role")],
        rows: found
            .iter()
            .map(|member| {
                vec![
                    Cell::link(member.name.as_str(), format!("/admin/people/{}", member.person)),
                    Cell::text(member.email.as_str()),
                    Cell::text(member.role().label()),
                ]
            })
            .collect(),
        empty: "No members".into(),
        empty_note: "Everybody has left it or was erased.".into(),
        ..Table::default()
    })
}

fn forms(staff: &Staff, org: &OrgRow, here: &str) -> Vec<Block> {
    if org.deleted_at.is_some() {
        return Vec::new();
    }
    let mut look = form(staff, "look", format!("{here}/look"), "Look at it as its owner sees it", "Look at it");
    look.note = "For half an hour. Nothing can be changed meanwhile, and its log says that an operator looked.".into();
    look.fields = vec![reason_field()];
    let mut freeze = if org.frozen_by.is_some() {
        let mut freeze = form(staff, "unfreeze", format!("{here}/unfreeze"), "Let it go on", "Unfreeze");
        freeze.note = "Its keys work again within a second, unless somebody stopped them.".into();
        freeze
    } else {
        let mut freeze = form(staff, "freeze", format!("{here}/freeze"), "Freeze it", "Freeze");
        freeze.note =
            "Every key of it is refused within a second, on every node. Running calls end and are settled. Pages \
                       still open."
                .into();
        freeze.danger = true;
        freeze
    };
    freeze.fields = vec![reason_field()];
    vec![Block::Form(look), Block::Form(freeze)]
}

#[derive(Deserialize)]
pub struct ReasonForm {
    #[serde(default)]
    pub form: String,
    #[serde(default)]
    pub reason: String,
}

/// `POST /admin/organizations/{org}/freeze`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`].
pub async fn freeze(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    set_frozen(&app, &staff, &id, &form, true).await
}

/// `POST /admin/organizations/{org}/unfreeze`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`].
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
    let id: OrgId = read_id(id)?;
    let org = store::org(&mut *app.db.acquire().await?, id).await?.ok_or(PageError::NotFound)?;
    let here = format!("/admin/organizations/{id}");
    let what = if frozen { "freeze" } else { "unfreeze" };
    let Some(mut act) = act::begin(app, staff, &form.form, &form.reason, what).await? else {
        return Ok(again(app, &here));
    };
    let by = frozen.then_some(act.person.id);
    if !orgs::set_frozen(&mut act.tx, id, by).await? {
        let text = if frozen { "It was frozen already." } else { "It was not frozen." };
        return Ok(done(app, &here, false, text));
    }
    if !frozen {
        topups::auto::opened(&mut act.tx, id).await?;
    }
    let action = if frozen { Action::OrgFrozen } else { Action::OrgUnfrozen };
    let change = (json!({ "frozen": !frozen }), json!({ "frozen": frozen }));
    act.note(Some(id), action, Target::new("organization", id, org.name.as_str()), change).await?;
    act.commit().await?;
    let text = if frozen { "Frozen. Every key of it is refused." } else { "It goes on." };
    Ok(done(app, &here, true, text))
}

/// The entry in the log of whoever begins or ends looking.
pub(super) fn looked(org: OrgId, name: &str) -> (Target, (Value, Value)) {
    (Target::new("organization", org, name), (Value::Null, Value::Null))
}
