//! Stretches of time, and where their minutes, hours, days and months begin.
//!
//! Days are those of a zone, and may begin at any moment of a UTC hour: what the sums per hour do not tell is summed from
//! the calls of that hour. Only where those calls were deleted does a day begin on the whole hour; see [`Buckets::kept_since`].

use chrono::{
    DateTime, Datelike, Days, DurationRound, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;

use super::chart::Period;

const MINUTES_SHOWN: i32 = 60;
const HOURS_SHOWN: i32 = 24;
const HOUR_SECONDS: i64 = 3_600;
/// Where clocks skip midnight, the day begins within so many hours after it.
const LONGEST_GAP_HOURS: u32 = 3;
/// A stretch that somebody chooses is at most so long.
pub const MAX_DAYS: i64 = 400;
/// The years of a stretch that somebody chooses.
const YEARS: std::ops::Range<i32> = 2000..2200;
/// Up to these lengths it is shown by minutes, hours and days; beyond by months.
const BY_MINUTES: TimeDelta = TimeDelta::hours(2);
const BY_HOURS: TimeDelta = TimeDelta::hours(74);
const BY_DAYS: TimeDelta = TimeDelta::days(93);

/// From a moment, included, to another, not included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

/// What a bucket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Minute,
    Hour,
    Day,
    Month,
}

/// What is looked at: a period up to now, or a stretch that somebody chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Range {
    Last(Period),
    Between(Span),
}

/// A stretch of time in parts that follow each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Buckets {
    /// One more than there are buckets, rising.
    pub edges: Vec<DateTime<Utc>>,
    pub unit: Unit,
}

impl Buckets {
    #[must_use]
    pub fn len(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From the first to the last edge.
    #[must_use]
    pub fn span(&self) -> Span {
        let first = self.edges.first().copied().unwrap_or_default();
        Span { from: first, to: self.edges.last().copied().unwrap_or(first) }
    }

    /// Calls before `kept` are deleted and only their sums per hour are left, so that edges before it move to the whole
    /// hour. True where one moved.
    pub fn kept_since(&mut self, kept: Option<DateTime<Utc>>) -> bool {
        let Some(kept) = kept else { return false };
        let mut moved = false;
        for edge in &mut self.edges {
            // An hour that is partly kept is partly gone.
            if *edge < kept + TimeDelta::hours(1) && !is_hour(*edge) {
                *edge = hour_of(*edge);
                moved = true;
            }
        }
        self.edges.dedup();
        moved
    }
}

/// The UTC hours in which an edge lies without being their beginning: their sums say nothing, their calls do.
#[must_use]
pub fn cut_hours(edges: &[DateTime<Utc>]) -> Vec<DateTime<Utc>> {
    let mut hours: Vec<DateTime<Utc>> =
        edges.iter().filter(|edge| !is_hour(**edge)).map(|edge| hour_of(*edge)).collect();
    hours.sort_unstable();
    hours.dedup();
    hours
}

/// Hours that are cut, apart by how many edges each has within.
#[derive(Default)]
pub(super) struct Split {
    pub several: Vec<DateTime<Utc>>,
    /// Those with one, each beside the edge in the same place of the other list.
    pub single: Vec<DateTime<Utc>>,
    pub edges: Vec<DateTime<Utc>>,
}

/// As [`cut_hours`], apart.
pub(super) fn split_hours(edges: &[DateTime<Utc>]) -> Split {
    let mut within: Vec<DateTime<Utc>> = edges.iter().copied().filter(|edge| !is_hour(*edge)).collect();
    within.sort_unstable();
    within.dedup();
    let mut split = Split::default();
    for hour in within.chunk_by(|one, other| hour_of(*one) == hour_of(*other)) {
        match hour {
            [edge] => {
                split.single.push(hour_of(*edge));
                split.edges.push(*edge);
            }
            _ => split.several.push(hour_of(hour[0])),
        }
    }
    split
}

/// The start of the UTC hour of a moment.
pub(super) fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}

fn is_hour(at: DateTime<Utc>) -> bool {
    at.timestamp() % HOUR_SECONDS == 0 && at.timestamp_subsec_nanos() == 0
}

