//! What a close checked: each rule, how much was compared, and what it found.

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::close::{end_of, start_of};
use super::store;
use crate::base::Usd;
use crate::gateway::reconcile;
use crate::ledger::Drift;

/// A rule, and how it went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    pub rule: String,
    /// How many accounts, meters, hours or whatever the rule is about were compared.
    pub compared: i64,
    /// What these came to; zero where the rule is about no amount.
    pub amount: Usd,
    pub findings: i32,
}

impl Check {
    pub fn of(rule: &str, (compared, amount): (i64, Usd), findings: usize) -> Check {
        Check { rule: rule.to_owned(), compared, amount, findings: i32::try_from(findings).unwrap_or(i32::MAX) }
    }
}

/// The calls of a day of UTC against their sums per hour, and its usage transfers against the calls that they paid for.
/// A call counts by when it began on one side, and by when it was settled on the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsageDay {
    /// A month's first day, where these are the sums of a month.
    pub day: NaiveDate,
    /// Calls that began on the day and are kept.
    pub calls: i64,
    pub calls_cost: Usd,
    /// What the sums of the same hours say.
    pub hours_calls: i64,
    pub hours_cost: Usd,
    /// Of hours whose calls may be deleted, by their sums.
    pub gone_calls: i64,
    pub gone_cost: Usd,
    /// Usage transfers of the day.
    pub transfers: i64,
    pub booked: Usd,
    /// The calls that these paid for.
    pub paid_calls: i64,
    pub paid_cost: Usd,
    /// What calls cost that began and were settled on the day.
    pub same_day: Usd,
    /// Each amount is the same by each way, on each day that is counted.
    pub agrees: bool,
}

impl UsageDay {
    /// What the sums per hour say beyond the calls; zero in sound books.
    #[must_use]
    pub fn hours_off(&self) -> Usd {
        self.hours_cost - self.calls_cost
    }

    /// What was booked beyond the calls that were paid for; zero in sound books.
    #[must_use]
    pub fn booked_off(&self) -> Usd {
        self.booked - self.paid_cost
    }

    /// Of what was booked: calls that had begun on another day.
    #[must_use]
    pub fn from_before(&self) -> Usd {
        self.paid_cost - self.same_day
    }

    /// Of the calls of the day: what was booked on another one.
    #[must_use]
    pub fn booked_later(&self) -> Usd {
        self.calls_cost - self.same_day
    }
}

/// The checks of the whole books, in the order of their rules; what was found under no known rule stands at the end.
pub async fn of_books(conn: &mut PgConnection, drifts: &[Drift]) -> Result<Vec<Check>, sqlx::Error> {
    let found = |rule: &str| drifts.iter().filter(|drift| drift.rule == rule).count();
    let known = reconcile::compared(conn).await?;
    let mut checks: Vec<Check> =
        known.iter().map(|(rule, count, amount)| Check::of(rule, (*count, *amount), found(rule))).collect();
    for drift in drifts {
        if !checks.iter().any(|check| check.rule == drift.rule) {
            checks.push(Check::of(drift.rule, (0, Usd::ZERO), found(drift.rule)));
        }
    }
    Ok(checks)
}

/// The calls of a day against hours and transfers.
pub async fn usage_of(conn: &mut PgConnection, day: NaiveDate) -> Result<UsageDay, sqlx::Error> {
    let span = (start_of(day), end_of(day));
    let (calls, calls_cost) = store::calls_between(conn, span).await?;
    let hours = store::hours_between(conn, span).await?;
    let (transfers, booked) = store::booked_between(conn, span).await?;
    let mut paid = store::paid_between(conn, span, Some(store::LATE)).await?;
    if paid.cost != booked {
        // What waited in a spool for days is looked for among all calls.
        paid = store::paid_between(conn, span, None).await?;
    }
    Ok(UsageDay {
        day,
        calls,
        calls_cost,
        hours_calls: hours.calls,
        hours_cost: hours.cost,
        gone_calls: hours.gone_calls,
        gone_cost: hours.gone_cost,
        transfers,
        booked,
        paid_calls: paid.calls,
        paid_cost: paid.cost,
        same_day: paid.same_day,
        agrees: calls == hours.calls && calls_cost == hours.cost && booked == paid.cost,
    })
}
