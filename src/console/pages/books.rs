//! The trial balance, for any moment.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{address, page_with, read_day, read_until, wrong};
use crate::base::Usd;
use crate::books::{self, CREDITS, Trial, account_kind, account_note};
use crate::console::extract::Staff;
use crate::web::present::amount;
use crate::web::views::blocks::{ActionLink, Block, Cell, Column, Filters, Input, Note, Table};
use crate::web::{App, PageError};

pub const READ: &str = "begin isolation level repeatable read read only";

#[derive(Default, Deserialize)]
pub struct TrialQuery {
    #[serde(default)]
    day: String,
    /// Such as `10:15` or `10:15:30`, by UTC; the end of the day without one.
    #[serde(default)]
    time: String,
}

impl TrialQuery {
    /// The moment before which transfers count: now, where none is asked for.
    fn until(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, PageError> {
        let day = read_day(&self.day, "day")?;
        if day.is_some_and(|day| day > now.date_naive()) {
            return Err(wrong("day"));
        }
        Ok(read_until(&self.day, &self.time, ("day", "time"))?.map_or(now, |until| until.min(now)))
    }
}

/// `GET /admin/books?day=&time=`: at a moment of a day of UTC, at its end, or now.
///
/// # Errors
/// `Invalid` for what is no day or no time; database errors.
pub async fn index(
    app: web::Data<App>,
    staff: Staff,
    query: web::Query<TrialQuery>,
) -> Result<HttpResponse, PageError> {
    let now = app.clock.now();
    let until = query.until(now)?;
    let mut conn = app.db.begin_with(READ).await?;
    let trial = books::trial(&mut conn, until).await?;
    let closed = books::latest_close(&mut conn).await?;
    let mut blocks = vec![Block::Filters(Filters {
        action: "/admin/books".into(),
        fields: vec![
            Input::of("date", "day", "At the end of").value(query.day.as_str()),
            Input::of("time", "time", "Or at a time of it, UTC").value(query.time.as_str()),
        ],
        is_on: !query.day.is_empty() || !query.time.is_empty(),
        ..Filters::default()
    })];
    if !trial.is_balanced() {
        let text = "Debits and credits differ. Run the command “farebox ledger verify”.".to_owned();
        blocks.push(Block::Note(Note { tone: "bad", icon: "circle-x", text, ..Note::default() }));
    }
    blocks.push(Block::Table(table(&trial, &query, until)));
    let about = match closed {
        Some(close) => format!("Closed up to {}. What moved since is in it too.", close.day),
        None => "No day is closed yet.".to_owned(),
    };
    let actions = vec![
        ActionLink::download("CSV", address("/admin/books/trial.csv", &[("day", &query.day), ("time", &query.time)])),
        ActionLink::of("Exports", "/admin/books/exports", "download"),
    ];
    page_with(staff.shell("books", "Trial balance", &about), None, actions, blocks)
}

fn table(trial: &Trial, query: &TrialQuery, until: DateTime<Utc>) -> Table {
    let blank = || Cell::text("");
    let side = |sum: Usd| if sum.is_positive() { Cell::amount(amount(sum)) } else { blank() };
    let rows = trial.accounts.iter().map(|(name, balance)| {
        let net = balance.net();
        let parts = [("account", name.as_str()), ("until", &query.day), ("time", &query.time)];
        let to = address("/admin/books/journal", &parts);
        vec![
            Cell::link(name.as_str(), &to).under(account_note(name)),
            Cell::text(account_kind(name).label()),
            Cell::amount(amount(balance.debits)),
            Cell::amount(amount(balance.credits)),
            side(-net).to(if net.is_negative() { to.as_str() } else { "" }),
            side(net).to(if net.is_positive() { to.as_str() } else { "" }),
        ]
    });
    let (debit, credit) = trial.sides();
    Table {
        id: "trial",
        note: format!("Until {}. In US dollars.", until.format("%-d %b %Y, %H:%M:%S UTC")),
        columns: vec![
            Column::of("Account"),
            Column::far("Kind"),
            Column::right("Debits"),
            Column::right("Credits"),
            Column::right("Debit balance"),
            Column::right("Credit balance"),
        ],
        rows: rows.collect(),
        foot: vec![
            Cell::text("Sum"),
            blank(),
            Cell::amount(amount(trial.accounts.values().map(|one| one.debits).sum())),
            Cell::amount(amount(trial.accounts.values().map(|one| one.credits).sum())),
            Cell::amount(amount(debit)),
            Cell::amount(amount(credit)),
        ],
        empty: "No accounts".into(),
        ..Table::default()
    }
}

/// `GET /admin/books/trial.csv?day=&time=`
///
/// # Errors
/// `Invalid` for what is no day or no time; database errors.
pub async fn trial_csv(
    app: web::Data<App>,
    _staff: Staff,
    query: web::Query<TrialQuery>,
) -> Result<HttpResponse, PageError> {
    let now = app.clock.now();
    let until = query.until(now)?;
    let mut conn = app.db.begin_with(READ).await?;
    let trial = books::trial(&mut conn, until).await?;
    let mut out = String::from("account,kind,debits,credits,debit_balance,credit_balance,currency\r\n");
    for (name, balance) in &trial.accounts {
        let net = balance.net();
        let side = |sum: Usd| if sum.is_positive() { sum.exact() } else { "0".to_owned() };
        let kind = if name == CREDITS { "Liability" } else { account_kind(name).label() };
        let fields = [
            books::cell(name),
            kind.to_owned(),
            balance.debits.exact(),
            balance.credits.exact(),
            side(-net),
            side(net),
            "USD".to_owned(),
        ];
        out += &fields.join(",");
        out += "\r\n";
    }
    Ok(super::file("text/csv; charset=utf-8", &format!("trial-{}.csv", until.format("%Y-%m-%dT%H%M%SZ")), out))
}
