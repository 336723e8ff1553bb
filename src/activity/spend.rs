//! What was spent, for the figures on pages.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::chart::{Group, Slice};
use super::span::{Span, start_of_day, start_of_month};
use super::store;
use crate::base::Usd;
use crate::base::ids::{KeyId, OrgId, PersonId};

/// The pace of spending is taken over so many days.
const PACE_DAYS: i64 = 7;
/// Values that filters offer of each dimension, so that thousands of keys leave no model out.
const MAX_SEEN: i64 = 500;

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
    /// What providers took themselves, by their list price, from accounts of the organization's own. No part of `cost`.
    pub upstream_cost: Usd,
}

impl std::ops::Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        Totals {
            requests: self.requests + other.requests,
            failed: self.failed + other.failed,
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            completion_tokens: self.completion_tokens + other.completion_tokens,
            reasoning_tokens: self.reasoning_tokens + other.reasoning_tokens,
            cached_tokens: self.cached_tokens + other.cached_tokens,
            cost: self.cost + other.cost,
            upstream_cost: self.upstream_cost + other.upstream_cost,
        }
    }
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
    Ok(store::span_sums(conn, org, span, slice).await?.into())
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

/// The values that calls of a stretch of time have: what filters offer.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Seen {
    pub models: Vec<String>,
    pub providers: Vec<String>,
    pub apps: Vec<String>,
    pub keys: Vec<KeyId>,
    pub members: Vec<PersonId>,
}

/// Of all members, or of one.
///
/// # Errors
/// Database errors only.
pub async fn seen(
    conn: &mut PgConnection,
    org: OrgId,
    span: Span,
    member: Option<PersonId>,
) -> Result<Seen, sqlx::Error> {
    let mut seen = Seen::default();
    for row in store::seen_values(conn, org, span, member, MAX_SEEN).await? {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        seen.models.extend(some(row.model));
        seen.providers.extend(some(row.provider));
        seen.apps.extend(some(row.app));
        seen.keys.extend(row.key);
        seen.members.extend(row.member.filter(|person| !person.0.is_nil()));
    }
    Ok(seen)
}

/// Whether an organization, or one of its members, ever made a call, also one that is deleted by now. The sums say so, for a look
/// at the log is bounded, and finds nobody's few calls behind the many of others.
///
/// # Errors
/// Database errors only.
pub async fn any_calls(conn: &mut PgConnection, org: OrgId, member: Option<PersonId>) -> Result<bool, sqlx::Error> {
    store::any_calls(conn, org, member).await
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
    let to = super::span::hour_of(now) + TimeDelta::hours(1);
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
