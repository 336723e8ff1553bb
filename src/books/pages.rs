//! Statements of the organization that is open, for whoever handles its credits.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::statement::{Month, Statement, document, label, month_of, months, statement, statement_csv};
use crate::base::ids::OrgId;
use crate::base::money::thousands;
use crate::db;
use crate::orgs::{self, Billing};
use crate::paper::{self, PaperError};
use crate::topups::billing;
use crate::web::present::amount;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Figure, Figures, Note, Table};
use crate::web::views::console::MemberPage;
use crate::web::{App, PageError, html};

const HERE: &str = "/credits/statements";
/// The months of which there are statements, newest first. `link` makes the address of one: its page, `csv` or `pdf`.
#[must_use]
pub fn months_table(months: &[Month], now: DateTime<Utc>, link: impl Fn(&str, &str) -> String) -> Table {
    let this = now.format("%Y-%m").to_string();
    let row = |month: &Month| {
        let at = month.first.format("%Y-%m").to_string();
        let so_far = if at == this { "so far" } else { "" };
        vec![
            Cell::link(month.first.format("%B %Y").to_string(), link(&at, "")).under(so_far),
            Cell::amount(amount(month.opening)),
            Cell::amount(amount(month.came_in)),
            Cell::amount(amount(month.went_out)),
            Cell::amount(amount(month.closing)),
            Cell::link("CSV", link(&at, "csv")),
            Cell::link("PDF", link(&at, "pdf")),
        ]
    };
    Table {
        id: "months",
        columns: vec![
            Column::of("Month"),
            Column::right("Opening balance"),
            Column::right("Came in"),
            Column::right("Went out"),
            Column::right("Closing balance"),
            Column::of("As a table"),
            Column::of("On paper"),
        ],
        rows: months.iter().map(row).collect(),
        empty: "No month yet".into(),
        empty_note: "The first statement is of the month in which the organization was made.".into(),
        ..Table::default()
    }
}

/// A statement as parts of a page. `rows` makes the address of the rows of a day, or of the month, and a reason.
#[must_use]
pub fn blocks(statement: &Statement, rows: impl Fn(Option<NaiveDate>, &str) -> String) -> Vec<Block> {
    let whole = |number: i64| thousands(&number.to_string());
    let mut blocks = Vec::new();
    if !statement.is_final {
        let text = format!("So far, until {}.", statement.until.format("%-d %b %Y, %H:%M UTC"));
        blocks.push(Block::Note(Note { tone: "info", icon: "info", text, ..Note::default() }));
    }
    blocks.push(Block::Figures(Figures {
        id: "balances",
        figures: vec![
            Figure::amount("Opening balance", amount(statement.opening), ""),
            Figure::amount("Came in", amount(statement.came_in()), ""),
            Figure::amount("Went out", amount(statement.went_out()), ""),
            Figure::amount("Closing balance", amount(statement.closing), ""),
        ],
        note: "Days are days of UTC. Calls count when they are settled.".into(),
        ..Figures::default()
    }));
    blocks.push(Block::Table(Table {
        id: "sums",
        title: "What moved".into(),
        columns: vec![
            Column::of("What"),
            Column::right("Entries"),
            Column::right("Came in"),
            Column::right("Went out"),
        ],
        rows: statement
            .sums
            .iter()
            .map(|(code, sum)| {
                vec![
                    Cell::text(label(code)).to(rows(None, code)),
                    Cell::text(whole(sum.transfers)),
                    Cell::text(sum.came_in.display_exact()),
                    Cell::text(sum.went_out.display_exact()),
                ]
            })
            .collect(),
        foot: vec![
            Cell::text("Sum"),
            Cell::text(""),
            Cell::text(statement.came_in().display_exact()),
            Cell::text(statement.went_out().display_exact()),
        ],
        empty: "Nothing moved".into(),
        ..Table::default()
    }));
    blocks.push(Block::Table(Table {
        id: "days",
        title: "Day by day".into(),
        columns: vec![
            Column::of("Day"),
            Column::of("What"),
            Column::right("Came in"),
            Column::right("Went out"),
            Column::right("Balance"),
        ],
        rows: statement
            .days
            .iter()
            .map(|day| {
                vec![
                    Cell::text(day.day.to_string()).to(rows(Some(day.day), &day.code)),
                    Cell::text(label(&day.code)),
                    Cell::text(day.came_in.display_exact()),
                    Cell::text(day.went_out.display_exact()),
                    Cell::text(day.balance.display_exact()),
                ]
            })
            .collect(),
        empty: "Nothing moved".into(),
        ..Table::default()
    }));
    blocks
}

