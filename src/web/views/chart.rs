//! Stacked bars, laid out in whole pixels from exact integers.

use askama::Template;
use askama::filters::HtmlSafe;

use super::common::Amount;
use super::filters;

/// The drawing's own units; it scales with its card.
pub const WIDTH: u32 = 300;
pub const HEIGHT: u32 = 150;
/// Room for the figures beside the axis: at least so much, and so much for each letter and around them.
const LEFT: u32 = 44;
const LETTER: u32 = 7;
const AROUND: u32 = 10;
const TOP: u32 = 8;
const BOTTOM: u32 = 22;
const GAP: u32 = 2;
/// Bars of a short period would otherwise look like walls.
const MAX_BAR: u32 = 28;
/// The name of the sum of what has no series of its own; it is always drawn in the last, grey colour.
pub const OTHER: &str = "other";
/// Eight named series and "other": more cannot be told apart.
pub const MAX_SERIES: usize = 9;

/// One column of the chart before layout.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Short, below the axis, such as `22 Nov`.
    pub label: String,
    /// The whole span, such as `22 Nov 2026, UTC`.
    pub span: String,
    /// One value per series in any unit; missing and negative ones count as nothing.
    pub values: Vec<i128>,
}

/// A series before layout, in the order in which it is stacked.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    /// Its sum over the period, formatted.
    pub total: Amount,
}

/// The colours of a page: what has a name has the same colour in every chart.
#[derive(Clone, Debug, Default)]
pub struct Palette(Vec<(String, usize)>);

impl Palette {
    /// Recolours a chart. Names that an earlier chart had keep their colour, as long as it is free in this one.
    pub fn paint(&mut self, chart: &mut Chart) {
        let mut given = [None; MAX_SERIES];
        let mut free: Vec<usize> = (0..MAX_SERIES - 1).collect();
        let named: Vec<(usize, String)> = chart.legend.iter().map(|item| (item.series, item.name.clone())).collect();
        for (at, name) in named.iter().filter(|(_, name)| name != OTHER) {
            let known = self.0.iter().find(|(known, _)| known == name).map(|(_, colour)| *colour);
            if let Some(place) = known.and_then(|colour| free.iter().position(|one| *one == colour)) {
                given[*at] = Some(free.remove(place));
            }
        }
        for (at, name) in named.iter().filter(|(_, name)| name != OTHER) {
            if given[*at].is_some() || free.is_empty() {
                continue;
            }
            let unused = free.iter().position(|one| !self.0.iter().any(|(_, colour)| colour == one));
            let colour = free.remove(unused.unwrap_or(0));
            given[*at] = Some(colour);
            self.0.push((name.clone(), colour));
        }
        let colour = |at: usize| given.get(at).copied().flatten().unwrap_or(at);
        chart.legend.iter_mut().for_each(|item| item.series = colour(item.series));
        let segments = chart.bars.iter_mut().flat_map(|bar| &mut bar.segments);
        segments.for_each(|segment| segment.series = colour(segment.series));
    }
}

/// A laid-out chart with its table.
#[derive(Clone, Debug, Template)]
#[template(path = "components/chart.html")]
pub struct Chart {
    /// What it shows, for screen readers, such as `Spend per day by model`.
    pub label: String,
    pub width: u32,
    pub height: u32,
    pub left: u32,
    pub base: u32,
    pub bars: Vec<Bar>,
    /// How high each bar was the time before; empty where that is not compared.
    pub marks: Vec<Mark>,
    pub y_ticks: Vec<Tick>,
    pub x_ticks: Vec<Tick>,
    pub legend: Vec<LegendItem>,
    pub rows: Vec<TableRow>,
    /// The first column's header in the table, such as `Day`.
    pub bucket_name: String,
}

impl HtmlSafe for Chart {}

#[derive(Clone, Debug)]
pub struct Bar {
    pub x: u32,
    pub w: u32,
    pub title: String,
    pub segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
    pub series: usize,
}

