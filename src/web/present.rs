//! How amounts and moments are shown.

use chrono::{DateTime, TimeDelta, Utc};

use super::views::common::{Amount, When};
use crate::base::{Usd, Viewer};

/// An amount, short, with its exact value behind it.
#[must_use]
pub fn amount(usd: Usd) -> Amount {
    Amount::new(usd.display(), usd.display_exact())
}

/// A moment, told from now where that is clearer, exact in the reader's zone behind it.
#[must_use]
pub fn when(at: DateTime<Utc>, now: DateTime<Utc>, viewer: Viewer) -> When {
    let age = now - at;
    let (text, relative) = if age < TimeDelta::zero() {
        (viewer.moment(at), false)
    } else if age < TimeDelta::minutes(1) {
        ("just now".to_owned(), true)
    } else if age < TimeDelta::hours(1) {
        (format!("{} min ago", age.num_minutes()), true)
    } else if age < TimeDelta::hours(24) {
        (format!("{} h ago", age.num_hours()), true)
    } else {
        (viewer.short(at), false)
    };
    When { text, exact: viewer.exact(at), iso: at.to_rfc3339(), relative }
}

/// The day of a moment that matters as a date, such as `1 Jun 2027`.
#[must_use]
pub fn day(at: DateTime<Utc>, viewer: Viewer) -> When {
    When { text: viewer.day(at), exact: viewer.exact(at), iso: at.to_rfc3339(), relative: false }
}

/// One or two letters for a round mark.
#[must_use]
pub fn initials(name: &str) -> String {
    name.split_whitespace().filter_map(|word| word.chars().next()).take(2).flat_map(char::to_uppercase).collect()
}
