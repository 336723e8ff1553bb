//! Stacked bars: a measure over time, split by what it was for.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::span::{Span, edges};
use super::store::{self, ChartQuery};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::money::SCALE;

/// Series with a name of their own; the rest is one series.
pub const TOP_SERIES: i64 = 8;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {
            $($variant,)*
        }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word in addresses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }

            #[must_use]
            pub fn parse(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}

words! {
    /// How far back a chart looks, up to now.
    Period {
        Hour = "1h",
        Day = "24h",
        Week = "7d",
        ThirtyDays = "30d",
        Month = "month",
    }
}

words! {
    /// What a chart splits by.
    Group {
        Model = "model",
        Key = "key",
        Provider = "provider",
        App = "app",
        Member = "member",
    }
}

words! {
    /// What a chart measures.
    Metric {
        Spend = "spend",
        Tokens = "tokens",
        Requests = "requests",
    }
}

/// Which calls of an organization are looked at; `None` is all.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Slice {
    pub model: Option<String>,
    pub provider: Option<String>,
    pub app: Option<String>,
    pub key: Option<KeyId>,
    pub member: Option<PersonId>,
}

impl Slice {
    pub(super) fn key_uuid(&self) -> Option<Uuid> {
        self.key.map(|key| key.0)
    }

    pub(super) fn member_uuid(&self) -> Option<Uuid> {
        self.member.map(|member| member.0)
    }
}

/// A measure over time. The values of all series add up to `total`, which is what [`super::totals`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chart {
    pub metric: Metric,
    /// One more than there are buckets.
    pub edges: Vec<DateTime<Utc>>,
    /// The greatest first; the rest, where there is one, last.
    pub series: Vec<Series>,
    pub total: Decimal,
}

/// One part of the stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Series {
    /// A model, provider or app, or the UUID of a key or member. Empty where a call had none; `None` for the rest.
    pub name: Option<String>,
    pub total: Decimal,
    /// One for each bucket.
    pub values: Vec<Decimal>,
}

/// A value of one bucket, as a whole number of the smallest unit, for drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell(pub i128);

impl Chart {
    /// A value in whole numbers: millionths of a millionth of a dollar for spending, ones for counts.
    #[must_use]
    pub fn cell(&self, value: Decimal) -> Cell {
        let mut value = value;
        value.rescale(if self.metric == Metric::Spend { SCALE } else { 0 });
        Cell(value.mantissa())
    }

    #[must_use]
    pub fn span(&self) -> Option<Span> {
        Some(Span { from: *self.edges.first()?, to: *self.edges.last()? })
    }
}

/// Measures an organization's calls over a period that ends now.
///
/// # Errors
/// Database errors only.
pub async fn chart(
    conn: &mut PgConnection,
    org: OrgId,
    view: (Period, Group, Metric),
    slice: &Slice,
    now: DateTime<Utc>,
    zone: Tz,
) -> Result<Chart, sqlx::Error> {
    let (period, group, metric) = view;
    let edges = edges(period, now, zone);
    let query = ChartQuery { org, edges: &edges, group, metric, slice, top: TOP_SERIES };
    let cells = match period {
        Period::Hour => store::chart_minutes(conn, &query).await?,
        _ => store::chart_hours(conn, &query).await?,
    };
    let mut chart = Chart { metric, edges, series: Vec::new(), total: Decimal::ZERO };
    for cell in cells {
        chart.add(cell.name, cell.bucket, cell.value);
    }
    chart.series.retain(|series| !series.total.is_zero());
    // The rest goes last however large it is.
    chart.series.sort_by(|a, b| a.name.is_none().cmp(&b.name.is_none()).then(b.total.cmp(&a.total)));
    Ok(chart)
}

impl Chart {
    fn add(&mut self, name: Option<String>, bucket: i32, value: Decimal) {
        let buckets = self.edges.len().saturating_sub(1);
        // Postgres counts buckets from one.
        let Some(at) = usize::try_from(bucket - 1).ok().filter(|at| *at < buckets) else { return };
        let index = self.series.iter().position(|series| series.name == name).unwrap_or_else(|| {
            self.series.push(Series { name, total: Decimal::ZERO, values: vec![Decimal::ZERO; buckets] });
            self.series.len() - 1
        });
        if let Some(series) = self.series.get_mut(index) {
            series.total += value;
            series.values[at] += value;
        }
        self.total += value;
    }
}
