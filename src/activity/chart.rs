//! Stacked bars: measures over time, split by what the calls were for.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::span::{Buckets, Range, Span, Unit};
use super::spend::Totals;
use super::store::{self, CellRow, MeasureQuery};
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
    /// What a chart measures. `Own` is what providers took themselves, from accounts of the organization's own.
    Metric {
        Spend = "spend",
        Own = "own",
        Tokens = "tokens",
        Requests = "requests",
    }
}

impl Metric {
    #[must_use]
    pub const fn is_money(self) -> bool {
        matches!(self, Metric::Spend | Metric::Own)
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
    pub unit: Unit,
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
        value.rescale(if self.metric.is_money() { SCALE } else { 0 });
        Cell(value.mantissa())
    }

    #[must_use]
    pub fn span(&self) -> Option<Span> {
        Some(Span { from: *self.edges.first()?, to: *self.edges.last()? })
    }
}

/// Everything that charts and cards of one stretch of time show, read at once.
#[derive(Clone, Debug)]
pub struct Measures {
    pub buckets: Buckets,
    pub(super) cells: Vec<CellRow>,
}

/// Measures an organization's calls. Series beyond the greatest of each metric have no name of their own; without a group
/// there is one.
///
/// # Errors
/// Database errors only.
pub async fn measure(
    conn: &mut PgConnection,
    org: OrgId,
    buckets: Buckets,
    group: Option<Group>,
    slice: &Slice,
) -> Result<Measures, sqlx::Error> {
    let query = MeasureQuery { org, edges: &buckets.edges, group, slice, top: TOP_SERIES };
    let cells = store::measure_cells(conn, &query).await?;
    Ok(Measures { buckets, cells })
}

/// One metric over a period that ends now.
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
    Ok(measure(conn, org, Range::Last(period).buckets(now, zone), Some(group), slice).await?.chart(metric))
}

impl Measures {
    /// The sums of all of it.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.cells.iter().fold(Totals::default(), |sum, cell| sum + Totals::from(cell.sums))
    }

    /// What a metric came to in each bucket.
    #[must_use]
    pub fn values(&self, metric: Metric) -> Vec<Decimal> {
        let mut values = vec![Decimal::ZERO; self.buckets.len()];
        for cell in &self.cells {
            if let Some(value) = self.place(cell).and_then(|at| values.get_mut(at)) {
                *value += cell.value(metric);
            }
        }
        values
    }

    /// The sums of each name, the dearest first. What has no name is left out.
    #[must_use]
    pub fn by_name(&self) -> Vec<(String, Totals)> {
        let mut sums: HashMap<&str, Totals> = HashMap::new();
        for cell in &self.cells {
            if let Some(name) = cell.name.as_deref() {
                let sum = sums.entry(name).or_default();
                *sum = *sum + Totals::from(cell.sums);
            }
        }
        let mut sums: Vec<_> = sums.into_iter().map(|(name, sum)| (name.to_owned(), sum)).collect();
        sums.sort_by(|(a, one), (b, other)| other.cost.cmp(&one.cost).then_with(|| a.cmp(b)));
        sums
    }

    /// Postgres counts buckets from one.
    fn place(&self, cell: &CellRow) -> Option<usize> {
        usize::try_from(cell.bucket - 1).ok().filter(|at| *at < self.buckets.len())
    }

    #[must_use]
    pub fn chart(&self, metric: Metric) -> Chart {
        let mut series: Vec<Series> = Vec::new();
        let mut known: HashMap<Option<&str>, usize> = HashMap::new();
        for cell in &self.cells {
            let Some(at) = self.place(cell) else { continue };
            let index = *known.entry(cell.name.as_deref()).or_insert_with(|| {
                series.push(self.blank(cell.name.clone()));
                series.len() - 1
            });
            if let Some(one) = series.get_mut(index) {
                let value = cell.value(metric);
                one.total += value;
                one.values[at] += value;
            }
        }
        series.retain(|one| !one.total.is_zero());
        // What has no name goes last however large it is.
        series.sort_by(|a, b| {
            a.name.is_none().cmp(&b.name.is_none()).then(b.total.cmp(&a.total)).then_with(|| a.name.cmp(&b.name))
        });
        let total = series.iter().map(|one| one.total).sum();
        let series = self.fold(series);
        Chart { metric, unit: self.buckets.unit, edges: self.buckets.edges.clone(), series, total }
    }

    fn blank(&self, name: Option<String>) -> Series {
        Series { name, total: Decimal::ZERO, values: vec![Decimal::ZERO; self.buckets.len()] }
    }

    /// Names that are great in another metric belong to the rest of this one.
    fn fold(&self, mut series: Vec<Series>) -> Vec<Series> {
        let named = series.iter().take_while(|one| one.name.is_some()).count();
        let top = usize::try_from(TOP_SERIES).unwrap_or_default().min(named);
        let others = series.split_off(top);
        if others.is_empty() {
            return series;
        }
        let mut rest = self.blank(None);
        for other in others {
            rest.total += other.total;
            rest.values.iter_mut().zip(other.values).for_each(|(sum, value)| *sum += value);
        }
        series.push(rest);
        series
    }
}
