//! From measures of the log to drawn charts.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::models::dollars;
use crate::activity::{Buckets, Chart, Group, Metric, Series, Span, Unit};
use crate::base::Viewer;
use crate::base::money::{SCALE, thousands};
use crate::web::present::amount;
use crate::web::views::Amount;
use crate::web::views::chart::{self, Bucket, OTHER};

/// Draws a chart, with what came before it where that is given. `name` says what a series is called; the rest is always
/// called the same.
pub fn draw(
    chart: &Chart,
    group: Group,
    viewer: Viewer,
    before: Option<&[Decimal]>,
    name: impl Fn(&str) -> String,
) -> chart::Chart {
    let unit = unit(chart.unit);
    let label = format!("{} per {} by {}", measure(chart.metric), unit.to_lowercase(), group.as_str());
    let buckets: Vec<Bucket> = chart
        .edges
        .windows(2)
        .enumerate()
        .filter_map(|(at, pair)| match pair {
            [from, to] => Some(bucket(chart, at, (*from, *to), viewer)),
            _ => None,
        })
        .collect();
    let series: Vec<chart::Series> = chart.series.iter().map(|one| drawn_series(chart.metric, one, &name)).collect();
    let (metric, empty) = (chart.metric, chart.total.is_zero());
    let before = before.map(|values| values.iter().map(|value| chart.cell(*value).0).collect::<Vec<_>>());
    let empty = empty && before.iter().flatten().all(|value| *value == 0);
    chart::layout_beside(&label, unit, &buckets, &series, before.as_deref(), move |value| {
        // Without any value the scale would be one of the smallest unit, which says nothing.
        if empty && value != 0 { String::new() } else { exact(metric, value) }
    })
}

fn drawn_series(metric: Metric, series: &Series, name: impl Fn(&str) -> String) -> chart::Series {
    let name = series.name.as_deref().map_or_else(|| OTHER.to_owned(), name);
    chart::Series { name, total: total(metric, series.total) }
}

/// A sum as cards and legends show it.
pub fn total(metric: Metric, value: Decimal) -> Amount {
    if metric.is_money() {
        return amount(crate::base::Usd::new(value));
    }
    let digits = value.trunc().normalize().to_string();
    let exact = thousands(&digits);
    Amount::new(digits.parse().map_or_else(|_| exact.clone(), compact), exact)
}

/// Such as `21.4M`: three digits are enough where the exact count is at hand.
pub fn compact(count: u64) -> String {
    let (unit, letter) = match count {
        0..10_000 => return thousands(&count.to_string()),
        10_000..1_000_000 => (1_000, "K"),
        1_000_000..1_000_000_000 => (1_000_000, "M"),
        _ => (1_000_000_000, "B"),
    };
    let tenths = count / (unit / 10);
    if tenths < 1_000 && !tenths.is_multiple_of(10) {
        format!("{}.{}{letter}", tenths / 10, tenths % 10)
    } else {
        format!("{}{letter}", thousands(&(tenths / 10).to_string()))
    }
}

/// A whole number of the smallest unit, without losing a digit.
fn exact(metric: Metric, value: i128) -> String {
    if metric.is_money() {
        return Decimal::try_from_i128_with_scale(value, SCALE).map(dollars).unwrap_or_default();
    }
    let whole = |unit: i128| thousands(&(value / unit).to_string());
    match value {
        // Half of five millions, too.
        1_000_000.. if value % 1_000_000 == 0 => format!("{}M", whole(1_000_000)),
        1_000_000.. if value % 100_000 == 0 => format!("{}.{}M", whole(1_000_000), value / 100_000 % 10),
        10_000.. if value % 1_000 == 0 => format!("{}K", whole(1_000)),
        _ => whole(1),
    }
}

fn measure(metric: Metric) -> &'static str {
    match metric {
        Metric::Spend => "Spend",
        Metric::Own => "Cost at own providers",
        Metric::Tokens => "Tokens",
        Metric::Requests => "Requests",
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Minute => "Minute",
        Unit::Hour => "Hour",
        Unit::Day => "Day",
        Unit::Month => "Month",
    }
}

fn bucket(chart: &Chart, at: usize, span: (DateTime<Utc>, DateTime<Utc>), viewer: Viewer) -> Bucket {
    let (from, to) = span;
    let (label, span) = match chart.unit {
        Unit::Minute => (viewer.time(from), viewer.moment_in_zone(from)),
        Unit::Hour => (viewer.time(from), format!("{} to {}", viewer.moment(from), viewer.time_in_zone(to))),
        Unit::Day => (viewer.short_day(from), viewer.day_in_zone(from)),
        Unit::Month => (month(from, viewer, "%b"), month(from, viewer, "%B %Y, %Z")),
    };
    let values = chart.series.iter().map(|one| one.values.get(at).map_or(0, |value| chart.cell(*value).0)).collect();
    Bucket { label, span, values }
}

fn month(at: DateTime<Utc>, viewer: Viewer, form: &str) -> String {
    at.with_timezone(&viewer.zone).format(form).to_string()
}

/// A stretch of time in words, such as `16 Nov to 22 Nov 2026, UTC.`
pub fn range(buckets: &Buckets, viewer: Viewer) -> String {
    let (zone, Span { from, to }) = (viewer.zone, buckets.span());
    let days = [from, to].iter().all(|edge| edge.with_timezone(&zone).time() == chrono::NaiveTime::MIN);
    if !days {
        return format!("{} to {}, {zone}.", viewer.moment(from), viewer.short(to));
    }
    let last = to - TimeDelta::seconds(1);
    if viewer.day(last) == viewer.day(from) {
        return format!("{}, {zone}.", viewer.day(from));
    }
    format!("{} to {}, {zone}.", viewer.short_day(from), viewer.day(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Period, Range};

    #[test]
    fn sums_are_compact_and_scales_exact() {
        let compacted = [0, 9_999, 10_000, 164_321, 21_400_000, 21_000_000].map(compact);
        assert_eq!(compacted, ["0", "9,999", "10K", "164K", "21.4M", "21M"]);
        assert_eq!(exact(Metric::Spend, 25_000_000_000), "$0.025");
        assert_eq!(exact(Metric::Spend, 12_400_000_000_000), "$12.40");
        assert_eq!(exact(Metric::Tokens, 20_000), "20K");
        assert_eq!(exact(Metric::Tokens, 20_001), "20,001");
        let ticks = [5_000, 500_000, 1_000_000, 2_500_000, 20_000_000].map(|value| exact(Metric::Tokens, value));
        assert_eq!(ticks, ["5,000", "500K", "1M", "2.5M", "20M"]);
    }

    #[test]
    fn a_stretch_of_whole_days_is_told_by_its_days() {
        let now = "2026-11-22T12:00:00Z".parse().expect("a time");
        let reader = |zone| Viewer { zone, ..Viewer::ANYBODY };
        let words = |zone| range(&Range::Last(Period::Week).buckets(now, zone), reader(zone));
        assert_eq!(words(chrono_tz::Europe::Berlin), "16 Nov to 22 Nov 2026, Europe/Berlin.");
        assert_eq!(words(chrono_tz::Asia::Kolkata), "16 Nov to 22 Nov 2026, Asia/Kolkata.");
        let day = range(&Range::Last(Period::Day).buckets(now, chrono_tz::UTC), reader(chrono_tz::UTC));
        assert_eq!(day, "21 Nov 2026, 13:00 to 22 Nov, 13:00, UTC.");
    }
}
