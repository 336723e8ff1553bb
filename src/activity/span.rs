//! Stretches of time, and where their days begin.
//!
//! Sums are kept per UTC hour. In a time zone whose days begin on a UTC hour, days are local days. In the few zones
//! that are half an hour off, and for any period in which a zone is, days are UTC days: a local day could only be
//! guessed from the hours, and these sums are exact or nothing.

use chrono::{DateTime, Datelike, Days, DurationRound, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::chart::Period;

const MINUTES_SHOWN: i32 = 60;
const HOURS_SHOWN: i32 = 24;
const HOUR_SECONDS: i64 = 3_600;
/// Where clocks skip midnight, the day begins within so many hours after it.
const LONGEST_GAP_HOURS: u32 = 3;

/// From a moment, included, to another, not included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Span {
    /// Whether the sums per hour can answer for it.
    #[must_use]
    pub fn is_whole_hours(&self) -> bool {
        is_hour(self.from) && is_hour(self.to)
    }
}

fn is_hour(at: DateTime<Utc>) -> bool {
    at.timestamp() % HOUR_SECONDS == 0 && at.timestamp_subsec_nanos() == 0
}

/// The edges of the buckets of a period that ends now: one more than there are buckets, rising.
/// The last bucket is the running one.
#[must_use]
pub fn edges(period: Period, now: DateTime<Utc>, zone: Tz) -> Vec<DateTime<Utc>> {
    match period {
        Period::Hour => even(now, TimeDelta::minutes(1), MINUTES_SHOWN),
        Period::Day => even(now, TimeDelta::hours(1), HOURS_SHOWN),
        Period::Week => aligned(zone, |zone| last_days(now, zone, 7)),
        Period::ThirtyDays => aligned(zone, |zone| last_days(now, zone, 30)),
        Period::Month => aligned(zone, |zone| last_days(now, zone, u64::from(today(now, zone).day()))),
    }
}

/// From the first to the last edge of a period.
#[must_use]
pub fn period_span(period: Period, now: DateTime<Utc>, zone: Tz) -> Span {
    let edges = edges(period, now, zone);
    Span { from: edges.first().copied().unwrap_or(now), to: edges.last().copied().unwrap_or(now) }
}

/// When today began.
#[must_use]
pub fn start_of_day(now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    aligned(zone, |zone| last_days(now, zone, 1)).first().copied().unwrap_or(now)
}

/// When this calendar month began.
#[must_use]
pub fn start_of_month(now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    period_span(Period::Month, now, zone).from
}

/// Edges in the wanted zone if each is a UTC hour, else in UTC.
fn aligned(zone: Tz, edges: impl Fn(Tz) -> Vec<DateTime<Utc>>) -> Vec<DateTime<Utc>> {
    let local = edges(zone);
    if local.iter().all(|edge| is_hour(*edge)) { local } else { edges(Tz::UTC) }
}

fn even(now: DateTime<Utc>, step: TimeDelta, count: i32) -> Vec<DateTime<Utc>> {
    let running = now.duration_trunc(step).unwrap_or(now);
    (0..=count).map(|at| running + step * (at + 1 - count)).collect()
}

fn last_days(now: DateTime<Utc>, zone: Tz, count: u64) -> Vec<DateTime<Utc>> {
    let today = today(now, zone);
    let first = today.checked_sub_days(Days::new(count - 1)).unwrap_or(today);
    (0..=count).filter_map(|day| first.checked_add_days(Days::new(day))).map(|date| midnight(date, zone)).collect()
}

fn today(now: DateTime<Utc>, zone: Tz) -> NaiveDate {
    now.with_timezone(&zone).date_naive()
}

fn midnight(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    (0..=LONGEST_GAP_HOURS)
        .filter_map(|hour| NaiveTime::from_hms_opt(hour, 0, 0))
        .find_map(|time| zone.from_local_datetime(&date.and_time(time)).earliest())
        .map_or_else(|| date.and_time(NaiveTime::MIN).and_utc(), |local| local.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time in RFC 3339")
    }

    #[test]
    fn days_begin_where_people_live() {
        let now = at("2026-11-22T23:30:00Z");
        assert_eq!(start_of_day(now, chrono_tz::Europe::Berlin), at("2026-11-22T23:00:00Z"));
        assert_eq!(start_of_day(now, chrono_tz::America::New_York), at("2026-11-22T05:00:00Z"));
        assert_eq!(start_of_month(now, chrono_tz::America::New_York), at("2026-11-01T04:00:00Z"), "summer time then");
        assert_eq!(start_of_day(now, chrono_tz::Asia::Kolkata), at("2026-11-22T00:00:00Z"), "half an hour off: UTC");
    }

    #[test]
    fn a_day_of_twenty_five_hours_is_one_bucket() {
        let edges = edges(Period::Week, at("2026-10-28T12:00:00Z"), chrono_tz::Europe::Berlin);
        assert_eq!(edges.len(), 8);
        let lengths: Vec<i64> = edges.windows(2).map(|pair| (pair[1] - pair[0]).num_hours()).collect();
        assert_eq!(lengths, [24, 24, 24, 25, 24, 24, 24]);
    }

    #[test]
    fn the_last_bucket_is_the_running_one() {
        let now = at("2026-11-22T23:30:30Z");
        for period in Period::ALL.iter().copied() {
            let span = period_span(period, now, Tz::UTC);
            assert!(span.from < now && now < span.to, "{period:?}");
            assert_eq!(span.is_whole_hours(), period != Period::Hour);
        }
        assert_eq!(edges(Period::Hour, now, Tz::UTC).len(), 61);
        assert_eq!(edges(Period::Month, now, Tz::UTC).len(), 23);
    }
}
