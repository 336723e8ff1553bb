//! What was spent, for the figures on pages.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::chart::{Group, Slice};
use super::span::{Span, start_of_day, start_of_month};
use super::store;
use crate::base::Usd;
use crate::base::ids::OrgId;

/// The pace of spending is taken over so many days.
const PACE_DAYS: i64 = 7;

/// Sums over calls.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Totals {
    /// All calls of the log, the refused ones included.
    pub requests: u64,
    /// Of these, the ones that did not succeed.
    pub failed: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Of the completion.
    pub reasoning_tokens: u64,
    /// Of the prompt.
    pub cached_tokens: u64,
    pub cost: Usd,
}

impl Totals {
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }
}

/// What an organization's balance card says about spending.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Summary {
    pub today: Usd,
    pub this_month: Usd,
    /// Over the last seven days of twenty-four hours, the running hour included.
    pub last_seven_days: Usd,
}

impl Summary {
    /// For how many whole days `available` lasts at the pace of the last seven days. `None` while nothing is spent.
    #[must_use]
    pub fn days_left(&self, available: Usd) -> Option<u64> {
        if !self.last_seven_days.is_positive() {
            return None;
        }
        let days = available.amount().max(Decimal::ZERO) * Decimal::from(PACE_DAYS) / self.last_seven_days.amount();
        u64::try_from(days.trunc()).ok()
    }
}

/// Sums over the calls of an organization that began within `span`.
///
/// # Errors
/// Database errors only.
pub async fn totals(conn: &mut PgConnection, org: OrgId, span: Span, slice: &Slice) -> Result<Totals, sqlx::Error> {
    Ok(store::hour_sums(conn, org, span, slice).await?.into())
}

/// The same sums for each model, key, provider, app or member, the dearest first, at most a hundred.
/// Keys and members are named by their UUID.
///
/// # Errors
/// Database errors only.
pub async fn spent_by(
    conn: &mut PgConnection,
    org: OrgId,
    span: Span,
    slice: &Slice,
    group: Group,
) -> Result<Vec<(String, Totals)>, sqlx::Error> {
    let rows = store::group_sums(conn, org, span, slice, group).await?;
    Ok(rows.into_iter().map(|row| (row.name, row.sums.into())).collect())
}

/// What was spent today, this month and in the last seven days.
///
/// # Errors
/// Database errors only.
pub async fn summary(
    conn: &mut PgConnection,
    org: OrgId,
    now: DateTime<Utc>,
    zone: Tz,
    slice: &Slice,
) -> Result<Summary, sqlx::Error> {
    // The running hour is in the sums already, so a span may simply end after it.
    let to = super::record::hour_of(now) + TimeDelta::hours(1);
    let week = Span { from: to - TimeDelta::days(PACE_DAYS), to };
    Ok(Summary {
        today: totals(conn, org, Span { from: start_of_day(now, zone), to }, slice).await?.cost,
        this_month: totals(conn, org, Span { from: start_of_month(now, zone), to }, slice).await?.cost,
        last_seven_days: totals(conn, org, week, slice).await?.cost,
    })
}

/// Everything that an organization ever paid for calls.
///
/// # Errors
/// Database errors only.
pub async fn lifetime(conn: &mut PgConnection, org: OrgId) -> Result<Usd, sqlx::Error> {
    store::lifetime_cost(conn, org).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_tells_how_long_credits_last() {
        let summary = Summary { last_seven_days: Usd::from_cents(700), ..Summary::default() };
        assert_eq!(summary.days_left(Usd::from_cents(1_050)), Some(10));
        assert_eq!(summary.days_left(Usd::from_cents(-5)), Some(0));
        assert_eq!(Summary::default().days_left(Usd::from_cents(5)), None);
    }
}
