//! How amounts and moments are shown.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::views::common::{Amount, When};
use crate::base::money::thousands;
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

/// A part of one, such as `5.5%`.
#[must_use]
pub fn percent(part: Decimal) -> String {
    format!("{}%", (part * Decimal::ONE_HUNDRED).normalize())
}

/// Such as `312 ms` or `4.1 s`.
#[must_use]
pub fn duration(milliseconds: i64) -> String {
    match milliseconds {
        ..1_000 => format!("{milliseconds} ms"),
        _ => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
    }
}

/// How many there are of something whose plural has an s, such as `1 call` or `1,204 calls`.
#[must_use]
pub fn counted(count: i64, what: &str) -> String {
    format!("{} {what}{}", thousands(&count.to_string()), if count == 1 { "" } else { "s" })
}

/// One or two letters for a round mark.
#[must_use]
pub fn initials(name: &str) -> String {
    name.split_whitespace().filter_map(|word| word.chars().next()).take(2).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_times_are_short() {
        assert_eq!([percent(Decimal::new(55, 3)), percent(Decimal::new(50, 3))], ["5.5%", "5%"]);
        assert_eq!([duration(312), duration(4_199)], ["312 ms", "4.1 s"]);
        assert_eq!([0, 1, 1_204].map(|count| counted(count, "call")), ["0 calls", "1 call", "1,204 calls"]);
    }
}
