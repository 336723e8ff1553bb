//! What an organization had, got and spent in a month of UTC.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sqlx::PgConnection;

use super::close::{end_of, start_of};
use super::export::cell;
use super::store;
use crate::base::Usd;
use crate::base::ids::OrgId;
use crate::ledger::{self, Code, DayMovement};
use crate::paper::{Block, Party, Row, Sheet};

/// Months that are listed: a century of them.
const MAX_MONTHS: u32 = 1_200;

/// What moved on a day for one reason, and what was there afterwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Day {
    pub day: NaiveDate,
    pub code: String,
    pub came_in: Usd,
    pub went_out: Usd,
    pub transfers: i64,
    pub balance: Usd,
}

/// What moved in the whole month for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    pub came_in: Usd,
    pub went_out: Usd,
    pub transfers: i64,
}

impl Sum {
    #[must_use]
    pub fn net(&self) -> Usd {
        self.came_in - self.went_out
    }
}

/// The statement of an organization for a month.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    pub org: OrgId,
    /// The first day of the month.
    pub month: NaiveDate,
    pub opening: Usd,
    pub days: Vec<Day>,
    pub sums: BTreeMap<String, Sum>,
    pub closing: Usd,
    /// Every day of the month is closed, so that nothing of this changes any more.
    pub is_final: bool,
    /// Transfers before this moment are in it.
    pub until: DateTime<Utc>,
}

/// Reads `2026-11`. `None` for what is no month of the calendar.
#[must_use]
pub fn month_of(text: &str) -> Option<NaiveDate> {
    // The parser of dates also takes a sign and blanks.
    let plain = text.len() == 7
        && text.bytes().enumerate().all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() });
    plain.then(|| format!("{text}-01").parse().ok()).flatten()
}

/// What a reason is called.
#[must_use]
pub fn label(code: &str) -> String {
    Code::parse(code).map_or_else(|| code.to_owned(), |code| code.label().to_owned())
}

/// The statement of a month, up to `now`. Run it in one repeatable-read transaction.
///
/// # Errors
/// Database errors only.
pub async fn statement(
    conn: &mut PgConnection,
    org: OrgId,
    month: NaiveDate,
    now: DateTime<Utc>,
) -> Result<Statement, sqlx::Error> {
    let next = month.checked_add_months(Months::new(1)).unwrap_or(month);
    let last = next.pred_opt().unwrap_or(month);
    let closed = store::latest_close(conn).await?.map(|close| close.day);
    // What is not closed yet begins here.
    let open = closed.map_or(DateTime::<Utc>::UNIX_EPOCH, end_of);
    let until = start_of(next).min(now);
    let mut opening = store::closed_before(conn, org, month).await?.map_or(Usd::ZERO, |before| before.posted);
    if open < start_of(month) {
        let before = ledger::org_days(conn, org, open, start_of(month)).await?;
        opening += before.iter().map(|one| one.came_in - one.went_out).sum();
    }
    let moved = org_moved(conn, org, month, until).await?;
    let is_final = closed.is_some_and(|closed| closed >= last);
    Ok(Statement::of(org, month, opening, &moved, is_final, until))
}

/// What moved on an organization's credits from the beginning of a day of UTC to before a moment.
///
/// # Errors
/// Database errors only.
pub async fn org_moved(
    conn: &mut PgConnection,
    org: OrgId,
    from: NaiveDate,
    until: DateTime<Utc>,
) -> Result<Vec<DayMovement>, sqlx::Error> {
    let closed = store::close_ended_by(conn, until).await?.filter(|day| *day >= from);
    let mut moved = match closed {
        Some(day) => store::closed_days(conn, org, from, day).await?,
        None => Vec::new(),
    };
    let open = closed.map_or(start_of(from), end_of);
    if open < until {
        moved.extend(ledger::org_days(conn, org, open, until).await?);
    }
    Ok(moved)
}

/// A month in the list of statements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Month {
    /// Its first day.
    pub first: NaiveDate,
    pub opening: Usd,
    pub came_in: Usd,
    pub went_out: Usd,
    pub closing: Usd,
}

