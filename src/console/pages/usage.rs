//! The books against usage: calls, their sums per hour, and the transfers that they were paid with, by day and by month.

use actix_web::{HttpResponse, web};
use chrono::{Datelike as _, Months, NaiveDate};
use serde::Deserialize;

use super::books::READ;
use super::{address, page_with, wrong};
use crate::base::Usd;
use crate::books::{self, UsageDay};
use crate::console::extract::Staff;
use crate::console::margin::whole;
use crate::web::present::amount;
use crate::web::views::Badge;
use crate::web::views::blocks::{Block, Cell, Column, Filters, Input, Table};
use crate::web::{App, PageError};

pub const HERE: &str = "/admin/books/usage";
/// Months that are listed.
const LISTED: i64 = 60;

#[derive(Default, Deserialize)]
pub struct UsageQuery {
    /// Such as `2026-11`; this month without it.
    #[serde(default)]
    month: String,
}

/// `GET /admin/books/usage?month=`
///
/// # Errors
/// `Invalid` for what is no month; database errors.
pub async fn index(
    app: web::Data<App>,
    staff: Staff,
    query: web::Query<UsageQuery>,
) -> Result<HttpResponse, PageError> {
    let today = app.clock.now().date_naive();
    let first = match query.month.as_str() {
        "" => today.with_day(1).unwrap_or(today),
        text => books::month_of(text).ok_or_else(|| wrong("month"))?,
    };
    let last = first.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt()).unwrap_or(first);
    let mut conn = app.db.begin_with(READ).await?;
    let days = books::usage_days(&mut conn, first, last).await?;
    let months = books::usage_months(&mut conn, LISTED).await?;
    let filters = Filters {
        action: HERE.into(),
        fields: vec![Input::of("month", "month", "Month").value(first.format("%Y-%m").to_string())],
        is_on: !query.month.is_empty(),
        ..Filters::default()
    };
    let mut by_day =
        table(&days, "days", &format!("Days of {}", first.format("%B %Y")), |day| format!("/admin/books/closes/{day}"));
    by_day.note =
        "Closed days of UTC, as they stood when they were closed. A call counts on the day on which it began, a \
                   transfer on the one on which it was booked; calls over midnight are the two columns at the end."
            .into();
    by_day.empty = "No day of this month was closed with this report".into();
    by_day.empty_note =
        "A day is closed a few minutes after its end. The auditor compares everything every minute.".into();
    let mut by_month =
        table(&months, "months", "Months", |day| address(HERE, &[("month", &day.format("%Y-%m").to_string())]));
    for (row, month) in by_month.rows.iter_mut().zip(&months) {
        row[0].text = month.day.format("%B %Y").to_string();
    }
    by_month.columns[0] = Column::of("Month");
    by_month.empty = "No month yet".into();
    let about =
        "What calls cost, what the sums per hour say, and what was booked for them: three ways to the same amount.";
    let back = Some(("/admin/books/reconciliation", "Reconciliation"));
    let blocks = vec![Block::Filters(filters), Block::Table(by_day), Block::Table(by_month)];
    page_with(staff.shell("reconciliation", "Against usage", about), back, Vec::new(), blocks)
}

/// Days, or months, with their differences. `link` makes the address of one.
pub fn table(days: &[UsageDay], id: &'static str, title: &str, link: impl Fn(NaiveDate) -> String) -> Table {
    // Short, with the last digit behind it.
    let shown = |sum: Usd| Cell::amount(amount(sum));
    let row = |one: &UsageDay| {
        let text = one.day.to_string();
        let result = if one.agrees {
            Badge::new("good", "circle-check", "Agrees")
        } else {
            Badge::new("bad", "circle-x", "Differs")
        };
        let gone = if one.gone_calls > 0 {
            format!("{} of deleted calls", one.gone_cost.display_exact())
        } else {
            String::new()
        };
        vec![
            Cell::link(text, link(one.day)),
            Cell::text(whole(one.calls)),
            shown(one.calls_cost),
            shown(one.hours_cost).under(gone),
            shown(one.hours_off()),
            shown(one.booked),
            shown(one.paid_cost),
            shown(one.booked_off()),
            shown(one.from_before()),
            shown(one.booked_later()),
            Cell::badge(result),
        ]
    };
    let foot = if days.len() > 1 {
        let sum = |of: fn(&UsageDay) -> Usd| shown(days.iter().map(of).sum());
        vec![
            Cell::text("Sum"),
            Cell::text(whole(days.iter().map(|one| one.calls).sum())),
            sum(|one| one.calls_cost),
            sum(|one| one.hours_cost),
            sum(UsageDay::hours_off),
            sum(|one| one.booked),
            sum(|one| one.paid_cost),
            sum(UsageDay::booked_off),
            sum(UsageDay::from_before),
            sum(UsageDay::booked_later),
            Cell::text(""),
        ]
    } else {
        Vec::new()
    };
    Table {
        id,
        title: title.to_owned(),
        columns: vec![
            Column::of("Day, UTC"),
            Column::right("Calls"),
            Column::right("By the calls"),
            Column::right("By the hours"),
            Column::right("Difference"),
            Column::right("Booked"),
            Column::right("Paid for"),
            Column::right("Difference"),
            Column::right("Begun before"),
            Column::right("Booked later"),
            Column::of("Result"),
        ],
        rows: days.iter().map(row).collect(),
        foot,
        ..Table::default()
    }
}
