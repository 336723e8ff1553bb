//! How amounts and moments are shown.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::views::common::{Amount, When};
use crate::base::Usd;

/// An amount, short, with its exact value behind it.
#[must_use]
pub fn amount(usd: Usd) -> Amount {
    Amount::new(usd.display(), usd.display_exact())
}

/// A moment, told from now where that is clearer, exact in the reader's zone behind it.
#[must_use]
pub fn when(at: DateTime<Utc>, now: DateTime<Utc>, zone: Tz) -> When {
    let local = at.with_timezone(&zone);
    let age = now - at;
    let (text, relative) = if age < TimeDelta::zero() {
        (local.format("%-d %b %Y, %H:%M").to_string(), false)
    } else if age < TimeDelta::minutes(1) {
        ("just now".to_owned(), true)
    } else if age < TimeDelta::hours(1) {
        (format!("{} min ago", age.num_minutes()), true)
    } else if age < TimeDelta::hours(24) {
        (format!("{} h ago", age.num_hours()), true)
    } else {
        (local.format("%-d %b, %H:%M").to_string(), false)
    };
    When { text, exact: exact(at, zone), iso: at.to_rfc3339(), relative }
}

/// The day of a moment that matters as a date, such as `1 Jun 2027`.
#[must_use]
pub fn day(at: DateTime<Utc>, zone: Tz) -> When {
    let text = at.with_timezone(&zone).format("%-d %b %Y").to_string();
    When { text, exact: exact(at, zone), iso: at.to_rfc3339(), relative: false }
}

/// The time on that day with its zone, such as `14:03 UTC`.
#[must_use]
pub fn time_of_day(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%H:%M %Z").to_string()
}

fn exact(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%-d %b %Y, %H:%M:%S %Z").to_string()
}

/// One or two letters for a round mark.
#[must_use]
pub fn initials(name: &str) -> String {
    name.split_whitespace().filter_map(|word| word.chars().next()).take(2).flat_map(char::to_uppercase).collect()
}
