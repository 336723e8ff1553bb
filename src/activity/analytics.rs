//! Questions of programs: sums by up to two dimensions and, where wanted, by time.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::span::{Span, cut_hours};
use super::spend::Totals;
use super::store::{self, AnalyticsQuery};
use crate::base::ids::OrgId;

/// Rows that are read for one answer; an answer that would have more says so.
const MAX_ROWS: i64 = 20_000;

/// What calls are told apart by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dimension {
    Model,
    Provider,
    App,
    Key,
    Member,
}

impl Dimension {
    pub(super) const fn column(self) -> &'static str {
        match self {
            Dimension::Model => "model",
            Dimension::Provider => "provider",
            Dimension::App => "app",
            Dimension::Key => "key",
            Dimension::Member => "member",
        }
    }
}

/// How long a bucket is, in UTC; weeks begin on Monday.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Granularity {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Granularity {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Granularity::Minute => "minute",
            Granularity::Hour => "hour",
            Granularity::Day => "day",
            Granularity::Week => "week",
            Granularity::Month => "month",
        }
    }
}

/// Which values of a dimension count: those that are named, or all; and none of those that are left out. The nil UUID is
/// nobody in particular.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Picked {
    pub only: Option<Vec<String>>,
    pub not: Vec<String>,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Analysis {
    pub span: Span,
    pub granularity: Option<Granularity>,
    pub dimensions: Vec<Dimension>,
    pub models: Picked,
    pub providers: Picked,
    pub apps: Picked,
    pub keys: Picked,
    pub members: Picked,
}

/// One row of an answer: its bucket, the values of the dimensions in the order that was asked for, and the sums.
#[derive(Clone, Debug)]
pub struct AnalyzedRow {
    pub at: Option<DateTime<Utc>>,
    pub values: Vec<String>,
    pub totals: Totals,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Analyzed {
    pub rows: Vec<AnalyzedRow>,
    /// There were more, and the latest are left out.
    pub truncated: bool,
}

/// Answers a question from the sums per hour, and from calls only where an hour is not asked for as a whole.
///
/// # Errors
/// Database errors only.
pub async fn analyze(conn: &mut PgConnection, org: OrgId, asked: &Analysis) -> Result<Analyzed, sqlx::Error> {
    let mut cut = cut_hours(&[asked.span.from, asked.span.to]);
    if asked.granularity == Some(Granularity::Minute) {
        let first = super::span::hour_of(asked.span.from);
        let hours = std::iter::successors(Some(first), |hour| Some(*hour + chrono::TimeDelta::hours(1)));
        cut = hours.take_while(|hour| *hour < asked.span.to).collect();
    }
    let query = AnalyticsQuery { org, asked, cut: &cut, limit: MAX_ROWS + 1 };
    let cells = store::analyze(conn, &query).await?;
    let most = usize::try_from(MAX_ROWS).unwrap_or_default();
    let truncated = cells.len() > most;
    let rows = cells.into_iter().take(most).map(|cell| AnalyzedRow {
        at: cell.at,
        values: [cell.first, cell.second].into_iter().take(asked.dimensions.len()).flatten().collect(),
        totals: cell.sums.into(),
    });
    Ok(Analyzed { rows: rows.collect(), truncated })
}
