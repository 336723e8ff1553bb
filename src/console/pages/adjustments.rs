//! Grants and corrections: asking for one, and agreeing to another's.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::orgs::ReasonForm;
use super::{
    ROWS, address, again, alone_note, done, form, page_with, pager, read_id, read_some, reason_field, second, wrong,
};
use crate::audit::{Action, Target};
use crate::base::Usd;
use crate::base::ids::{AdjustmentId, OrgId, PersonId};
use crate::base::paging::{Rows, fetch_limit};
use crate::console::Settings;
use crate::console::act::{self, Act};
use crate::console::adjust::{self, AdjustError, Kind, NewAdjustment, Outcome};
use crate::console::extract::{Acting, Operator, Staff};
use crate::console::store;
use crate::ledger;
use crate::orgs as organizations;
use crate::web::present::{amount, when};
use crate::web::views::Choice;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Facts, Input, Table};
use crate::web::views::console::Page;
use crate::web::{App, PageError, Protected, html, unprocessable};

const HERE: &str = "/admin/adjustments";

fn told(error: AdjustError) -> Result<String, PageError> {
    match error {
        AdjustError::Database(error) => Err(error.into()),
        AdjustError::Internal(error) => Err(error.into()),
        AdjustError::NotFound | AdjustError::NoOrg => Err(PageError::NotFound),
        told => Ok(told.to_string()),
    }
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: String,
}

/// `GET /admin/adjustments`
///
/// # Errors
/// `Invalid` for a filter that cannot be read; database errors.
pub async fn index(
    app: web::Data<App>,
    settings: web::Data<Settings>,
    staff: Staff,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, PageError> {
    if !matches!(query.state.as_str(), "" | "waiting") {
        return Err(wrong("state"));
    }
    let before: Option<AdjustmentId> = read_some(&query.before, "before")?;
    let mut conn = app.db.acquire().await?;
    let waiting = query.state == "waiting";
    let rows = Rows::of(store::adjustments(&mut conn, None, waiting, before, fetch_limit(ROWS)).await?, ROWS);
    let orgs: Vec<OrgId> = rows.rows.iter().map(|one| one.org).collect();
    let names = organizations::org_names(&mut conn, &orgs).await?;
    let people: Vec<PersonId> =
        rows.rows.iter().flat_map(|one| [Some(one.made_by), one.decided_by]).flatten().collect();
    let people = store::person_names(&mut conn, &people).await?;
    let person = |id: Option<PersonId>| id.and_then(|id| people.get(&id).cloned()).unwrap_or_default();
    let here = |before: &str| address(HERE, &[("state", &query.state), ("before", before)]);
    let now = app.clock.now();
    let table = Table {
        id: "adjustments",
        columns: vec![
            Column::of("Time"),
            Column::of("Organization"),
            Column::of("What"),
            Column::right("Amount"),
            Column::of("State"),
            Column::of("Asked by"),
            Column::far("Decided by"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|one| {
                vec![
                    Cell::when(when(one.created_at, now, staff.viewer())).to(format!("{HERE}/{}", one.id)),
                    Cell::link(
                        names.get(&one.org).cloned().unwrap_or_default(),
                        format!("/admin/organizations/{}", one.org),
                    ),
                    Cell::text(Kind::parse(&one.kind).map_or("", Kind::label)),
                    Cell::amount(amount(one.amount)),
                    Cell::badge(second::badge(&one.state, one.expires_at, now)),
                    Cell::text(person(Some(one.made_by))),
                    Cell::text(person(one.decided_by)),
                ]
            })
            .collect(),
        empty: if waiting { "Nothing waits".into() } else { "No grant or correction yet".into() },
        empty_note: "One begins at its organization: open it and choose “Grant or correct”.".into(),
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&last.id.to_string()))),
        ..Table::default()
    };
    let about = format!(
        "Credits given or taken by hand. Above {}, also of one operator within a day, a second operator has to agree.",
        settings.four_eyes_above.display()
    );
    let shell = staff.shell("adjustments", "Grants and corrections", &about);
    super::page(shell, vec![Block::Filters(second::filters(HERE, &query.state)), Block::Table(table)])
}

#[derive(Default, Deserialize)]
pub struct NewQuery {
    #[serde(default)]
    org: String,
}

#[derive(Default, Deserialize)]
pub struct NewForm {
    #[serde(default)]
    form: String,
    #[serde(default)]
    org: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    reason: String,
}

