//! The journal with its filters, one transfer, and the calls behind it.

mod filters;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

use self::filters::filters;
use super::books::READ;
use super::{ROWS, address, page_with, place, read_day, read_id, read_place, read_some, read_until, unread, wrong};
use crate::activity;
use crate::base::Usd;
use crate::base::ids::{AdjustmentId, CallId, OrgId, TopUpId, TransferId};
use crate::base::paging::{Rows, fetch_limit};
use crate::books;
use crate::console::extract::Staff;
use crate::ledger::{self, Booked, Code, DayMovement, JournalFilter, Movement};
use crate::orgs;
use crate::web::present::{amount, when};
use crate::web::views::Pager;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Facts, Figure, Figures, Table};
use crate::web::{App, PageError};

pub const HERE: &str = "/admin/books/journal";

#[derive(Clone, Default, Deserialize)]
pub struct JournalQuery {
    /// `credits`, `processors`, the name of an account of the house, or an organization.
    #[serde(default)]
    pub account: String,
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub until: String,
    /// A time of the last day, by UTC: rows before it. The end of the day without one.
    #[serde(default)]
    pub time: String,
    #[serde(default)]
    pub reference: String,
    #[serde(default)]
    pub before: String,
}

/// A query that was read.
pub struct Asked {
    pub filter: JournalFilter,
    /// The organization whose credits are one side.
    pub org: Option<OrgId>,
    pub from: Option<NaiveDate>,
}

impl JournalQuery {
    /// # Errors
    /// `Invalid` for a filter that cannot be read.
    pub fn read(&self, house: &[(Uuid, String, String)]) -> Result<Asked, PageError> {
        let (from, until) = (read_day(&self.from, "from")?, read_until(&self.until, &self.time, ("until", "time"))?);
        let (mut account, mut kind, mut org) = (None, String::new(), None);
        let name = self.account.trim();
        match name {
            "" => {}
            books::CREDITS => kind = "credit".into(),
            "processors" => kind = "processor".into(),
            _ => match house.iter().find(|(_, _, known)| known == name) {
                Some((id, ..)) => account = Some(*id),
                None => {
                    let id: OrgId = name.trim_start_matches("credit:").parse().map_err(|_| wrong("account"))?;
                    (account, org) = (Some(id.0), Some(id));
                }
            },
        }
        if !self.code.is_empty() && Code::parse(&self.code).is_none() {
            return Err(wrong("code"));
        }
        let reference = self.reference.trim();
        if reference.len() > 200 {
            return Err(wrong("reference"));
        }
        // Calls have credits on one side and their revenue on the other: where neither is asked for, they are not looked at.
        let revenue = matches!(name, "usage_revenue" | "byok_fee_revenue");
        let calls = self.code.is_empty() && (name.is_empty() || kind == "credit" || org.is_some() || revenue);
        Ok(Asked {
            filter: JournalFilter {
                account,
                kind,
                rare: !calls && self.code != "usage",
                code: self.code.clone(),
                reference: reference.to_owned(),
                from: from.map(books::start_of),
                until,
                before: read_place(&self.before)?.map(|(at, id)| (at, TransferId(id))),
            },
            org,
            from,
        })
    }

    pub fn address(&self, path: &str, before: &str) -> String {
        let parts = [
            ("account", self.account.trim()),
            ("code", &self.code),
            ("from", &self.from),
            ("until", &self.until),
            ("time", &self.time),
            ("reference", self.reference.trim()),
            ("before", before),
        ];
        address(path, &parts)
    }

    fn is_on(&self) -> bool {
        [&self.account, &self.code, &self.from, &self.until, &self.reference].iter().any(|text| !text.is_empty())
    }
}

/// A page of rows, and where the next one begins.
struct Found {
    rows: Vec<Booked>,
    older: Option<String>,
}

async fn rows_of(conn: &mut PgConnection, query: &JournalQuery, asked: &Asked) -> Result<Found, sqlx::Error> {
    let filter = &asked.filter;
    let sparse = asked.org.filter(|_| filter.reference.is_empty() && !filter.rare);
    let Some(org) = sparse else {
        let rows = Rows::of(ledger::journal(conn, filter, fetch_limit(ROWS)).await?, ROWS);
        let older = rows.rows.last().filter(|_| rows.more).map(|last| query.address(HERE, &place(last.at, last.id.0)));
        return Ok(Found { rows: rows.rows, older });
    };
    let page = books::org_rows(conn, org, filter, ROWS).await?;
    let older = page.older.map(|(at, id)| query.address(HERE, &place(at, id.0)));
    Ok(Found { rows: page.rows, older })
}