impl Range {
    /// The parts of it. Of a period the last one is the running one.
    #[must_use]
    pub fn buckets(self, now: DateTime<Utc>, zone: Tz) -> Buckets {
        match self {
            Range::Last(period) => Buckets { edges: edges(period, now, zone), unit: unit(period) },
            Range::Between(span) => between(span, zone),
        }
    }

    /// As many parts before it, up to the moment that answers to now: what runs is compared with what had run by then.
    #[must_use]
    pub fn before(self, now: DateTime<Utc>, zone: Tz) -> Buckets {
        let current = self.buckets(now, zone);
        let span = current.span();
        let mut before = match self {
            Range::Last(Period::Hour | Period::Day) | Range::Between(_) => {
                let length = span.to - span.from;
                current.edges.iter().map(|edge| *edge - length).collect()
            }
            Range::Last(Period::Month) => month_before(current.len(), now, zone),
            Range::Last(_) => {
                let first = today(span.from, zone);
                let days = u64::try_from(current.len()).unwrap_or_default();
                let start = first.checked_sub_days(Days::new(days)).unwrap_or(first);
                days_from(start, days, zone)
            }
        };
        let running = current.edges.iter().rev().nth(1).copied().filter(|start| *start <= now && now < span.to);
        let as_long = before.len() == current.edges.len();
        if let (true, Some(start), [.., last_start, last]) = (as_long, running, before.as_mut_slice()) {
            *last = (*last_start + (now - start)).min(*last);
        }
        before.dedup();
        Buckets { edges: before, unit: current.unit }
    }
}

fn unit(period: Period) -> Unit {
    match period {
        Period::Hour => Unit::Minute,
        Period::Day => Unit::Hour,
        Period::Week | Period::ThirtyDays | Period::Month => Unit::Day,
    }
}

/// The edges of the buckets of a period that ends now: one more than there are buckets, rising.
/// The last bucket is the running one.
#[must_use]
pub fn edges(period: Period, now: DateTime<Utc>, zone: Tz) -> Vec<DateTime<Utc>> {
    match period {
        Period::Hour => even(now, TimeDelta::minutes(1), MINUTES_SHOWN),
        Period::Day => even(now, TimeDelta::hours(1), HOURS_SHOWN),
        Period::Week => last_days(now, zone, 7),
        Period::ThirtyDays => last_days(now, zone, 30),
        Period::Month => last_days(now, zone, u64::from(today(now, zone).day())),
    }
}

/// From the first to the last edge of a period.
#[must_use]
pub fn period_span(period: Period, now: DateTime<Utc>, zone: Tz) -> Span {
    Range::Last(period).buckets(now, zone).span()
}

/// When today began.
#[must_use]
pub fn start_of_day(now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    midnight(today(now, zone), zone)
}

/// When this calendar month began.
#[must_use]
pub fn start_of_month(now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    period_span(Period::Month, now, zone).from
}

/// A stretch between two moments as the clocks of a zone show them; a bare day is its beginning as `from` and its end as
/// `to`. Where clocks show a moment twice, the first is meant; what they skip is the moment after.
#[must_use]
pub fn chosen(from: &str, to: &str, zone: Tz) -> Option<Span> {
    let after = |date: NaiveDate| date.checked_add_days(Days::new(1));
    let from = match from.parse::<NaiveDate>() {
        Ok(date) => midnight(of_our_time(date)?, zone),
        Err(_) => local(from, zone)?,
    };
    let to = match to.parse::<NaiveDate>() {
        Ok(date) => midnight(after(of_our_time(date)?)?, zone),
        Err(_) => local(to, zone)?,
    };
    let within = from.year() >= YEARS.start && to.year() < YEARS.end;
    (within && from < to && to - from <= TimeDelta::days(MAX_DAYS)).then_some(Span { from, to })
}

/// A day of years that the database counts in, and that something can be added to: a calendar has an end.
#[must_use]
pub fn of_our_time(date: NaiveDate) -> Option<NaiveDate> {
    YEARS.contains(&date.year()).then_some(date)
}

