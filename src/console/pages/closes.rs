//! Daily closes, comparisons with processors, and statements of any organization.

use actix_web::{HttpResponse, web};
use chrono::{Months, NaiveDate};
use serde::Deserialize;

use super::books::READ;
use super::{ROWS, address, file, page, page_with, pager, read_day, read_id, read_some};
use crate::base::ids::{OrgId, RunId};
use crate::base::paging::{Rows, fetch_limit};
use crate::books::{self, Check, Close};
use crate::console::extract::Staff;
use crate::console::margin::whole;
use crate::orgs;
use crate::topups::reconcile::{self, Run};
use crate::web::present::{amount, when};
use crate::web::views::Badge;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Facts, Note, Table};
use crate::web::{App, PageError};

const CLOSES: &str = "/admin/books/closes";
const RUNS: &str = "/admin/books/reconciliation";
const MAX_FINDINGS: i64 = 500;

#[derive(Default, Deserialize)]
pub struct Before {
    #[serde(default)]
    before: String,
}

fn clean(close: &Close) -> Badge {
    if close.is_clean() {
        Badge::new("good", "circle-check", "Clean")
    } else {
        Badge::new("bad", "circle-x", format!("{} findings", close.findings))
    }
}

/// `GET /admin/books/closes`
///
/// # Errors
/// `Invalid` for a place that cannot be read; database errors.
pub async fn index(app: web::Data<App>, staff: Staff, query: web::Query<Before>) -> Result<HttpResponse, PageError> {
    let before = read_day(&query.before, "before")?;
    let mut conn = app.db.acquire().await?;
    let rows = Rows::of(books::closes(&mut conn, before, fetch_limit(ROWS)).await?, ROWS);
    let now = app.clock.now();
    let table = Table {
        id: "closes",
        columns: vec![
            Column::of("Day, UTC"),
            Column::right("Number"),
            Column::right("Transfers"),
            Column::of("Checks"),
            Column::of("Closed"),
            Column::far("Digest"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|close| {
                vec![
                    Cell::link(close.day.to_string(), format!("{CLOSES}/{}", close.day)),
                    Cell::text(close.number.to_string()),
                    Cell::text(whole(close.transfers)),
                    Cell::badge(clean(close)),
                    Cell::when(when(close.closed_at, now, staff.viewer())),
                    Cell::mono(hex::encode(&close.digest[..close.digest.len().min(8)])),
                ]
            })
            .collect(),
        empty: "No day is closed yet".into(),
        empty_note: "A day is closed a few minutes after its end, when every invariant of the books was checked."
            .into(),
        pager: Some(pager(&rows, before.map(|_| CLOSES.to_owned()), |last| {
            address(CLOSES, &[("before", &last.day.to_string())])
        })),
        ..Table::default()
    };
    let about = "What stood in the books at the end of each day. Each close is chained to the one before and signed.";
    page(staff.shell("closes", "Daily closes", about), vec![Block::Table(table)])
}

/// `GET /admin/books/closes/{day}`
///
/// # Errors
/// `NotFound` for a day that is not closed; database errors.
pub async fn show(app: web::Data<App>, staff: Staff, day: web::Path<String>) -> Result<HttpResponse, PageError> {
    let day: NaiveDate = read_id(&day)?;
    let mut conn = app.db.begin_with(READ).await?;
    let close = books::close_of(&mut conn, day).await?.ok_or(PageError::NotFound)?;
    let shown = day.to_string();
    let facts = vec![
        ("Number", Cell::text(close.number.to_string())),
        ("Closed", Cell::when(when(close.closed_at, app.clock.now(), staff.viewer()))),
        (
            "Transfers",
            Cell::link(whole(close.transfers), address("/admin/books/journal", &[("from", &shown), ("until", &shown)])),
        ),
        ("Checks", Cell::badge(clean(&close))),
        ("Digest", Cell::mono(hex::encode(&close.digest))),
        ("Signature", Cell::mono(hex::encode(&close.signature))),
    ];
    let mut blocks = vec![Block::Facts(Facts::of("facts", "", facts))];
    for line in close.report.lines() {
        blocks.push(Block::Note(Note { tone: "bad", icon: "circle-x", text: line.to_owned(), ..Note::default() }));
    }
    blocks.push(Block::Table(checked(&books::checks_of(&mut conn, day).await?)));
    let usage = books::usage_days(&mut conn, day, day).await?;
    if !usage.is_empty() {
        blocks.push(Block::Table(super::usage::table(&usage, "usage", "Calls against hours and transfers", |_| {
            String::new()
        })));
    }
    let moved = books::closed_movements(&mut conn, day).await?;
    blocks.push(Block::Table(Table {
        id: "movements",
        title: "What moved".into(),
        columns: vec![
            Column::of("What"),
            Column::of("Debit"),
            Column::of("Credit"),
            Column::right("Transfers"),
            Column::right("Amount"),
        ],
        rows: moved
            .iter()
            .map(|one| {
                let rows = address(
                    "/admin/books/journal",
                    &[("account", &one.debit), ("code", &one.code), ("from", &shown), ("until", &shown)],
                );
                vec![
                    Cell::link(books::label(&one.code), rows),
                    Cell::text(one.debit.as_str()),
                    Cell::text(one.credit.as_str()),
                    Cell::text(whole(one.transfers)),
                    Cell::text(one.amount.display_exact()),
                ]
            })
            .collect(),
        empty: "Nothing moved".into(),
        ..Table::default()
    }));
    let totals = books::closed_totals(&mut conn, day).await?;
    blocks.push(Block::Table(Table {
        id: "totals",
        title: "At the end of the day".into(),
        columns: vec![
            Column::of("Account"),
            Column::right("Debits"),
            Column::right("Credits"),
            Column::right("Credits less debits"),
        ],
        rows: totals
            .iter()
            .map(|(name, balance)| {
                vec![
                    Cell::link(name.as_str(), address("/admin/books/journal", &[("account", name), ("until", &shown)])),
                    Cell::text(balance.debits.display_exact()),
                    Cell::text(balance.credits.display_exact()),
                    Cell::text(balance.net().display_exact()),
                ]
            })
            .collect(),
        empty: "Nothing yet".into(),
        ..Table::default()
    }));
    let shell = staff.shell(
        "closes",
        &format!("Close of {day}"),
        "Written once. The command “farebox ledger closes” recomputes all of them.",
    );
    page_with(shell, Some((CLOSES, "Daily closes")), Vec::new(), blocks)
}

/// Every rule that the close checked, and how it went.
fn checked(checks: &[Check]) -> Table {
    let row = |check: &Check| {
        let result = if check.findings == 0 {
            Badge::new("good", "circle-check", "Agrees")
        } else {
            Badge::new("bad", "circle-x", format!("{} findings", check.findings))
        };
        let amount = if check.amount.is_zero() { Cell::text("") } else { Cell::text(check.amount.display_exact()) };
        vec![Cell::text(check.rule.as_str()), Cell::text(whole(check.compared)), amount, Cell::badge(result)]
    };
    Table {
        id: "checks",
        title: "What was checked".into(),
        note: "Rules of the whole books, as they stood when the day was closed, then those of the day.".into(),
        columns: vec![Column::of("Rule"), Column::right("Compared"), Column::right("Amount"), Column::of("Result")],
        rows: checks.iter().map(row).collect(),
        empty: "Not kept".into(),
        empty_note: "This day was closed by an earlier version, which checked and kept only what it found.".into(),
        ..Table::default()
    }
}

fn run_state(run: &Run) -> Badge {
    match run.state.as_str() {
        "running" => Badge::new("accent", "play", "Runs"),
        "complete" if run.open == 0 && run.difference().is_zero() => {
            Badge::new("good", "circle-check", "No difference")
        }
        "complete" => Badge::new("bad", "circle-x", "Somebody has to look"),
        _ => Badge::new("warn", "triangle-alert", "Incomplete"),
    }
}

/// `GET /admin/books/reconciliation`
///
/// # Errors
/// `Invalid` for a place that cannot be read; database errors.
pub async fn runs(app: web::Data<App>, staff: Staff, query: web::Query<Before>) -> Result<HttpResponse, PageError> {
    let before: Option<RunId> = read_some(&query.before, "before")?;
    let mut conn = app.db.acquire().await?;
    let rows = Rows::of(reconcile::runs(&mut conn, before, fetch_limit(ROWS)).await?, ROWS);
    let now = app.clock.now();
    let table = Table {
        id: "runs",
        columns: vec![
            Column::of("Began"),
            Column::of("Processor"),
            Column::right("Compared"),
            Column::right("By our books"),
            Column::right("By its own"),
            Column::right("Difference"),
            Column::of("State"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|run| {
                vec![
                    Cell::when(when(run.started_at, now, staff.viewer())).to(format!("{RUNS}/{}", run.id)),
                    Cell::text(run.processor.as_str()),
                    Cell::text(run.compared.to_string()),
                    Cell::amount(amount(run.booked)),
                    Cell::amount(amount(run.told)),
                    Cell::amount(amount(run.difference())),
                    Cell::badge(run_state(run)),
                ]
            })
            .collect(),
        empty: "Nothing was compared yet".into(),
        empty_note: "Every server compares with its payment processors once a day.".into(),
        pager: Some(pager(&rows, before.map(|_| RUNS.to_owned()), |last| {
            address(RUNS, &[("before", &last.id.to_string())])
        })),
        ..Table::default()
    };
    let about = "The books against those of the payment processors, both ways.";
    let against = vec![ActionLink::of("Against usage", super::usage::HERE, "activity")];
    page_with(staff.shell("reconciliation", "Reconciliation", about), None, against, vec![Block::Table(table)])
}

/// `GET /admin/books/reconciliation/{run}`
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn run(app: web::Data<App>, staff: Staff, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let id: RunId = read_id(&id)?;
    let mut conn = app.db.acquire().await?;
    let run = reconcile::reconciliation(&mut conn, id).await?;
    let findings = reconcile::findings(&mut conn, id, MAX_FINDINGS).await?;
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let mut facts = vec![
        ("State", Cell::badge(run_state(&run))),
        ("Payments since", Cell::when(when(run.since, now, viewer))),
        (
            "Payments there",
            Cell::text(run.payments.to_string()).under(format!("{} of them foreign", run.foreign_payments)),
        ),
        ("Purchases compared", Cell::text(run.compared.to_string())),
        ("By our books", Cell::text(run.booked.display_exact())),
        ("By its own", Cell::text(run.told.display_exact())),
        ("Difference", Cell::text(run.difference().display_exact())),
        ("Kept by the processor", Cell::text(run.fees.display_exact()).under("in neither")),
        ("Began", Cell::when(when(run.started_at, now, viewer))),
    ];
    if let Some(at) = run.ended_at {
        facts.push(("Ended", Cell::when(when(at, now, viewer))));
    }
    if !run.failure.is_empty() {
        facts.push(("Why it is incomplete", Cell::text(run.failure.as_str())));
    }
    let table = Table {
        id: "findings",
        title: "Findings".into(),
        columns: vec![Column::of("Payment there"), Column::of("What"), Column::of("Purchase"), Column::of("Detail")],
        rows: findings
            .iter()
            .map(|one| {
                let tone = if one.kind.needs_person() { "bad" } else { "good" };
                let purchase = one.topup.map_or_else(
                    || Cell::text(""),
                    |id| Cell::mono(id.to_string()).to(format!("/admin/payments/{id}")),
                );
                vec![
                    Cell::mono(one.reference.as_str()),
                    Cell::badge(Badge::new(tone, "", one.kind.as_str().replace('_', " "))),
                    purchase,
                    Cell::text(one.detail.as_str()),
                ]
            })
            .collect(),
        empty: "Both sides agree".into(),
        ..Table::default()
    };
    let shell = staff.shell("reconciliation", &format!("Comparison with {}", run.processor), "");
    let blocks = vec![Block::Facts(Facts::of("facts", "", facts)), Block::Table(table)];
    page_with(shell, Some((RUNS, "Reconciliation")), Vec::new(), blocks)
}

/// `GET /admin/organizations/{org}/statements`
///
/// # Errors
/// `NotFound` for an unknown organization; database errors.
pub async fn statements(app: web::Data<App>, staff: Staff, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let id: OrgId = read_id(&id)?;
    let now = app.clock.now();
    let mut conn = app.db.begin_with(READ).await?;
    let name = orgs::find_org(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let made_at = orgs::made_at(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let months = books::months(&mut conn, id, made_at, now).await?;
    let here = format!("/admin/organizations/{id}");
    let link = |month: &str, form: &str| match form {
        "" => format!("{here}/statements/{month}"),
        form => format!("{here}/statements/{month}/{form}"),
    };
    let table = books::pages::months_table(&months, now, link);
    let shell =
        staff.shell("organizations", "Statements", &format!("What {name} had, got and spent, by month of UTC."));
    page_with(shell, Some((&here, &name)), Vec::new(), vec![Block::Table(table)])
}

/// `GET /admin/organizations/{org}/statements/{month}`
///
/// # Errors
/// `NotFound` for an unknown organization or what is no month; database errors.
pub async fn statement(
    app: web::Data<App>,
    staff: Staff,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let (id, month) = path.into_inner();
    let id: OrgId = read_id(&id)?;
    let mut conn = app.db.begin_with(READ).await?;
    let name = orgs::find_org(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let first =
        books::month_of(&month).filter(|first| *first <= app.clock.now().date_naive()).ok_or(PageError::NotFound)?;
    let statement = books::statement(&mut conn, id, first, app.clock.now()).await?;
    let here = format!("/admin/organizations/{id}/statements");
    let journal = |from: &str, until: &str, code: &str| {
        let parts = [("account", &*id.to_string()), ("code", code), ("from", from), ("until", until)];
        address("/admin/books/journal", &parts)
    };
    let blocks = books::pages::blocks(&statement, |day, code| {
        let last = first.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt()).unwrap_or(first);
        let (from, until) = day.map_or((first, last), |day| (day, day));
        journal(&from.to_string(), &until.to_string(), code)
    });
    let actions = vec![
        ActionLink::download("CSV", format!("{here}/{month}/csv")),
        ActionLink::download("PDF", format!("{here}/{month}/pdf")),
    ];
    let shell = staff.shell("organizations", &format!("Statement for {}", statement.title()), &name);
    page_with(shell, Some((&here, "Statements")), actions, blocks)
}

/// `GET /admin/organizations/{org}/statements/{month}/{form}`: `csv` or `pdf`.
///
/// # Errors
/// `NotFound` for an unknown organization, month or form; `Invalid` where the fonts lack its letters.
pub async fn statement_file(
    app: web::Data<App>,
    _staff: Staff,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, PageError> {
    let (id, month, form) = path.into_inner();
    let id: OrgId = read_id(&id)?;
    let mut conn = app.db.begin_with(READ).await?;
    let name = orgs::find_org(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let first =
        books::month_of(&month).filter(|first| *first <= app.clock.now().date_naive()).ok_or(PageError::NotFound)?;
    let statement = books::statement(&mut conn, id, first, app.clock.now()).await?;
    match form.as_str() {
        "csv" => {
            let name = format!("statement-{month}.csv");
            Ok(file("text/csv; charset=utf-8", &name, books::statement_csv(&statement)))
        }
        "pdf" => books::pages::pdf(&mut conn, &statement, &name).await,
        _ => Err(PageError::NotFound),
    }
}
