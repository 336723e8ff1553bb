//! Limits in words and bars.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, Weekday};

use crate::base::{Locale, Usd};
use crate::ledger::{Limits, MeterState, Spent, Window};
use crate::web::present::amount;
use crate::web::views::Meter;
use crate::web::views::keys::LimitBar;

/// From here a key is near its limit, in percent.
pub const NEAR_PERCENT: u8 = 80;

/// The tightest limit of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tightest {
    pub window: Window,
    pub limit: Usd,
    pub used: Usd,
    pub held: Usd,
}

impl Tightest {
    /// `None` for a meter without limits.
    #[must_use]
    pub fn of(meter: &MeterState) -> Option<Tightest> {
        let (window, left) = meter.tightest(Usd::ZERO)?;
        let limit = limit_of(&meter.limits, window)?;
        Some(Tightest { window, limit, used: limit - left, held: meter.held })
    }

    /// How much is used, in whole percent from 0 to 100, rounded down.
    #[must_use]
    pub fn percent(&self) -> u8 {
        if !self.limit.is_positive() || self.used >= self.limit {
            return 100;
        }
        let share = self.used.amount().max(rust_decimal::Decimal::ZERO) / self.limit.amount();
        u8::try_from((share * rust_decimal::Decimal::ONE_HUNDRED).trunc()).unwrap_or(100)
    }

    /// What may still be spent, beside what running calls hold; never less than nothing.
    #[must_use]
    pub fn left(&self) -> Usd {
        (self.limit - self.used - self.held).max(Usd::ZERO)
    }

    /// Whether not even a call of the smallest price is admitted now.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.left().is_zero()
    }
}

fn limit_of(limits: &Limits, window: Window) -> Option<Usd> {
    match window {
        Window::Total => limits.total,
        Window::Day => limits.day,
        Window::Week => limits.week,
        Window::Month => limits.month,
    }
}

const WINDOWS: [Window; 4] = [Window::Day, Window::Week, Window::Month, Window::Total];

const fn title_of(window: Window) -> &'static str {
    match window {
        Window::Total => "In all",
        Window::Day => "Each day",
        Window::Week => "Each week",
        Window::Month => "Each month",
    }
}

/// How many limits stand on one meter.
#[must_use]
pub fn count_limits(limits: &Limits) -> usize {
    WINDOWS.into_iter().filter(|window| limit_of(limits, *window).is_some()).count()
}

/// Limits in words, such as `$1.00 each day`.
#[must_use]
pub fn limit_lines(limits: &Limits) -> Vec<String> {
    let line = |window: Window| {
        limit_of(limits, window).map(|limit| format!("{} {}", limit.display(), title_of(window).to_lowercase()))
    };
    WINDOWS.into_iter().filter_map(line).collect()
}

/// A bar for each limit of a meter.
#[must_use]
pub fn bars(name: &str, meter: &MeterState, locale: Locale) -> Vec<LimitBar> {
    let only = |window: Window| {
        let limit = limit_of(&meter.limits, window);
        let none = Limits::default();
        let limits = match window {
            Window::Total => Limits { total: limit, ..none },
            Window::Day => Limits { day: limit, ..none },
            Window::Week => Limits { week: limit, ..none },
            Window::Month => Limits { month: limit, ..none },
        };
        let alone = MeterState { limits, ..meter.clone() };
        let left = Tightest::of(&alone)?.left();
        let mut bar = bar(name, &alone, locale)?;
        bar.note = [format!("{} left", left.display()), bar.note]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" · ");
        Some(LimitBar { title: title_of(window).to_owned(), meter: bar })
    };
    WINDOWS.into_iter().filter_map(only).collect()
}

/// What was spent in each window, as it counts now.
#[must_use]
pub fn spent_by_window(meter: &MeterState) -> Spent {
    meter.spent_now()
}

/// The first day of the next window; `None` for a limit that never starts again.
#[must_use]
pub fn next_start(window: Window, today: NaiveDate) -> Option<NaiveDate> {
    match window {
        Window::Total => None,
        Window::Day => today.checked_add_days(Days::new(1)),
        Window::Week => today.week(Weekday::Mon).first_day().checked_add_days(Days::new(7)),
        Window::Month => today.with_day(1)?.checked_add_months(Months::new(1)),
    }
}

/// The bar of a meter's tightest limit; `None` without limits.
#[must_use]
pub fn bar(name: &str, meter: &MeterState, locale: Locale) -> Option<Meter> {
    let tightest = Tightest::of(meter)?;
    let mut notes = Vec::new();
    if let Some(start) = next_start(tightest.window, meter.today) {
        let (day, midnight) = (start.format(locale.weekday()), NaiveTime::MIN.format(locale.time()));
        notes.push(format!("Starts again {day}, {midnight} UTC"));
    }
    if !tightest.held.is_zero() {
        notes.push(format!("{} held by running calls", tightest.held.display()));
    }
    Some(Meter {
        used: amount(tightest.used),
        limit: amount(tightest.limit),
        percent: tightest.percent(),
        note: notes.join(" · "),
        label: format!("{} used by {name}", window_words(tightest.window)),
    })
}

fn window_words(window: Window) -> &'static str {
    match window {
        Window::Total => "Part of the whole limit",
        Window::Day => "Part of the daily limit",
        Window::Week => "Part of the weekly limit",
        Window::Month => "Part of the monthly limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tightest(limit: i64, used: i64, held: i64) -> Tightest {
        let cents = Usd::from_cents;
        Tightest { window: Window::Day, limit: cents(limit), used: cents(used), held: cents(held) }
    }

    #[test]
    fn a_bar_is_full_only_when_nothing_is_left() {
        assert_eq!(tightest(1_000, 999, 0).percent(), 99);
        assert_eq!(tightest(1_000, 1_000, 0).percent(), 100);
        assert_eq!(tightest(100, 250, 0).percent(), 100, "the limit was lowered");
        assert_eq!(tightest(0, 0, 0).percent(), 100);
        assert!(tightest(100, 90, 10).is_reached());
        assert!(!tightest(100, 90, 9).is_reached());
    }

    #[test]
    fn windows_start_again_when_the_ledger_rolls_them() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a date");
        assert_eq!(next_start(Window::Day, day("2026-12-31")), Some(day("2027-01-01")));
        assert_eq!(next_start(Window::Week, day("2026-11-23")), Some(day("2026-11-30")), "a Monday");
        assert_eq!(next_start(Window::Week, day("2026-11-22")), Some(day("2026-11-23")), "a Sunday");
        assert_eq!(next_start(Window::Month, day("2026-01-31")), Some(day("2026-02-01")));
        assert_eq!(next_start(Window::Total, day("2026-01-31")), None);
    }
}