/// The months of an organization up to `now`, newest first: from the one in which it was made, or in which something moved
/// before. Run it in one repeatable-read transaction.
///
/// # Errors
/// Database errors only.
pub async fn months(
    conn: &mut PgConnection,
    org: OrgId,
    made_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Month>, sqlx::Error> {
    let closed = store::latest_close(conn).await?.map(|close| close.day);
    let mut moved = store::closed_months(conn, org).await?;
    let open = closed.map_or(DateTime::<Utc>::UNIX_EPOCH, end_of);
    if open < now {
        moved.extend(ledger::org_days(conn, org, open, now).await?);
    }
    Ok(listed(&moved, made_at, now))
}

fn listed(moved: &[DayMovement], made_at: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Month> {
    let first_of = |day: NaiveDate| day.with_day(1).unwrap_or(day);
    let mut sums: BTreeMap<NaiveDate, Sum> = BTreeMap::new();
    for one in moved {
        let sum = sums.entry(first_of(one.day)).or_default();
        sum.came_in += one.came_in;
        sum.went_out += one.went_out;
    }
    let made = first_of(made_at.date_naive());
    let first = sums.keys().next().map_or(made, |month| made.min(*month));
    let all = (0..MAX_MONTHS).map_while(|after| first.checked_add_months(Months::new(after)));
    let mut opening = Usd::ZERO;
    let month = |first: NaiveDate| {
        let sum = sums.remove(&first).unwrap_or_default();
        let month =
            Month { first, opening, came_in: sum.came_in, went_out: sum.went_out, closing: opening + sum.net() };
        opening = month.closing;
        month
    };
    let mut months: Vec<Month> = all.take_while(|month| *month <= now.date_naive()).map(month).collect();
    months.reverse();
    months
}

impl Statement {
    fn of(
        org: OrgId,
        month: NaiveDate,
        opening: Usd,
        moved: &[DayMovement],
        is_final: bool,
        until: DateTime<Utc>,
    ) -> Statement {
        let mut balance = opening;
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        let mut days = Vec::with_capacity(moved.len());
        for one in moved {
            balance += one.came_in - one.went_out;
            let sum = sums.entry(one.code.clone()).or_default();
            sum.came_in += one.came_in;
            sum.went_out += one.went_out;
            sum.transfers += one.transfers;
            days.push(Day {
                day: one.day,
                code: one.code.clone(),
                came_in: one.came_in,
                went_out: one.went_out,
                transfers: one.transfers,
                balance,
            });
        }
        Statement { org, month, opening, days, sums, closing: balance, is_final, until }
    }

    /// Such as `November 2026`.
    #[must_use]
    pub fn title(&self) -> String {
        self.month.format("%B %Y").to_string()
    }

    #[must_use]
    pub fn came_in(&self) -> Usd {
        self.sums.values().map(|sum| sum.came_in).sum()
    }

    #[must_use]
    pub fn went_out(&self) -> Usd {
        self.sums.values().map(|sum| sum.went_out).sum()
    }
}

/// A statement as lines of CSV, amounts exact.
#[must_use]
pub fn statement_csv(statement: &Statement) -> String {
    let mut out = String::from("date,what,came_in,went_out,balance,transfers,currency\r\n");
    let _ = write!(out, "{},Opening balance,,,{},,USD\r\n", statement.month, statement.opening.exact());
    for day in &statement.days {
        let _ = write!(
            out,
            "{},{},{},{},{},{},USD\r\n",
            day.day,
            cell(&label(&day.code)),
            day.came_in.exact(),
            day.went_out.exact(),
            day.balance.exact(),
            day.transfers
        );
    }
    let until = statement.until.format("%Y-%m-%d");
    let _ = write!(out, "{until},Closing balance,,,{},,USD\r\n", statement.closing.exact());
    out
}

/// A statement on paper.
#[must_use]
pub fn document(statement: &Statement, seller: Vec<String>, buyer: Vec<String>) -> Sheet {
    let row = |what: String, amount: Usd, is_sum| Row { what, how_much: amount.display_exact(), is_sum };
    let mut rows = vec![row("Opening balance".into(), statement.opening, false)];
    for (code, sum) in &statement.sums {
        let count = |transfers: i64| if transfers == 1 { "1 entry".to_owned() } else { format!("{transfers} entries") };
        rows.push(row(format!("{}, {}", label(code), count(sum.transfers)), sum.net(), false));
    }
    rows.push(row("Closing balance".into(), statement.closing, true));
    let days = statement.days.iter().map(|day| {
        let what = format!("{}  {}", day.day.format("%-d %b %Y"), label(&day.code));
        row(what, day.came_in - day.went_out, false)
    });
    let state = if statement.is_final { "Final" } else { "So far; the month or its last close is still open" };
    let mut blocks = vec![
        Block::Heading(format!("Statement for {}", statement.title())),
        Block::Parties(vec![Party { label: "From".into(), lines: seller }, Party { label: "To".into(), lines: buyer }]),
        Block::Facts(vec![
            ("Organization".into(), statement.org.to_string()),
            ("Until".into(), statement.until.format("%-d %b %Y, %H:%M UTC").to_string()),
            ("State".into(), state.into()),
        ]),
        Block::Table(rows),
    ];
    if !statement.days.is_empty() {
        blocks.push(Block::Table(days.collect()));
    }
    blocks.push(Block::Note(
        "In US dollars, as prepaid credits. Days are days of UTC. No payment is asked for with this statement.".into(),
    ));
    Sheet { title: format!("Statement for {}", statement.title()), made_at: statement.until, blocks }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        Usd::parse(text).unwrap_or_default()
    }

    #[test]
    fn opening_and_movements_make_the_closing_balance() {
        let day = |day, code: &str, came_in, went_out| DayMovement {
            day: NaiveDate::from_ymd_opt(2026, 11, day).unwrap_or_default(),
            code: code.into(),
            came_in: usd(came_in),
            went_out: usd(went_out),
            transfers: 1,
        };
        let moved = [day(2, "topup", "20", "0"), day(2, "usage", "0", "0.000000000001"), day(9, "usage", "0", "3.5")];
        let month = month_of("2026-11").unwrap_or_default();
        let statement = Statement::of(OrgId::fresh(), month, usd("1"), &moved, true, start_of(month));
        assert_eq!(statement.closing.exact(), "17.499999999999");
        assert_eq!(statement.opening + statement.came_in() - statement.went_out(), statement.closing);
        assert_eq!(statement.days.last().map(|day| day.balance), Some(statement.closing));
        let csv = statement_csv(&statement);
        assert!(csv.contains("2026-11-02,Calls,0,0.000000000001,20.999999999999,1,USD\r\n"), "{csv}");
        assert_eq!(csv.lines().count(), 6);
        let sheet = document(&statement, vec!["House".into()], vec!["Ada".into()]);
        assert!(sheet.texts().any(|text| text == "$17.499999999999"));
    }

    #[test]
    fn months_follow_each_other_from_the_first_to_now() {
        let day = |text: &str, came_in, went_out| DayMovement {
            day: text.parse().unwrap_or_default(),
            code: String::new(),
            came_in: usd(came_in),
            went_out: usd(went_out),
            transfers: 1,
        };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap_or_default();
        let (made, now) = (at("2026-08-31T23:59:59Z"), at("2026-11-01T00:00:00Z"));
        // The month that runs has closed days and others.
        let moved = [day("2026-09-01", "20", "0"), day("2026-11-01", "0", "1"), day("2026-11-01", "0", "0.5")];
        let months = listed(&moved, made, now);
        let told: Vec<String> =
            months.iter().map(|one| format!("{} {} {}", one.first, one.opening, one.closing)).collect();
        assert_eq!(told, ["2026-11-01 20 18.5", "2026-10-01 20 20", "2026-09-01 0 20", "2026-08-01 0 0"]);
        assert_eq!(months.first().map(|one| (one.came_in, one.went_out)), Some((Usd::ZERO, usd("1.5"))));
        assert_eq!(listed(&[day("2026-07-02", "1", "0")], made, now).len(), 5, "what moved before counts too");
    }

    #[test]
    fn only_a_month_is_a_month() {
        assert!(month_of("2026-11").is_some());
        for wrong in ["", "2026", "2026-13", "2026-1", "2026-11-01", "20é6-11", "+026-11"] {
            assert!(month_of(wrong).is_none(), "{wrong}");
        }
    }
}