async fn new_view(
    app: &App,
    settings: &Settings,
    staff: &Staff,
    typed: &NewForm,
    error: &str,
) -> Result<Page, PageError> {
    let org: OrgId = read_id(&typed.org)?;
    let mut conn = app.db.acquire().await?;
    let found = store::org(&mut conn, org).await?.filter(|org| org.deleted_at.is_none()).ok_or(PageError::NotFound)?;
    let here = format!("/admin/organizations/{org}");
    let mut new = form(staff, "new", HERE, "", "Grant or correct");
    if !typed.form.is_empty() {
        new.hidden = vec![("form", typed.form.clone())];
    }
    new.hidden.push(("org", org.to_string()));
    new.note = format!(
        "{} has {} now. Above {}, with what you granted, corrected and made codes of within a day, a second operator has to \
         agree first. {}",
        found.name,
        found.posted.display_exact(),
        settings.four_eyes_above.display(),
        alone_note(&mut conn, staff).await?,
    );
    let kinds = Kind::ALL.iter().map(|kind| Choice::new(kind.as_str(), kind.label(), "", kind.as_str() == typed.kind));
    new.fields = vec![
        Input::of("select", "kind", "What").choices(kinds.collect()).required().hint(
            "A grant is a cost of promotion, a correction a loss or gain of the house. Downwards may go below zero.",
        ),
        Input::of("dollars", "amount", "Amount").value(typed.amount.as_str()).error(error).required(),
        reason_field()
            .value(typed.reason.as_str())
            .hint("Stands in the books and in the log for good. No personal data."),
    ];
    Ok(Page {
        shell: staff.shell("adjustments", "Grant or correct", "Credits given or taken by hand."),
        back: Some((here, found.name)),
        actions: Vec::new(),
        blocks: vec![Block::Form(new)],
    })
}

/// `GET /admin/adjustments/new?org=`
///
/// # Errors
/// `NotFound` for an unknown organization; database errors.
pub async fn new_form(
    app: web::Data<App>,
    settings: web::Data<Settings>,
    staff: Operator,
    query: web::Query<NewQuery>,
) -> Result<HttpResponse, PageError> {
    let typed = NewForm { org: query.org.clone(), ..NewForm::default() };
    html(&new_view(&app, &settings, &staff, &typed, "").await?)
}

/// `POST /admin/adjustments`
///
/// # Errors
/// `NotFound` for an unknown organization; a wrong amount is told beside its field.
pub async fn create(
    app: web::Data<App>,
    settings: web::Data<Settings>,
    staff: Acting,
    Protected(typed): Protected<NewForm>,
) -> Result<HttpResponse, PageError> {
    let org: OrgId = read_id(&typed.org)?;
    let kind = Kind::parse(&typed.kind).ok_or_else(|| PageError::Invalid("Choose what to do.".into()))?;
    let sum = match Usd::parse(&typed.amount) {
        Ok(sum) => sum,
        Err(error) => {
            return unprocessable(&new_view(&app, &settings, &staff, &typed, &format!("This {error}.")).await?);
        }
    };
    let Some(mut act) = act::begin(&app, &staff, &typed.form, &typed.reason, "adjust").await? else {
        return Ok(again(&app, &format!("/admin/organizations/{org}")));
    };
    let id = AdjustmentId::fresh();
    let new = NewAdjustment { id, org, kind, amount: sum, reason: act.reason.clone(), made_by: act.person.id };
    let outcome = match adjust::make(&mut act.tx, &new, settings.four_eyes_above).await {
        Ok(outcome) => outcome,
        Err(error) => {
            drop(act);
            return unprocessable(&new_view(&app, &settings, &staff, &typed, &told(error)?).await?);
        }
    };
    let text = match outcome {
        Outcome::Booked(transfer) => {
            booked(&mut act, (id, org), kind, sum, transfer).await?;
            format!("Booked: {} of {}.", kind.label().to_lowercase(), sum.display())
        }
        Outcome::Waits => {
            let after = json!({ "kind": kind.as_str(), "amount": sum.exact(), "organization": org });
            let target = Target::new("adjustment", id, "");
            act.note(None, Action::AdjustmentAsked, target, (Value::Null, after)).await?;
            "It waits for a second operator now. Nothing is booked yet.".to_owned()
        }
    };
    act.commit().await?;
    Ok(done(&app, &format!("{HERE}/{id}"), true, &text))
}

