//! The journal as files: every row, rows with two sides as accountants' programs import them, and days in whole cents.

use std::collections::BTreeMap;

use chrono::{NaiveDate, SecondsFormat};

use super::store::ClosedLine;
use crate::base::Usd;
use crate::ledger::{Booked, Movement};

/// One line for each transfer, exact.
pub const TRANSFERS_HEAD: &str =
    "time,transfer,code,reference,debit_account,credit_account,amount,currency,organization,memo\r\n";
/// Two lines for each transfer, as journals are imported.
pub const ENTRIES_HEAD: &str = "date,journal_no,account,debit,credit,currency,description,reference,organization\r\n";
/// One line for each day and pair of accounts, in whole cents.
pub const SUMMARY_HEAD: &str = "date,journal_no,debit_account,credit_account,amount,currency,description,transfers\r\n";

/// A field of CSV that no spreadsheet takes for a formula.
#[must_use]
pub fn cell(text: &str) -> String {
    let guarded = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if guarded.contains([',', '"', '\r', '\n']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

/// A transfer as one line.
#[must_use]
pub fn line(row: &Booked) -> String {
    let fields = [
        row.at.to_rfc3339_opts(SecondsFormat::Micros, true),
        row.id.to_string(),
        row.code.clone(),
        cell(&row.reference),
        row.debit.clone(),
        row.credit.clone(),
        row.amount.exact(),
        "USD".to_owned(),
        row.org.map(|org| org.to_string()).unwrap_or_default(),
        cell(&row.memo),
    ];
    fields.join(",") + "\r\n"
}

/// A transfer as two lines, debit first.
#[must_use]
pub fn entries(row: &Booked) -> String {
    let description = super::statement::label(&row.code);
    let text = if row.memo.is_empty() { description } else { format!("{description}: {}", row.memo) };
    let side = |account: &str, debit: String, credit: String| {
        let fields = [
            row.at.date_naive().to_string(),
            row.id.to_string(),
            account.to_owned(),
            debit,
            credit,
            "USD".to_owned(),
            cell(&text),
            cell(&row.reference),
            row.org.map(|org| org.to_string()).unwrap_or_default(),
        ];
        fields.join(",") + "\r\n"
    };
    let amount = row.amount.exact();
    side(&row.debit, amount.clone(), String::new()) + &side(&row.credit, String::new(), amount)
}

/// Closed days in whole cents, for programs that know nothing smaller. A day's amount is the running sum of its pair of
/// accounts, rounded, less the same at the end of the day before: so lines never drift from the books, however many they
/// are. `before` is what had moved before the first of `lines`.
#[must_use]
pub fn summary(before: &[Movement], lines: &[ClosedLine]) -> String {
    let key = |one: &Movement| (one.code.clone(), one.debit.clone(), one.credit.clone());
    let mut running: BTreeMap<_, Usd> = before.iter().map(|one| (key(one), one.amount)).collect();
    let mut out = String::new();
    let mut numbers: BTreeMap<NaiveDate, u32> = BTreeMap::new();
    for ClosedLine { day, movement } in lines {
        let sum = running.entry(key(movement)).or_default();
        let earlier = sum.to_cents();
        *sum += movement.amount;
        let amount = sum.to_cents() - earlier;
        if amount.is_zero() || movement.debit == movement.credit {
            continue;
        }
        let number = numbers.entry(*day).or_default();
        *number += 1;
        let fields = [
            day.to_string(),
            format!("{}-{number:03}", day.format("%Y%m%d")),
            movement.debit.clone(),
            movement.credit.clone(),
            format!("{:.2}", amount.amount()),
            "USD".to_owned(),
            super::statement::label(&movement.code),
            movement.transfers.to_string(),
        ];
        out += &fields.join(",");
        out += "\r\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_never_drift_from_the_books() {
        let usd = |text: &str| Usd::parse(text).unwrap_or_default();
        let line = |day: u32, amount: &str| ClosedLine {
            day: NaiveDate::from_ymd_opt(2026, 11, day).unwrap_or_default(),
            movement: Movement {
                code: "usage".into(),
                debit: "credits".into(),
                credit: "usage_revenue".into(),
                amount: usd(amount),
                transfers: 3,
            },
        };
        let days: Vec<ClosedLine> = (1..=30).map(|day| line(day, "0.0031")).collect();
        let text = summary(&[], &days);
        let cents: Usd = text.lines().filter_map(|line| line.split(',').nth(4)).map(usd).sum();
        assert_eq!(cents.exact(), "0.09", "thirty days of 0.31 cents are 9.3 cents");
        assert!(text.lines().count() < 30, "days without a cent have no line");
        let half = summary(&[], &days[..15]).lines().count();
        let rest = summary(&[Movement { amount: usd("0.0465"), ..days[0].movement.clone() }], &days[15..]);
        assert_eq!(half + rest.lines().count(), text.lines().count(), "files of two halves are the file of all");
    }

    #[test]
    fn a_spreadsheet_computes_nothing() {
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("a,b"), "\"a,b\"");
    }
}
