//! Sums and charts of the page.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::asked::Asked;
use super::field_label;
use crate::activity::{self, Buckets, Chart, Group, LogFilter, Measures, Metric, Span, TALLY_PIECE, Totals, Unit};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::money::thousands;
use crate::base::{Usd, Viewer};
use crate::keys;
use crate::overview::call_rows::{KeyNames, name_of};
use crate::overview::charts::{compact, draw, range, total};
use crate::web::views::activity as views;
use crate::web::views::chart::Palette;

/// In the order of their cards. What providers took themselves has one only where there is any.
const METRICS: [Metric; 4] = [Metric::Spend, Metric::Own, Metric::Tokens, Metric::Requests];
/// Calls that a page goes through for sums that the hours do not tell; beyond, it says so and adds them up when asked.
const AT_ONCE: u64 = TALLY_PIECE.unsigned_abs();

/// What was measured, and what came before it.
pub struct Figures {
    pub now: Measures,
    before: Measures,
    /// A day begins on the whole hour where the calls of it are deleted.
    moved: bool,
    /// They count exactly the calls that the list shows; else all calls of the part that the sums per hour know.
    pub exact: bool,
    /// Where calls were counted and some of the time are deleted: those before are not in the figures.
    gone: Option<DateTime<Utc>>,
    /// Whether all calls of the time before were there to be counted.
    comparable: bool,
}

/// Up to when calls of a stretch are deleted, where they are themselves counted; `None` where all are there.
pub fn gone(kept: Option<DateTime<Utc>>, span: Span) -> Option<DateTime<Utc>> {
    kept.filter(|kept| *kept > span.from)
}

/// What has to be known of figures that lack them.
pub fn gone_words(gone: DateTime<Utc>, viewer: Viewer) -> String {
    format!("Only calls since {} are counted, for those before are deleted.", viewer.moment_in_zone(gone))
}

impl Figures {
    /// # Errors
    /// Database errors only.
    pub async fn load(
        conn: &mut PgConnection,
        org: OrgId,
        asked: &Asked,
        shown: &LogFilter,
        now: DateTime<Utc>,
        kept: Option<DateTime<Utc>>,
    ) -> Result<Figures, sqlx::Error> {
        if !shown.is_slice()
            && let Some(figures) = Figures::of_few(conn, org, asked, shown, (now, kept)).await?
        {
            return Ok(figures);
        }
        let mut buckets = asked.range.buckets(now, asked.viewer.zone);
        let mut earlier = asked.range.before(now, asked.viewer.zone);
        let moved = buckets.kept_since(kept) | earlier.kept_since(kept);
        let slice = shown.slice();
        Ok(Figures {
            now: activity::measure(conn, org, buckets, Some(asked.group), &slice).await?,
            before: activity::measure(conn, org, earlier, None, &slice).await?,
            moved,
            exact: shown.is_slice(),
            gone: None,
            comparable: true,
        })
    }

    /// From the calls themselves, where they are few enough for a page.
    async fn of_few(
        conn: &mut PgConnection,
        org: OrgId,
        asked: &Asked,
        shown: &LogFilter,
        (now, kept): (DateTime<Utc>, Option<DateTime<Utc>>),
    ) -> Result<Option<Figures>, sqlx::Error> {
        let buckets = asked.range.buckets(now, asked.viewer.zone);
        let earlier = asked.range.before(now, asked.viewer.zone);
        // What is deleted is in no figure: the sums, which stay, do not know this filter.
        let (now_gone, comparable) = (gone(kept, buckets.span()), gone(kept, earlier.span()).is_none());
        let mut calls = 0;
        for span in [buckets.span(), earlier.span()] {
            calls += activity::reach(conn, org, shown, span).await?;
        }
        if calls > AT_ONCE {
            return Ok(None);
        }
        let group = Some(asked.group);
        let now_sums = activity::tally_at_once(conn, org, shown, (buckets, group), now).await?;
        let before = activity::tally_at_once(conn, org, shown, (earlier, None), now).await?;
        let figures = |(now, before)| Figures { now, before, moved: false, exact: true, gone: now_gone, comparable };
        Ok(now_sums.zip(before).map(figures))
    }