/// `GET /admin/books/journal`
///
/// # Errors
/// `Invalid` for a filter that cannot be read; database errors.
pub async fn index(
    app: web::Data<App>,
    staff: Staff,
    query: web::Query<JournalQuery>,
) -> Result<HttpResponse, PageError> {
    let mut conn = app.db.begin_with(READ).await?;
    let house = ledger::house_accounts(&mut conn).await?;
    let shell = staff.shell("journal", "Journal", "Every movement of money, newest first. Days are days of UTC.");
    let unread = unread::span(&query.from, &query.until, &query.time);
    if !unread.is_empty() {
        return unread::page(shell, filters(&query, &house), &unread);
    }
    let asked = query.read(&house)?;
    let now = app.clock.now();
    let figures = sums(&mut conn, &query, &asked, now).await?;
    let Found { rows, older } = rows_of(&mut conn, &query, &asked).await?;
    let names = org_names(&mut conn, &rows).await?;
    let table = Table {
        id: "journal",
        columns: vec![
            Column::of("Time, UTC"),
            Column::of("What"),
            Column::of("Debit"),
            Column::of("Credit"),
            Column::right("Amount"),
            Column::far("Reference"),
        ],
        rows: rows.iter().map(|row| cells(row, &names)).collect(),
        empty: "No transfer fits".into(),
        empty_note: "Widen the days, or clear a filter.".into(),
        pager: Some(Pager {
            older_href: older,
            newest_href: asked.filter.before.map(|_| query.address(HERE, "")),
            ..Pager::default()
        }),
        ..Table::default()
    };
    let mut blocks = vec![Block::Filters(filters(&query, &house))];
    blocks.extend(figures.map(Block::Figures));
    blocks.push(Block::Table(table));
    let actions = vec![
        ActionLink::download(
            "CSV",
            query.address("/admin/books/export?format=transfers", "").replacen("transfers?", "transfers&", 1),
        ),
        ActionLink::of("Exports", "/admin/books/exports", "download"),
    ];
    page_with(shell, None, actions, blocks)
}