async fn booked(
    act: &mut Act,
    (id, org): (AdjustmentId, OrgId),
    kind: Kind,
    sum: Usd,
    transfer: crate::base::ids::TransferId,
) -> Result<(), sqlx::Error> {
    let action = if kind == Kind::Grant { Action::CreditsGranted } else { Action::CreditsCorrected };
    let signed = if kind == Kind::Take { -sum } else { sum };
    let after = json!({ "amount": signed.exact(), "transfer": transfer });
    act.note(Some(org), action, Target::new("adjustment", id, ""), (Value::Null, after)).await
}

/// `GET /admin/adjustments/{adjustment}`
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn show(app: web::Data<App>, staff: Staff, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let id: AdjustmentId = read_id(&id)?;
    let mut conn = app.db.acquire().await?;
    let one = store::find_adjustment(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let name = organizations::find_org(&mut conn, one.org).await?.unwrap_or_default();
    let credit = ledger::credit_state(&mut conn, one.org).await?;
    let people: Vec<PersonId> = std::iter::once(one.made_by).chain(one.decided_by).collect();
    let people = store::person_names(&mut conn, &people).await?;
    let person = |id: PersonId| Cell::text(people.get(&id).cloned().unwrap_or_default());
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let waits = one.state == "pending" && one.expires_at > now;
    let mut facts = vec![
        ("What", Cell::text(Kind::parse(&one.kind).map_or("", Kind::label))),
        ("Amount", Cell::amount(amount(one.amount))),
        ("Organization", Cell::link(name, format!("/admin/organizations/{}", one.org))),
        ("It has now", Cell::amount(amount(credit.posted)).under(format!("{} of it held", credit.held.display()))),
        ("Reason", Cell::text(one.reason.as_str())),
        ("State", Cell::badge(second::badge(&one.state, one.expires_at, now))),
        ("Asked by", person(one.made_by)),
        ("Asked", Cell::when(when(one.created_at, now, viewer))),
    ];
    if waits {
        facts.push(("Until", Cell::when(when(one.expires_at, now, viewer))));
    }
    if let (Some(by), Some(at)) = (one.decided_by, one.decided_at) {
        facts.push(("Decided by", person(by)));
        facts.push(("Decided", Cell::when(when(at, now, viewer))));
    }
    if let Some(transfer) = one.transfer {
        facts.push(("Transfer", Cell::mono(transfer.to_string()).to(format!("/admin/books/transfers/{transfer}"))));
    }
    facts.push(("Id", Cell::mono(one.id.to_string())));
    let mut blocks = vec![Block::Facts(Facts::of("facts", "", facts))];
    if waits && staff.is_operator() {
        let agree = second::Agree { verb: "approve", button: format!("Book {}", one.amount.display()), note: "" };
        let here = format!("{HERE}/{id}");
        blocks.extend(second::decisions(&mut conn, &staff, &here, one.made_by, agree).await?);
    }
    let shell = staff.shell("adjustments", "Grant or correction", "");
    page_with(shell, Some((HERE, "Grants and corrections")), Vec::<ActionLink>::new(), blocks)
}

/// `POST /admin/adjustments/{adjustment}/approve`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`].
pub async fn approve(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    let id: AdjustmentId = read_id(&id)?;
    let here = format!("{HERE}/{id}");
    let Some(mut act) = act::begin(&app, &staff, &form.form, &form.reason, "approve").await? else {
        return Ok(again(&app, &here));
    };
    let by = act.person.id;
    let (one, transfer) = match adjust::approve(&mut act.tx, id, by).await {
        Ok(booked) => booked,
        Err(error) => {
            drop(act);
            return Ok(done(&app, &here, false, &told(error)?));
        }
    };
    let kind = Kind::parse(&one.kind).unwrap_or(Kind::Give);
    booked(&mut act, (id, one.org), kind, one.amount, transfer).await?;
    act.commit().await?;
    Ok(done(&app, &here, true, "Booked."))
}

/// `POST /admin/adjustments/{adjustment}/reject`
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

/// `POST /admin/adjustments/{adjustment}/withdraw`
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
    let id: AdjustmentId = read_id(id)?;
    let ending = second::Ending {
        here: format!("{HERE}/{id}"),
        action: Action::AdjustmentEnded,
        target: Target::new("adjustment", id, ""),
        withdraw,
        told: "It ended. Nothing was booked.",
    };
    let end = async |conn: &mut PgConnection, by| adjust::end(conn, id, by, withdraw).await.map(drop).map_err(told);
    second::end(app, staff, form, ending, end).await
}