/// A line across a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub x1: u32,
    pub x2: u32,
    pub y: u32,
}

#[derive(Clone, Debug)]
pub struct Tick {
    pub x: u32,
    pub y: u32,
    pub text: String,
    /// `start`, `middle` or `end`.
    pub anchor: &'static str,
}

#[derive(Clone, Debug)]
pub struct LegendItem {
    pub series: usize,
    pub name: String,
    pub total: Amount,
    /// The page with this series alone.
    pub href: Option<String>,
}

#[derive(Clone, Debug)]
pub struct TableRow {
    pub label: String,
    pub cells: Vec<String>,
    pub total: String,
    /// What it was the time before; empty where that is not compared.
    pub before: String,
}

/// Lays out stacked bars. `format` writes a value of the buckets' unit for ticks, titles and the table.
/// Series beyond [`MAX_SERIES`] are not drawn: sum them into a last one named "other" first.
pub fn layout(
    label: &str,
    bucket_name: &str,
    buckets: &[Bucket],
    series: &[Series],
    format: impl Fn(i128) -> String,
) -> Chart {
    layout_beside(label, bucket_name, buckets, series, None, format)
}

/// As [`layout`], with the height that each bar had the time before. One that has no bar any more is left out.
pub fn layout_beside(
    label: &str,
    bucket_name: &str,
    buckets: &[Bucket],
    series: &[Series],
    before: Option<&[i128]>,
    format: impl Fn(i128) -> String,
) -> Chart {
    let series = &series[..series.len().min(MAX_SERIES)];
    let totals: Vec<i128> = buckets.iter().map(|bucket| values(bucket, series.len()).sum()).collect();
    let earlier = || before.into_iter().flatten().copied().take(buckets.len());
    let top = nice_top(totals.iter().copied().chain(earlier()).max().unwrap_or(0));
    let base = HEIGHT - BOTTOM;
    let slots = u32::try_from(buckets.len().max(1)).unwrap_or(u32::MAX);
    let left = left_of(top, &format);
    let slot_x = |at: u32| left + (WIDTH - left) * at / slots;

    let bars = buckets
        .iter()
        .zip(&totals)
        .zip(0u32..)
        .map(|((bucket, total), at)| {
            let (from, to) = (slot_x(at), slot_x(at + 1));
            let room = to.saturating_sub(from).saturating_sub(GAP).max(1);
            let w = room.min(MAX_BAR);
            let x = from + (to.saturating_sub(from).saturating_sub(w)) / 2;
            Bar {
                x: from,
                w: to.saturating_sub(from),
                title: format!("{}: {}", bucket.span, format(*total)),
                segments: stack(values(bucket, series.len()), top, x, w, series),
            }
        })
        .collect();

    Chart {
        label: label.into(),
        width: WIDTH,
        height: HEIGHT,
        left,
        base,
        bars,
        marks: earlier()
            .zip(0u32..)
            .map(|(value, at)| Mark {
                x1: slot_x(at) + 1,
                x2: slot_x(at + 1).saturating_sub(1).max(slot_x(at) + 2),
                y: base - scale(value, top),
            })
            .collect(),
        y_ticks: y_ticks(left, top, &format),
        x_ticks: x_ticks(buckets, slot_x, slots),
        legend: series
            .iter()
            .enumerate()
            .map(|(at, one)| LegendItem {
                series: colour(at, series),
                name: one.name.clone(),
                total: one.total.clone(),
                href: None,
            })
            .collect(),
        rows: buckets
            .iter()
            .zip(&totals)
            .enumerate()
            .map(|(at, (bucket, total))| TableRow {
                label: bucket.span.clone(),
                cells: values(bucket, series.len()).map(&format).collect(),
                total: format(*total),
                before: before.and_then(|values| values.get(at)).map(|value| format(*value)).unwrap_or_default(),
            })
            .collect(),
        bucket_name: bucket_name.into(),
    }
}

