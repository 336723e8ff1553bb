//! Statements of the organization that is open, for whoever handles its credits.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use chrono::{DateTime, Datelike as _, Months, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::close::{end_of, start_of};
use super::rows::org_rows;
use super::statement::{Month, Statement, document, label, month_of, months, org_moved, statement, statement_csv};
use crate::activity;
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId, TopUpId, TransferId};
use crate::base::money::thousands;
use crate::base::paging::{Rows, fetch_limit};
use crate::db;
use crate::ledger::{self, Booked, Code, HouseAccount, JournalFilter};
use crate::orgs::{self, Billing};
use crate::paper::{self, PaperError};
use crate::topups::billing;
use crate::web::present::{amount, when};
use crate::web::views::Pager;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Figure, Figures, Note, Table};
use crate::web::views::console::MemberPage;
use crate::web::{App, PageError, html, see_other};

const HERE: &str = "/credits/statements";
/// Entries of a page.
const ROWS: u16 = 50;

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
    let last = statement.month.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt());
    let whole = (statement.month, last.unwrap_or(statement.month));
    let blocks = blocks(&statement, |day, code| {
        let (from, until) = day.map_or(whole, |day| (day, day));
        rows_at(from, until, code, "")
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

#[derive(Default, Deserialize)]
pub struct RowsQuery {
    /// Days of UTC, both included; this month without them.
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    /// A reason, such as `usage`; all of them without one.
    #[serde(default)]
    code: String,
    #[serde(default)]
    before: String,
}

fn rows_at(from: NaiveDate, until: NaiveDate, code: &str, before: &str) -> String {
    let (from, until) = (from.to_string(), until.to_string());
    let parts = [("from", from.as_str()), ("until", &until), ("code", code), ("before", before)];
    let parts: Vec<_> = parts.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    format!("{HERE}/rows?{}", serde_urlencoded::to_string(parts).unwrap_or_default())
}

fn unread(field: &str) -> PageError {
    PageError::Invalid(format!("In the address, {field:?} cannot be read."))
}

impl RowsQuery {
    fn days(&self, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), PageError> {
        let day = |text: &str| text.parse().ok().and_then(activity::of_our_time);
        let read =
            |text: &str, field, or| if text.is_empty() { Ok(or) } else { day(text).ok_or_else(|| unread(field)) };
        let from = read(&self.from, "from", today.with_day(1).unwrap_or(today))?;
        Ok((from, read(&self.until, "until", today.max(from))?))
    }

    /// A place is a moment in microseconds and the transfer that was shown last.
    fn place(&self) -> Result<Option<(DateTime<Utc>, TransferId)>, PageError> {
        if self.before.is_empty() {
            return Ok(None);
        }
        let read = || {
            let (at, id) = self.before.split_once('_')?;
            let at = DateTime::<Utc>::from_timestamp_micros(at.parse().ok()?)?;
            activity::of_our_time(at.date_naive())?;
            Some((at, TransferId(uuid::Uuid::try_parse(id).ok()?)))
        };
        read().map(Some).ok_or_else(|| unread("before"))
    }
}

/// `GET /credits/statements/rows?from=&until=&code=`: what moved, one by one. The sums are those of the statement.
///
/// # Errors
/// `Invalid` for what cannot be read in the address; database errors.
pub async fn rows(
    app: web::Data<App>,
    member: Billing,
    query: web::Query<RowsQuery>,
) -> Result<HttpResponse, PageError> {
    let (now, org) = (app.clock.now(), member.org_id());
    let (from, last) = query.days(now.date_naive())?;
    if !query.code.is_empty() && Code::parse(&query.code).is_none() {
        return Err(unread("code"));
    }
    let until = end_of(last).min(now);
    let filter = JournalFilter {
        account: Some(org.0),
        code: query.code.clone(),
        from: Some(start_of(from)),
        until: Some(until),
        before: query.place()?,
        ..JournalFilter::default()
    };
    let mut conn = db::tenant_snapshot(&app.db, org).await?;
    let moved = if start_of(from) < until { org_moved(&mut conn, org, from, until).await? } else { Vec::new() };
    let moved = moved.into_iter().filter(|one| query.code.is_empty() || one.code == query.code);
    let sums = moved.fold((Usd::ZERO, Usd::ZERO, 0), |sums, one| {
        (sums.0 + one.came_in, sums.1 + one.went_out, sums.2 + one.transfers)
    });
    let page = org_rows(&mut conn, org, &filter, ROWS).await?;
    let newest = filter.before.map(|_| rows_at(from, last, &query.code, ""));
    let older = page
        .older
        .map(|(at, id)| rows_at(from, last, &query.code, &format!("{}_{}", at.timestamp_micros(), id.0.simple())));
    let days = if from == last { from.to_string() } else { format!("{from} to {last}") };
    let what = if query.code.is_empty() { "Everything that moved".to_owned() } else { label(&query.code) };
    let blocks = vec![Block::Figures(row_sums(sums)), Block::Table(rows_table(org, &page.rows, (newest, older)))];
    let mut actions = Vec::new();
    if query.code == Code::Usage.as_str() {
        // By when they began, where a statement goes by when they were settled.
        let there = format!("/activity?period=custom&from={from}&to={last}&tz=UTC");
        actions.push(ActionLink::of("These days in Activity", there, "activity"));
    }
    html(&MemberPage {
        shell: member.shell("credits", &what, &format!("{}, {days}, days of UTC.", member.org.name)),
        back: Some((link(&from.format("%Y-%m").to_string(), ""), "Statement".into())),
        actions,
        blocks,
    })
}

fn row_sums((came_in, went_out, transfers): (Usd, Usd, i64)) -> Figures {
    Figures {
        id: "moved",
        figures: vec![
            Figure::amount("Came in", amount(came_in), ""),
            Figure::amount("Went out", amount(went_out), ""),
            Figure::count("Entries", thousands(&transfers.to_string()), ""),
        ],
        note: "Of all these days, not only of this page.".into(),
        ..Figures::default()
    }
}

fn rows_table(org: OrgId, rows: &[Booked], (newest, older): (Option<String>, Option<String>)) -> Table {
    let row = |row: &Booked| {
        let comes_in = row.credit_id == org.0;
        let amount = Cell::text(row.amount.display_exact());
        let (came_in, went_out) = if comes_in { (amount, Cell::text("")) } else { (Cell::text(""), amount) };
        let (what, to, note) = behind(row);
        let time = Cell::text(row.at.format("%Y-%m-%d %H:%M:%S").to_string());
        let note = Cell::text(note);
        vec![if to.is_empty() { time } else { time.to(to) }, Cell::text(what), note, came_in, went_out]
    };
    Table {
        id: "rows",
        title: "Entries".into(),
        columns: vec![
            Column::of("Time, UTC"),
            Column::of("What"),
            Column::of("About"),
            Column::right("Came in"),
            Column::right("Went out"),
        ],
        rows: rows.iter().map(row).collect(),
        empty: "Nothing moved".into(),
        empty_note: "Choose another day on the statement.".into(),
        pager: Some(Pager { older_href: older, newest_href: newest, ..Pager::default() }),
        ..Table::default()
    }
}

/// What a row is called, where what is behind it is shown, and what it says of itself to its organization.
fn behind(row: &Booked) -> (String, String, String) {
    let what = label(&row.code);
    // Both a purchase and whatever goes back of one name it.
    let topup = [&row.reference, &row.memo].into_iter().find_map(|text| text.parse::<TopUpId>().ok());
    match Code::parse(&row.code) {
        Some(Code::Usage) => {
            let own = row.credit_id == HouseAccount::ByokFeeRevenue.id().0;
            let what = if own { "Fees for calls with your own keys".to_owned() } else { what };
            (what, format!("{HERE}/calls?transfer={}", row.id), "Its calls".to_owned())
        }
        Some(Code::Grant | Code::Correction) => (what, String::new(), row.memo.clone()),
        Some(Code::Redeem) => (what, String::new(), row.reference.clone()),
        _ => match topup {
            Some(topup) => (what, format!("/credits/topups/{topup}"), topup.to_string()),
            None => (what, String::new(), row.reference.clone()),
        },
    }
}

#[derive(Default, Deserialize)]
pub struct CallsQuery {
    #[serde(default)]
    transfer: String,
    #[serde(default)]
    after: String,
}

/// `GET /credits/statements/calls?transfer=`: the calls that one entry paid for, down to each of them.
///
/// # Errors
/// `NotFound` for an entry that is not of this organization, or paid for no calls; database errors.
pub async fn calls(
    app: web::Data<App>,
    member: Billing,
    query: web::Query<CallsQuery>,
) -> Result<HttpResponse, PageError> {
    let (now, org, viewer) = (app.clock.now(), member.org_id(), member.person().viewer());
    if query.transfer.is_empty() {
        return Ok(see_other(HERE));
    }
    let id: TransferId = query.transfer.parse().map_err(|_| PageError::NotFound)?;
    let after: Option<CallId> = match query.after.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| unread("after"))?),
    };
    let mut conn = db::tenant_snapshot(&app.db, org).await?;
    let row = ledger::transfer(&mut conn, id).await?.filter(|row| row.code == Code::Usage.as_str());
    let row = row.filter(|row| row.debit_id == org.0).ok_or(PageError::NotFound)?;
    let found = activity::paid_calls(&mut conn, org, (row.id, row.at, row.amount), after, fetch_limit(ROWS)).await?;
    let found = Rows::of(found, ROWS);
    let here = format!("{HERE}/calls?transfer={id}");
    let sum: Usd = found.rows.iter().map(|call| call.cost).sum();
    let cells = |call: &activity::PaidCall| {
        vec![
            Cell::when(when(call.at, now, viewer)).to(format!("/activity/{}", call.id)),
            Cell::text(call.model.as_str()),
            Cell::text(call.provider.as_str()),
            Cell::text(call.cost.display_exact()),
        ]
    };
    let table = Table {
        id: "calls",
        title: "The calls that it paid for".into(),
        columns: vec![Column::of("Time"), Column::of("Model"), Column::of("Provider"), Column::right("Cost")],
        rows: found.rows.iter().map(cells).collect(),
        foot: if after.is_none() && !found.more && !found.rows.is_empty() {
            vec![Cell::text("Sum"), Cell::text(""), Cell::text(""), Cell::text(sum.display_exact())]
        } else {
            Vec::new()
        },
        empty: "No calls are kept".into(),
        empty_note: "Their time is over. What they cost stays in the books.".into(),
        pager: Some(Pager {
            older_href: found.rows.last().filter(|_| found.more).map(|last| format!("{here}&after={}", last.id)),
            newest_href: after.map(|_| here.clone()),
            by_name: true,
            ..Pager::default()
        }),
        ..Table::default()
    };
    let figures = Figures {
        id: "entry",
        figures: vec![Figure::amount("Went out", amount(row.amount), "")],
        note: "Calls that are settled together are one entry.".into(),
        ..Figures::default()
    };
    let day = row.at.date_naive();
    html(&MemberPage {
        shell: member.shell("credits", "Calls of an entry", &row.at.format("%-d %b %Y, %H:%M:%S UTC").to_string()),
        back: Some((rows_at(day, day, Code::Usage.as_str(), ""), day.to_string())),
        actions: Vec::new(),
        blocks: vec![Block::Figures(figures), Block::Table(table)],
    })
}