/// A statement as a PDF, between the seller and the buyer as they are now.
///
/// # Errors
/// `Invalid` where the fonts lack a letter; database errors.
pub async fn pdf(conn: &mut PgConnection, statement: &Statement, name: &str) -> Result<HttpResponse, PageError> {
    let seller = billing::seller_lines(conn).await?;
    let buyer = billing::buyer_lines(conn, statement.org, name).await?;
    let file = paper::pdf(&document(statement, seller, buyer)).map_err(|error| match error {
        PaperError::NotCovered(_) | PaperError::TooLong => PageError::Invalid(
            "This statement has letters that our PDF cannot show, or is too long. Open it and print it there.".into(),
        ),
        PaperError::Font(_) => PageError::Internal(error.into()),
    })?;
    let name = format!("attachment; filename=\"statement-{}.pdf\"", statement.month.format("%Y-%m"));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/pdf"))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(file))
}

#[derive(Default, Deserialize)]
pub struct MonthQuery {
    /// Such as `2026-11`; this month without it.
    #[serde(default)]
    month: String,
    /// `csv` or `pdf`.
    #[serde(default)]
    form: String,
}

fn link(month: &str, form: &str) -> String {
    if form.is_empty() {
        format!("{HERE}/month?month={month}")
    } else {
        format!("{HERE}/file?month={month}&form={form}")
    }
}

async fn own(app: &App, org: OrgId, month: &str) -> Result<Statement, PageError> {
    let now = app.clock.now();
    let this = now.format("%Y-%m").to_string();
    let month = if month.is_empty() { &this } else { month };
    let first = month_of(month).filter(|first| *first <= now.date_naive()).ok_or(PageError::NotFound)?;
    // One moment for all figures, behind the wall.
    let mut conn = db::tenant_snapshot(&app.db, org).await?;
    Ok(statement(&mut conn, org, first, now).await?)
}

/// `GET /credits/statements`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, member: Billing) -> Result<HttpResponse, PageError> {
    let (now, org) = (app.clock.now(), member.org_id());
    let mut conn = db::tenant_snapshot(&app.db, org).await?;
    let made_at = orgs::made_at(&mut conn, org).await?.ok_or(PageError::NotFound)?;
    let months = months(&mut conn, org, made_at, now).await?;
    html(&MemberPage {
        shell: member.shell("credits", "Statements", "What was there, came in and went out, by month."),
        back: Some(("/credits".into(), "Credits".into())),
        actions: Vec::new(),
        blocks: vec![Block::Table(months_table(&months, now, link))],
    })
}

/// `GET /credits/statements/month?month=`
///
/// # Errors
/// `NotFound` for what is no month; database errors.
pub async fn show(
    app: web::Data<App>,
    member: Billing,
    query: web::Query<MonthQuery>,
) -> Result<HttpResponse, PageError> {
    let statement = own(&app, member.org_id(), &query.month).await?;
    let month = statement.month.format("%Y-%m").to_string();
    let blocks = blocks(&statement, |_, code| match code {
        "usage" => "/activity".to_owned(),
        "topup" | "refund" | "refund_failed" | "dispute" | "dispute_won" => "/credits".to_owned(),
        _ => String::new(),
    });
    html(&MemberPage {
        shell: member.shell("credits", &format!("Statement for {}", statement.title()), &member.org.name),
        back: Some((HERE.into(), "Statements".into())),
        actions: vec![
            ActionLink::download("CSV", link(&month, "csv")),
            ActionLink::download("PDF", link(&month, "pdf")),
        ],
        blocks,
    })
}

/// `GET /credits/statements/file?month=&form=`
///
/// # Errors
/// `NotFound` for what is no month or no form; `Invalid` where the fonts lack its letters.
pub async fn download(
    app: web::Data<App>,
    member: Billing,
    query: web::Query<MonthQuery>,
) -> Result<HttpResponse, PageError> {
    let statement = own(&app, member.org_id(), &query.month).await?;
    let month = statement.month.format("%Y-%m").to_string();
    match query.form.as_str() {
        "" | "csv" => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
            .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"statement-{month}.csv\"")))
            .body(statement_csv(&statement))),
        "pdf" => pdf(&mut *member.tenant(&app).await?, &statement, &member.org.name).await,
        _ => Err(PageError::NotFound),
    }
}