fn values(bucket: &Bucket, count: usize) -> impl Iterator<Item = i128> + '_ {
    (0..count).map(|at| bucket.values.get(at).copied().unwrap_or(0).max(0))
}

/// Heights are differences of rounded running sums, so a stack is exactly as high as its total.
fn stack(values: impl Iterator<Item = i128>, top: i128, x: u32, w: u32, series: &[Series]) -> Vec<Segment> {
    let base = HEIGHT - BOTTOM;
    let mut sum = 0i128;
    let mut reached = 0u32;
    let mut out = Vec::new();
    for (at, value) in values.enumerate() {
        sum += value;
        let mut height = scale(sum, top);
        // Something is never drawn as nothing.
        if reached == 0 && height == 0 && value > 0 {
            height = 1;
        }
        if height > reached {
            out.push(Segment { x, y: base - height, w, h: height - reached, series: colour(at, series) });
            reached = height;
        }
    }
    out
}

fn colour(at: usize, series: &[Series]) -> usize {
    if series[at].name == OTHER { MAX_SERIES - 1 } else { at }
}

fn scale(value: i128, top: i128) -> u32 {
    let room = i128::from(HEIGHT - BOTTOM - TOP);
    u32::try_from((value * room + top / 2) / top).unwrap_or(0).min(HEIGHT - BOTTOM - TOP)
}

/// The smallest of 1, 2, 4, 5 or 8 times a power of ten that holds `max`, so that half of it reads well too.
fn nice_top(max: i128) -> i128 {
    let mut power = 1i128;
    loop {
        for factor in [1, 2, 4, 5, 8] {
            if power * factor >= max.max(1) {
                return power * factor;
            }
        }
        power *= 10;
    }
}

fn halves(top: i128) -> Vec<i128> {
    if top >= 2 && top % 2 == 0 { vec![top / 2, top] } else { vec![top] }
}

/// Where the axis stands: a small amount of money has many digits.
fn left_of(top: i128, format: &impl Fn(i128) -> String) -> u32 {
    let letters = halves(top).into_iter().map(|value| format(value).chars().count()).max().unwrap_or(0);
    let letters = u32::try_from(letters).unwrap_or(u32::MAX);
    letters.saturating_mul(LETTER).saturating_add(AROUND).clamp(LEFT, WIDTH / 2)
}

fn y_ticks(left: u32, top: i128, format: &impl Fn(i128) -> String) -> Vec<Tick> {
    halves(top)
        .into_iter()
        .map(|value| Tick { x: left - 6, y: HEIGHT - BOTTOM - scale(value, top), text: format(value), anchor: "end" })
        .collect()
}