    pub fn totals(&self) -> Totals {
        self.now.totals()
    }

    /// The stretch in words, and what has to be known to read it.
    pub fn words(&self, asked: &Asked) -> String {
        let mut words = range(&self.now.buckets, asked.viewer);
        if self.moved {
            words.push_str(" Where calls were deleted, a day begins on the whole UTC hour.");
        }
        if let Some(gone) = self.gone {
            words.push(' ');
            words.push_str(&gone_words(gone, asked.viewer));
        }
        words
    }

    /// The stretch before; empty where figures of it would lack calls.
    pub fn before_words(&self, asked: &Asked) -> String {
        if !self.comparable {
            return String::new();
        }
        range(&self.before.buckets, asked.viewer).trim_end_matches('.').to_owned()
    }
}

/// A card for each metric.
///
/// # Errors
/// Database errors only.
pub async fn cards(
    conn: &mut PgConnection,
    org: OrgId,
    asked: &Asked,
    figures: &Figures,
    names: &KeyNames,
) -> Result<Vec<views::ChartCard>, sqlx::Error> {
    let (totals, earlier) = (figures.totals(), figures.before.totals());
    let compare = asked.compare && figures.comparable;
    let any_own = !totals.upstream_cost.is_zero() || compare && !earlier.upstream_cost.is_zero();
    let metrics = METRICS.into_iter().filter(|metric| *metric != Metric::Own || any_own);
    let charts: Vec<Chart> = metrics.map(|metric| figures.now.chart(metric)).collect();
    let makers = match asked.group {
        Group::Member => keys::makers(conn, org, &people_of(&charts)).await?,
        _ => HashMap::new(),
    };
    let mut keys_here = names.clone();
    if asked.group == Group::Key {
        let ids: Vec<KeyId> = series_ids(&charts).map(KeyId).collect();
        keys_here.extend(keys::labels(conn, org, None, &ids).await?);
    }
    let (mut cards, mut palette) = (Vec::new(), Palette::default());
    for chart in &charts {
        let metric = chart.metric;
        let before = compare.then(|| figures.before.values(metric));
        let mut drawn = draw(chart, asked.group, asked.viewer, before.as_deref(), |name| {
            series_name(asked.group, name, &keys_here, &makers)
        });
        for (item, series) in drawn.legend.iter_mut().zip(&chart.series) {
            item.href = series.name.as_deref().and_then(|name| alone(asked, name));
        }
        palette.paint(&mut drawn);
        cards.push(views::ChartCard {
            title: measure_label(metric).to_owned(),
            total: total(metric, chart.total),
            note: note(chart, &totals, &figures.now.buckets),
            change: if figures.comparable {
                change(chart.total, of(&earlier, metric), totals.requests > 0 || earlier.requests > 0)
            } else {
                String::new()
            },
            chart: drawn,
        });
    }
    Ok(cards)
}

/// The address of the same page with nothing but one series.
fn alone(asked: &Asked, name: &str) -> Option<String> {
    let mut filter = LogFilter { before: None, ..asked.filter.clone() };
    let before = filter.clone();
    let id = || Uuid::try_parse(name).ok().filter(|id| !id.is_nil());
    match asked.group {
        _ if name.is_empty() => return None,
        Group::Model => filter.model = Some(name.to_owned()),
        Group::Provider => filter.provider = Some(name.to_owned()),
        Group::App => filter.app = Some(name.to_owned()),
        Group::Key => filter.key = id().map(KeyId),
        Group::Member => filter.member = id().map(PersonId),
    }
    (filter != before).then(|| asked.with(filter))
}

pub fn measure_label(metric: Metric) -> &'static str {
    match metric {
        Metric::Spend => "Spend",
        Metric::Own => "Own providers",
        Metric::Tokens => "Tokens",
        Metric::Requests => "Requests",
    }
}