fn local(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    of_our_time(time.date())?;
    let quarters = i64::from(LONGEST_GAP_HOURS) * 4;
    let later = (0..=quarters).map(|quarter| time + TimeDelta::minutes(quarter * 15));
    later.into_iter().find_map(|time| zone.from_local_datetime(&time).earliest()).map(|at| at.with_timezone(&Utc))
}

fn between(span: Span, zone: Tz) -> Buckets {
    let length = span.to - span.from;
    let (unit, inner) = match length {
        _ if length <= BY_MINUTES => (Unit::Minute, steps(span, TimeDelta::minutes(1))),
        _ if length <= BY_HOURS => (Unit::Hour, steps(span, TimeDelta::hours(1))),
        _ if length <= BY_DAYS => {
            let count = u64::try_from(length.num_days()).unwrap_or_default() + 2;
            (Unit::Day, days_from(today(span.from, zone), count, zone))
        }
        _ => (Unit::Month, months_from(today(span.from, zone), length, zone)),
    };
    let within = inner.into_iter().filter(|edge| *edge > span.from && *edge < span.to);
    let edges = std::iter::once(span.from).chain(within).chain([span.to]).collect();
    Buckets { edges, unit }
}

fn steps(span: Span, step: TimeDelta) -> Vec<DateTime<Utc>> {
    let first = span.from.duration_trunc(step).unwrap_or(span.from);
    std::iter::successors(Some(first), |at| Some(*at + step)).take_while(|at| *at < span.to).collect()
}

fn months_from(date: NaiveDate, length: TimeDelta, zone: Tz) -> Vec<DateTime<Utc>> {
    let first = date.with_day(1).unwrap_or(date);
    let count = u32::try_from(length.num_days() / 28).unwrap_or_default() + 2;
    (0..=count)
        .filter_map(|month| first.checked_add_months(Months::new(month)))
        .map(|day| midnight(day, zone))
        .collect()
}

/// As many days of the month before, none of them of this month.
fn month_before(days: usize, now: DateTime<Utc>, zone: Tz) -> Vec<DateTime<Utc>> {
    let today = today(now, zone);
    let this = today.with_day(1).unwrap_or(today);
    let first = this.checked_sub_months(Months::new(1)).unwrap_or(this);
    let mut edges = days_from(first, u64::try_from(days).unwrap_or_default(), zone);
    let end = midnight(this, zone);
    edges.retain(|edge| *edge <= end);
    edges
}

fn even(now: DateTime<Utc>, step: TimeDelta, count: i32) -> Vec<DateTime<Utc>> {
    let running = now.duration_trunc(step).unwrap_or(now);
    (0..=count).map(|at| running + step * (at + 1 - count)).collect()
}

fn last_days(now: DateTime<Utc>, zone: Tz, count: u64) -> Vec<DateTime<Utc>> {
    let today = today(now, zone);
    let first = today.checked_sub_days(Days::new(count - 1)).unwrap_or(today);
    days_from(first, count, zone)
}

