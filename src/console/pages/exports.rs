//! The journal as files, streamed: a page of rows at a time, however many there are.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use chrono::{Months, NaiveDate};
use serde::Deserialize;
use sqlx::PgPool;

use super::books::READ;
use super::journal::{JournalQuery, count};
use super::{file, page, read_day, wrong};
use crate::base::ids::TransferId;
use crate::base::money::thousands;
use crate::books;
use crate::console::extract::Staff;
use crate::ledger::{self, JournalFilter};
use crate::web::views::Choice;
use crate::web::views::blocks::{Block, Cell, Column, Filters, Input, Table};
use crate::web::{App, PageError};

/// Rows that are in memory at a time.
const CHUNK: i64 = 1_000;
/// Rows of one file. Whoever needs more takes shorter spans.
const MAX_ROWS: i64 = 5_000_000;
/// Days of one summary.
const MAX_DAYS: i64 = 800;

const FORMATS: [(&str, &str); 3] = [
    ("entries", "Journal entries, two lines each"),
    ("transfers", "Transfers, one line each"),
    ("summary", "Days in whole cents"),
];

/// `GET /admin/books/exports`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn index(app: web::Data<App>, staff: Staff) -> Result<HttpResponse, PageError> {
    let now = app.clock.now().date_naive();
    let month = now.checked_sub_months(Months::new(1)).unwrap_or(now);
    let first: NaiveDate = month.format("%Y-%m-01").to_string().parse().unwrap_or(month);
    let last = first.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt()).unwrap_or(first);
    let form = Filters {
        action: "/admin/books/export".into(),
        fields: vec![
            Input::of("select", "format", "As").wide().choices(
                FORMATS.iter().map(|(value, label)| Choice::new(value, label, "", *value == "entries")).collect(),
            ),
            Input::of("date", "from", "From").value(first.to_string()),
            Input::of("date", "until", "Until").value(last.to_string()),
        ],
        is_on: false,
        button: "Download",
    };
    let row = |name: &str, about: &str| vec![Cell::text(name), Cell::text(about)];
    let table = Table {
        id: "formats",
        title: "What is in them".into(),
        columns: vec![Column::of("As"), Column::of("What")],
        rows: vec![
            row(
                FORMATS[0].1,
                "One line for the debit and one for the credit of each transfer, under one number, as accountants' programs import journals. Amounts exact.",
            ),
            row(
                FORMATS[1].1,
                "Every transfer with both accounts, its reference and memo. Amounts exact, newest first.",
            ),
            row(
                FORMATS[2].1,
                "One line for each closed day and pair of accounts, for programs that know nothing below a cent. A line is what the running sum grew by in whole cents, so lines never drift from the books.",
            ),
        ],
        ..Table::default()
    };
    let about = "The journal for accountants' programs. Days are days of UTC, amounts US dollars.";
    page(staff.shell("books", "Exports", about), vec![Block::Filters(form), Block::Table(table)])
}

#[derive(Default, Deserialize)]
pub struct ExportQuery {
    #[serde(default)]
    format: String,
    #[serde(flatten)]
    journal: JournalQuery,
    /// What is no filter. A file is taken away and believed, so nothing in its address is passed over.
    #[serde(flatten)]
    rest: BTreeMap<String, String>,
}