fn of(totals: &Totals, metric: Metric) -> Decimal {
    match metric {
        Metric::Spend => totals.cost.amount(),
        Metric::Own => totals.upstream_cost.amount(),
        Metric::Tokens => totals.tokens().into(),
        Metric::Requests => totals.requests.into(),
    }
}

fn series_ids(charts: &[Chart]) -> impl Iterator<Item = Uuid> {
    let names = charts.iter().flat_map(|chart| &chart.series).filter_map(|series| series.name.as_deref());
    names.filter_map(|name| Uuid::try_parse(name).ok())
}

/// The people who are series of their own in charts by member.
fn people_of(charts: &[Chart]) -> Vec<PersonId> {
    series_ids(charts).map(PersonId).collect()
}

pub fn series_name(group: Group, name: &str, names: &KeyNames, makers: &HashMap<PersonId, String>) -> String {
    let id = || Uuid::try_parse(name).unwrap_or_default();
    match group {
        Group::Key => name_of(names, KeyId(id())),
        Group::Member => makers.get(&PersonId(id())).cloned().unwrap_or_else(|| "nobody here".to_owned()),
        _ if name.is_empty() => format!("no {}", field_label(group.as_str()).to_lowercase()),
        _ => name.to_owned(),
    }
}

fn note(chart: &Chart, totals: &Totals, buckets: &Buckets) -> String {
    match chart.metric {
        _ if totals.requests == 0 => String::new(),
        Metric::Spend => per_day(chart, buckets).unwrap_or_default(),
        Metric::Own => "billed to your own accounts, no part of the spend".to_owned(),
        Metric::Tokens => format!("{} in, {} out", compact(totals.prompt_tokens), compact(totals.completion_tokens)),
        Metric::Requests if totals.failed == 0 => String::new(),
        Metric::Requests => format!("{} did not succeed", thousands(&totals.failed.to_string())),
    }
}

/// The average of a day, where it is at least a cent.
fn per_day(chart: &Chart, buckets: &Buckets) -> Option<String> {
    if buckets.unit != Unit::Day {
        return None;
    }
    let days = u32::try_from(buckets.len()).ok().filter(|days| *days > 1)?;
    let average = Usd::new(chart.total / Decimal::from(days)).to_cents();
    average.is_positive().then(|| format!("{} a day on average", average.display()))
}

/// How a figure compares with the one before, in words; empty where both have no data at all.
fn change(now: Decimal, before: Decimal, any: bool) -> String {
    if !any {
        return String::new();
    }
    if before.is_zero() {
        return if now.is_zero() { String::new() } else { "nothing before".to_owned() };
    }
    let hundred = Decimal::ONE_HUNDRED;
    let percent = ((now - before) / before).checked_mul(hundred).map_or(hundred, |percent| percent.round());
    if percent.is_zero() {
        return "about the same as before".to_owned();
    }
    let most = Decimal::from(1_000);
    if percent > most {
        return "more than ten times as much as before".to_owned();
    }
    let word = if percent.is_sign_negative() { "less" } else { "more" };
    format!("{}% {word} than before", percent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_lack_what_was_deleted_within_their_time() {
        let at = |text: &str| -> DateTime<Utc> { text.parse().expect("a time") };
        let span = Span { from: at("2026-11-01T00:00:00Z"), to: at("2026-11-08T00:00:00Z") };
        for (kept, lacks) in
            [("2026-10-31T23:00:00Z", false), ("2026-11-01T00:00:00Z", false), ("2026-11-01T01:00:00Z", true)]
        {
            assert_eq!(gone(Some(at(kept)), span).is_some(), lacks, "{kept}");
        }
        assert_eq!(gone(None, span), None);
    }

    #[test]
    fn a_change_is_told_in_words() {
        let told = |now: i64, before: i64| change(now.into(), before.into(), true);
        assert_eq!([told(112, 100), told(88, 100)], ["12% more than before", "12% less than before"]);
        assert_eq!([told(100, 100), told(5, 0), told(0, 0)], ["about the same as before", "nothing before", ""]);
        assert_eq!(told(100_000, 1), "more than ten times as much as before");
        assert_eq!(change(Decimal::ZERO, Decimal::ZERO, false), "");
    }
}