/// The sums of what is filtered, where closed days tell them: for every account of the chart, reason and span of days.
async fn sums(
    conn: &mut PgConnection,
    query: &JournalQuery,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Option<Figures>, sqlx::Error> {
    if !asked.filter.reference.is_empty() || query.account.is_empty() {
        return Ok(None);
    }
    let until = asked.filter.until.map_or(now, |until| until.min(now));
    let (debits, credits) = match asked.org {
        Some(org) => org_sums(&org_moved(conn, org, asked, until).await?, &query.code),
        None => chart_sums(&chart_moved(conn, asked, until).await?, query.account.trim(), &query.code),
    };
    Ok(Some(Figures {
        id: "sums",
        figures: vec![
            Figure::amount("Debits", amount(debits), ""),
            Figure::amount("Credits", amount(credits), ""),
            Figure::amount("Credits less debits", amount(credits - debits), ""),
        ],
        note: "Of everything that is filtered, not only of this page.".into(),
        ..Figures::default()
    }))
}

/// How many rows are filtered, where closed days tell it: not those of one reference, which are few, and not where the rest
/// after a place is asked for.
pub async fn count(
    conn: &mut PgConnection,
    query: &JournalQuery,
    asked: &Asked,
    until: DateTime<Utc>,
) -> Result<Option<i64>, sqlx::Error> {
    if !asked.filter.reference.is_empty() || asked.filter.before.is_some() {
        return Ok(None);
    }
    Ok(Some(match asked.org {
        Some(org) => of_code(&org_moved(conn, org, asked, until).await?, &query.code).map(|one| one.transfers).sum(),
        None => chart_count(&chart_moved(conn, asked, until).await?, query.account.trim(), &query.code),
    }))
}

/// The first day that is asked about; `None` where there is nothing at all.
async fn first_day(conn: &mut PgConnection, asked: &Asked) -> Result<Option<NaiveDate>, sqlx::Error> {
    match asked.from {
        Some(day) => Ok(Some(day)),
        None => ledger::first_day(conn).await,
    }
}

async fn chart_moved(
    conn: &mut PgConnection,
    asked: &Asked,
    until: DateTime<Utc>,
) -> Result<Vec<Movement>, sqlx::Error> {
    match first_day(conn, asked).await? {
        Some(from) => books::moved_since(conn, from, until).await,
        None => Ok(Vec::new()),
    }
}

async fn org_moved(
    conn: &mut PgConnection,
    org: OrgId,
    asked: &Asked,
    until: DateTime<Utc>,
) -> Result<Vec<DayMovement>, sqlx::Error> {
    match first_day(conn, asked).await? {
        Some(from) => books::org_moved(conn, org, from, until).await,
        None => Ok(Vec::new()),
    }
}

/// Whether an account of the chart is what the filter names.
fn is_account(filter: &str, account: &str) -> bool {
    match filter {
        "processors" => account.starts_with("processor:"),
        filter => account == filter,
    }
}

fn chart_sums(moved: &[Movement], account: &str, code: &str) -> (Usd, Usd) {
    let mut sums = (Usd::ZERO, Usd::ZERO);
    for one in moved.iter().filter(|one| code.is_empty() || one.code == code) {
        if is_account(account, &one.debit) {
            sums.0 += one.amount;
        }
        if is_account(account, &one.credit) {
            sums.1 += one.amount;
        }
    }
    sums
}

fn chart_count(moved: &[Movement], account: &str, code: &str) -> i64 {
    let is = |one: &&Movement| {
        (code.is_empty() || one.code == code)
            && (account.is_empty() || is_account(account, &one.debit) || is_account(account, &one.credit))
    };
    moved.iter().filter(is).map(|one| one.transfers).sum()
}

fn of_code<'a>(moved: &'a [DayMovement], code: &'a str) -> impl Iterator<Item = &'a DayMovement> {
    moved.iter().filter(move |one| code.is_empty() || one.code == code)
}

fn org_sums(moved: &[DayMovement], code: &str) -> (Usd, Usd) {
    of_code(moved, code).fold((Usd::ZERO, Usd::ZERO), |sums, one| (sums.0 + one.went_out, sums.1 + one.came_in))
}

async fn org_names(
    conn: &mut PgConnection,
    rows: &[Booked],
) -> Result<std::collections::HashMap<OrgId, String>, sqlx::Error> {
    let ids: Vec<OrgId> = rows.iter().flat_map(|row| [OrgId(row.debit_id), OrgId(row.credit_id)]).collect();
    orgs::org_names(conn, &ids).await
}

fn account(id: Uuid, name: &str, names: &std::collections::HashMap<OrgId, String>) -> Cell {
    if !name.starts_with("credit:") {
        return Cell::link(name, address(HERE, &[("account", name)]));
    }
    let org = OrgId(id);
    let shown = names.get(&org).cloned().unwrap_or_else(|| org.to_string());
    Cell::link(shown, format!("/admin/organizations/{org}")).under("credits")
}

fn cells(row: &Booked, names: &std::collections::HashMap<OrgId, String>) -> Vec<Cell> {
    let time = row.at.format("%Y-%m-%d %H:%M:%S").to_string();
    vec![
        Cell::link(time, format!("/admin/books/transfers/{}", row.id)),
        Cell::text(books::label(&row.code)),
        account(row.debit_id, &row.debit, names),
        account(row.credit_id, &row.credit, names),
        Cell::amount(amount(row.amount)),
        Cell::text(row.reference.chars().take(44).collect::<String>()),
    ]
}

#[derive(Default, Deserialize)]
pub struct CallsQuery {
    #[serde(default)]
    after: String,
}

/// `GET /admin/books/transfers/{transfer}`
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn transfer(
    app: web::Data<App>,
    staff: Staff,
    id: web::Path<String>,
    query: web::Query<CallsQuery>,
) -> Result<HttpResponse, PageError> {
    let id: TransferId = read_id(&id)?;
    let mut conn = app.db.begin_with(READ).await?;
    let row = ledger::transfer(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let names = org_names(&mut conn, std::slice::from_ref(&row)).await?;
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let mut facts = vec![
        ("What", Cell::text(books::label(&row.code)).under(row.code.clone())),
        ("Amount", Cell::text(row.amount.display_exact())),
        ("Debit", account(row.debit_id, &row.debit, &names)),
        ("Credit", account(row.credit_id, &row.credit, &names)),
        ("Time", Cell::when(when(row.at, now, viewer)).under(row.at.format("%-d %b %Y, %H:%M:%S%.6f UTC").to_string())),
        ("Reference", because(&row)),
        ("Id", Cell::mono(row.id.to_string())),
    ];
    if !row.memo.is_empty() {
        facts.push(("Memo", Cell::text(row.memo.as_str())));
    }
    let mut blocks = vec![Block::Facts(Facts::of("facts", "", facts))];
    if let (true, Some(org)) = (row.code == Code::Usage.as_str(), row.org) {
        blocks.push(Block::Table(calls(&mut conn, &row, org, &query.after, now, &staff).await?));
    }
    let back = Some((HERE, "Journal"));
    page_with(staff.shell("journal", "Transfer", "One movement of money."), back, Vec::new(), blocks)
}

/// What caused a transfer, with the way there.
fn because(row: &Booked) -> Cell {
    let plain = row.reference.trim_end_matches(":fee");
    let cell = Cell::mono(row.reference.as_str());
    if plain.parse::<TopUpId>().is_ok() {
        cell.to(format!("/admin/payments/{plain}"))
    } else if plain.parse::<AdjustmentId>().is_ok() {
        cell.to(format!("/admin/adjustments/{plain}"))
    } else if let (Ok(call), Some(org)) = (plain.parse::<CallId>(), row.org) {
        cell.to(format!("/admin/organizations/{org}/calls/{call}"))
    } else {
        cell
    }
}

async fn calls(
    conn: &mut PgConnection,
    row: &Booked,
    org: OrgId,
    after: &str,
    now: DateTime<Utc>,
    staff: &Staff,
) -> Result<Table, PageError> {
    let after: Option<CallId> = read_some(after, "after")?;
    let found = activity::paid_calls(conn, org, (row.id, row.at, row.amount), after, fetch_limit(ROWS)).await?;
    let rows = Rows::of(found, ROWS);
    let here = format!("/admin/books/transfers/{}", row.id);
    let sum: Usd = rows.rows.iter().map(|call| call.cost).sum();
    let whole = after.is_none() && !rows.more;
    Ok(Table {
        id: "calls",
        title: "The calls that it paid for".into(),
        columns: vec![Column::of("Time"), Column::of("Model"), Column::of("Provider"), Column::right("Cost")],
        rows: rows
            .rows
            .iter()
            .map(|call| {
                let cost = Cell::text(call.cost.display_exact());
                vec![
                    Cell::when(when(call.at, now, staff.viewer()))
                        .to(format!("/admin/organizations/{org}/calls/{}", call.id)),
                    Cell::text(call.model.as_str()),
                    Cell::text(call.provider.as_str()),
                    cost,
                ]
            })
            .collect(),
        foot: if whole {
            vec![Cell::text("Sum"), Cell::text(""), Cell::text(""), Cell::text(sum.display_exact())]
        } else {
            Vec::new()
        },
        empty: "No calls are kept".into(),
        empty_note: "The calls of this transfer were erased with their account, or their time is over.".into(),
        pager: Some(Pager {
            older_href: rows
                .rows
                .last()
                .filter(|_| rows.more)
                .map(|last| address(&here, &[("after", &last.id.to_string())])),
            newest_href: after.map(|_| here.clone()),
            by_name: true,
            ..Pager::default()
        }),
        ..Table::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_once_whichever_of_its_sides_is_asked_for() {
        let movement = |code: &str, debit: &str, credit: &str, transfers| Movement {
            code: code.into(),
            debit: debit.into(),
            credit: credit.into(),
            amount: Usd::ZERO,
            transfers,
        };
        let moved = [
            movement("topup", "processor:stripe", "credits", 1),
            movement("usage", "credits", "usage_revenue", 10),
            movement("move", "credits", "credits", 100),
        ];
        for (account, code, rows) in [
            ("", "", 111),
            ("", "usage", 10),
            ("credits", "", 111),
            ("credits", "move", 100),
            ("processors", "", 1),
            ("usage_revenue", "", 10),
            ("usage_revenue", "topup", 0),
        ] {
            assert_eq!(chart_count(&moved, account, code), rows, "{account} {code}");
        }
    }
}