fn days_from(first: NaiveDate, count: u64, zone: Tz) -> Vec<DateTime<Utc>> {
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
        assert_eq!(start_of_day(now, chrono_tz::Asia::Kolkata), at("2026-11-22T18:30:00Z"), "half an hour off");
        assert_eq!(start_of_day(now, chrono_tz::Asia::Kathmandu), at("2026-11-22T18:15:00Z"));
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
        }
        assert_eq!(edges(Period::Hour, now, Tz::UTC).len(), 61);
        assert_eq!(edges(Period::Month, now, Tz::UTC).len(), 23);
    }

    #[test]
    fn what_is_compared_ended_at_the_same_time() {
        let now = at("2026-11-22T10:30:00Z");
        let week = Range::Last(Period::Week).before(now, Tz::UTC);
        assert_eq!(week.span(), Span { from: at("2026-11-09T00:00:00Z"), to: at("2026-11-15T10:30:00Z") });
        let month = Range::Last(Period::Month).before(now, Tz::UTC);
        assert_eq!(month.span(), Span { from: at("2026-10-01T00:00:00Z"), to: at("2026-10-22T10:30:00Z") });
        let end_of_march = Range::Last(Period::Month).before(at("2026-03-31T10:00:00Z"), Tz::UTC);
        assert_eq!(end_of_march.span().to, at("2026-03-01T00:00:00Z"), "February has no 31st");
        let hour = Range::Last(Period::Hour).before(now, Tz::UTC);
        assert_eq!(hour.len(), 59, "the running minute has just begun");
        let span = Span { from: at("2026-11-01T00:00:00Z"), to: at("2026-11-11T00:00:00Z") };
        let before = Range::Between(span).before(now, Tz::UTC);
        assert_eq!(before.span(), Span { from: at("2026-10-22T00:00:00Z"), to: at("2026-11-01T00:00:00Z") });
    }

    #[test]
    fn a_chosen_stretch_is_read_where_its_reader_lives() {
        let berlin = chrono_tz::Europe::Berlin;
        let span = chosen("2026-10-24", "2026-10-25", berlin).expect("two days");
        assert_eq!(span, Span { from: at("2026-10-23T22:00:00Z"), to: at("2026-10-25T23:00:00Z") }, "49 hours");
        // Half past two is there twice on that day, and not at all in spring.
        assert_eq!(
            chosen("2026-10-25T02:30", "2026-10-25T04:00", berlin).expect("a stretch").from,
            at("2026-10-25T00:30:00Z")
        );
        assert_eq!(
            chosen("2026-03-29T02:30", "2026-03-30", berlin).expect("a stretch").from,
            at("2026-03-29T01:00:00Z")
        );
        for (from, to) in
            [("2026-11-02", "2026-11-01"), ("yesterday", "2026-11-01"), ("2020-01-01", "2026-01-01"), ("", "")]
        {
            assert_eq!(chosen(from, to, berlin), None, "{from} to {to}");
        }
        // The ends of the calendar, and beyond.
        for far in ["+262142-12-31", "-262143-01-01", "+999999-01-01", "1999-12-31", "2200-01-01"] {
            for text in [far.to_owned(), format!("{far}T23:59"), format!("{far}T23:59:59")] {
                assert_eq!(chosen(&text, "2026-11-01", berlin), None, "from {text}");
                assert_eq!(chosen("2026-11-01", &text, berlin), None, "to {text}");
            }
        }
        let year = chosen("2026-01-01", "2026-12-31", berlin).expect("a year");
        assert_eq!(Range::Between(year).buckets(at("2026-12-01T00:00:00Z"), berlin).len(), 12);
        let part = chosen("2026-01-15T12:00", "2026-01-20T06:00", berlin).expect("a stretch");
        assert_eq!(Range::Between(part).buckets(at("2026-12-01T00:00:00Z"), berlin).len(), 6, "two of them in part");
    }

    #[test]
    fn edges_are_cut_where_calls_are_and_moved_where_they_are_gone() {
        let zone = chrono_tz::Asia::Kolkata;
        let mut days = Range::Last(Period::Week).buckets(at("2026-11-22T12:00:00Z"), zone);
        assert_eq!(cut_hours(&days.edges).len(), 8);
        assert!(!days.kept_since(None) && !days.kept_since(Some(at("2026-11-01T00:00:00Z"))));
        assert!(days.kept_since(Some(at("2026-11-18T00:00:00Z"))));
        assert_eq!(cut_hours(&days.edges).len(), 5);
        assert_eq!(days.edges[0], at("2026-11-15T18:00:00Z"));
    }

    #[test]
    fn hours_are_apart_by_how_many_edges_they_have() {
        let edges = ["12:00:00", "12:10:00", "12:50:00", "13:00:00", "14:45:00", "15:00:00"]
            .map(|time| at(&format!("2026-11-22T{time}Z")));
        let split = split_hours(&edges);
        assert_eq!(split.several, [edges[0]]);
        assert_eq!((split.single, split.edges), (vec![at("2026-11-22T14:00:00Z")], vec![edges[4]]));
    }
}