/// `GET /admin/books/export`: what is filtered.
///
/// # Errors
/// `Invalid` for a filter or a format that cannot be read, and for more rows than a file has; database errors. One that ends
/// a file midway breaks it off, so that nobody takes it for a whole one.
pub async fn export(
    app: web::Data<App>,
    _staff: Staff,
    query: web::Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    if let Some(name) = query.rest.keys().next() {
        return Err(wrong(name));
    }
    if query.format == "summary" {
        return summary(&app, &query.journal).await;
    }
    let (head, line): (&'static str, fn(&ledger::Booked) -> String) = match query.format.as_str() {
        "transfers" => (books::TRANSFERS_HEAD, books::line),
        "" | "entries" => (books::ENTRIES_HEAD, books::entries),
        _ => return Err(wrong("format")),
    };
    let mut conn = app.db.begin_with(READ).await?;
    let house = ledger::house_accounts(&mut conn).await?;
    let asked = query.journal.read(&house)?;
    // What comes later is in no page of it.
    let now = app.clock.now();
    let until = asked.filter.until.map_or(now, |until| until.min(now));
    if let Some(rows) = count(&mut conn, &query.journal, &asked, until).await? {
        room(rows).map_err(|error| PageError::Invalid(error.to_string()))?;
    }
    drop(conn);
    let filter = JournalFilter { until: Some(until), ..asked.filter };
    let start = Chunks { pool: app.db.clone(), filter, head: Some(head), line, rows: 0 };
    let stream = futures_util::stream::try_unfold(start, |mut chunks| async move {
        Ok::<_, Broken>(chunks.next().await?.map(|bytes| (bytes, chunks)))
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"journal.csv\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(stream))
}

/// Why a file ends before its last row.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("A file has at most {} transfers. Choose a shorter span.", thousands(&MAX_ROWS.to_string()))]
    TooLong,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// # Errors
/// `TooLong` for more rows than one file has.
fn room(rows: i64) -> Result<(), Broken> {
    if rows > MAX_ROWS { Err(Broken::TooLong) } else { Ok(()) }
}

/// Where an export is.
struct Chunks {
    pool: PgPool,
    filter: JournalFilter,
    head: Option<&'static str>,
    line: fn(&ledger::Booked) -> String,
    rows: i64,
}

impl Chunks {
    /// The next lines. The connection is given back before they are sent.
    ///
    /// # Errors
    /// `TooLong` where more rows are left than fit: a file that ended there would look whole.
    async fn next(&mut self) -> Result<Option<web::Bytes>, Broken> {
        if let Some(head) = self.head.take() {
            return Ok(Some(web::Bytes::from_static(head.as_bytes())));
        }
        let mut tx = self.pool.begin().await?;
        let rows = ledger::journal(&mut tx, &self.filter, CHUNK).await?;
        drop(tx);
        let Some(last) = rows.last() else { return Ok(None) };
        self.filter.before = Some((last.at, TransferId(last.id.0)));
        self.rows = self.rows.saturating_add(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        room(self.rows)?;
        let text: String = rows.iter().map(self.line).collect();
        Ok(Some(text.into()))
    }
}

async fn summary(app: &App, query: &JournalQuery) -> Result<HttpResponse, PageError> {
    // Closed days are whole ones, of all accounts.
    let beside = [
        ("time", &query.time),
        ("account", &query.account),
        ("code", &query.code),
        ("reference", &query.reference),
        ("before", &query.before),
    ];
    if let Some((name, _)) = beside.iter().find(|(_, text)| !text.is_empty()) {
        return Err(wrong(name));
    }
    let mut conn = app.db.begin_with(READ).await?;
    let last = books::latest_close(&mut conn).await?.map(|close| close.day);
    let from = read_day(&query.from, "from")?;
    let from = match from {
        Some(day) => Some(day),
        None => ledger::first_day(&mut conn).await?,
    };
    let until = read_day(&query.until, "until")?.or(last);
    let (Some(from), Some(until), Some(last)) = (from, until, last) else {
        return Ok(file("text/csv; charset=utf-8", "summary.csv", books::SUMMARY_HEAD));
    };
    let until = until.min(last);
    if (until - from).num_days() > MAX_DAYS {
        return Err(PageError::Invalid(format!("A summary has at most {MAX_DAYS} days. Choose a shorter span.")));
    }
    let before = books::cumulative_before(&mut conn, Some(from)).await?;
    let lines = books::lines_between(&mut conn, from, until).await?;
    let text = format!("{}{}", books::SUMMARY_HEAD, books::summary(&before, &lines));
    Ok(file("text/csv; charset=utf-8", &format!("summary-{from}-{until}.csv"), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_all_of_its_rows_or_breaks_off() {
        assert!(room(0).is_ok() && room(MAX_ROWS).is_ok());
        let told = room(MAX_ROWS + 1).map_err(|error| error.to_string());
        assert_eq!(told, Err("A file has at most 5,000,000 transfers. Choose a shorter span.".to_owned()));
    }
}