/// The first, the middle and the last bucket are named; more would collide.
fn x_ticks(buckets: &[Bucket], slot_x: impl Fn(u32) -> u32, slots: u32) -> Vec<Tick> {
    let Some(last) = buckets.len().checked_sub(1) else {
        return Vec::new();
    };
    let y = HEIGHT - 6;
    let tick = |at: usize, x, anchor| Tick { x, y, text: buckets[at].label.clone(), anchor };
    let mut ticks = vec![tick(0, slot_x(0), "start")];
    if last >= 4 {
        let middle = last / 2;
        let at = u32::try_from(middle).unwrap_or(0);
        ticks.push(tick(middle, u32::midpoint(slot_x(at), slot_x(at + 1)), "middle"));
    }
    if last >= 1 {
        ticks.push(tick(last, slot_x(slots), "end"));
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(values: &[i128]) -> Bucket {
        Bucket { label: "d".into(), span: "day".into(), values: values.to_vec() }
    }

    fn series(count: usize) -> Vec<Series> {
        (0..count).map(|at| Series { name: format!("s{at}"), total: Amount::default() }).collect()
    }

    #[test]
    fn a_stack_is_as_high_as_its_total() {
        let chart = layout("l", "Day", &[bucket(&[1, 1, 1]), bucket(&[3, 0, 7])], &series(3), |v| v.to_string());
        let height = |at: usize| chart.bars[at].segments.iter().map(|s| s.h).sum::<u32>();
        assert_eq!(height(1), HEIGHT - BOTTOM - TOP);
        assert_eq!(height(0), scale(3, 10));
        assert_eq!(chart.rows[1].total, "10");
    }

    #[test]
    fn something_tiny_is_still_seen_and_nothing_is_not() {
        let chart =
            layout("l", "Day", &[bucket(&[1]), bucket(&[0]), bucket(&[1_000_000])], &series(1), |v| v.to_string());
        assert_eq!(chart.bars[0].segments[0].h, 1);
        assert!(chart.bars[1].segments.is_empty());
    }

    #[test]
    fn a_name_keeps_its_colour_from_chart_to_chart() {
        let chart = |names: &[&str]| {
            let series = |name: &&str| Series { name: (*name).into(), total: Amount::default() };
            let series: Vec<Series> = names.iter().map(series).collect();
            layout("l", "Day", &[bucket(&vec![1; names.len()])], &series, |v| v.to_string())
        };
        let mut palette = Palette::default();
        let (mut spend, mut tokens) = (chart(&["a", "b", "c", OTHER]), chart(&["c", "new", "a", OTHER]));
        palette.paint(&mut spend);
        palette.paint(&mut tokens);
        let colours = |chart: &Chart| chart.legend.iter().map(|item| item.series).collect::<Vec<_>>();
        assert_eq!(colours(&spend), [0, 1, 2, MAX_SERIES - 1]);
        assert_eq!(colours(&tokens), [2, 3, 0, MAX_SERIES - 1]);
        let drawn: Vec<usize> = tokens.bars[0].segments.iter().map(|segment| segment.series).collect();
        assert_eq!(drawn, [2, 3, 0, MAX_SERIES - 1]);
    }

    #[test]
    fn what_came_before_is_marked_on_the_same_scale() {
        let buckets = [bucket(&[5]), bucket(&[10])];
        let chart = layout_beside("l", "Day", &buckets, &series(1), Some(&[20, 0, 7]), |v| v.to_string());
        assert_eq!(chart.marks.iter().map(|mark| mark.y).collect::<Vec<_>>(), [TOP, HEIGHT - BOTTOM]);
        assert_eq!(chart.rows.iter().map(|row| row.before.as_str()).collect::<Vec<_>>(), ["20", "0"]);
        assert!(chart.bars[1].segments[0].h < HEIGHT - BOTTOM - TOP, "the scale holds both");
        assert!(layout("l", "Day", &buckets, &series(1), |v| v.to_string()).marks.is_empty());
    }

    #[test]
    fn long_figures_beside_the_axis_have_room() {
        let left = |text: &'static str| layout("l", "Day", &[bucket(&[1])], &series(1), |_| text.to_owned()).left;
        assert_eq!(left("$12"), LEFT);
        assert!(left("$0.000025") >= 6 + 9 * LETTER, "a digit is about so wide: {}", left("$0.000025"));
        let chart = layout("l", "Day", &[bucket(&[1]), bucket(&[2])], &series(1), |_| "$0.000025".to_owned());
        assert!(chart.bars.iter().all(|bar| bar.x >= chart.left && bar.x + bar.w <= WIDTH));
        assert!(left("a figure that is longer than every card is wide") <= WIDTH / 2);
    }

    #[test]
    fn no_buckets_and_huge_values_do_no_harm() {
        assert!(layout("l", "Day", &[], &series(1), |v| v.to_string()).bars.is_empty());
        let huge = 10i128.pow(30);
        let chart = layout("l", "Day", &[bucket(&[huge])], &series(1), |v| v.to_string());
        assert_eq!(chart.bars[0].segments[0].h, HEIGHT - BOTTOM - TOP);
    }
}
