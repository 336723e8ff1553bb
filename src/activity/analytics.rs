//! Questions of programs: sums by up to two dimensions and, where wanted, by time.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::span::{Span, cut_hours};
use super::spend::Totals;
use super::store::{self, AnalyticsQuery};
use crate::base::Usd;
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
    /// How the answer ended. Only calls tell it.
    Finish,
    /// The address of the site or program that called. Only calls tell it.
    Origin,
}

impl Dimension {
    /// Whether the sums of hours do not tell it apart.
    #[must_use]
    pub const fn is_of_calls(self) -> bool {
        matches!(self, Dimension::Finish | Dimension::Origin)
    }

    pub(super) const fn column(self) -> &'static str {
        match self {
            Dimension::Model => "model",
            Dimension::Provider => "provider",
            Dimension::App => "app",
            Dimension::Key => "key",
            Dimension::Member => "member",
            Dimension::Finish => "finish",
            Dimension::Origin => "origin",
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
    pub finishes: Picked,
    pub origins: Picked,
    /// Something is asked for that only calls tell. Whoever asks has looked how many there are.
    pub of_calls: bool,
}

/// A number of each call of a group: its mean, and what half, nine of ten and all but one of a hundred do not exceed. `None`
/// where no call has it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Spread {
    pub mean: Option<Decimal>,
    pub p50: Option<Decimal>,
    pub p90: Option<Decimal>,
    pub p99: Option<Decimal>,
}

/// What calls tell and the sums of hours do not.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct OfCalls {
    /// Calls on accounts of the organization's own.
    pub byok: u64,
    /// What was charged for these.
    pub fees: Usd,
    /// What was taken off because texts are kept.
    pub discount: Usd,
    /// Milliseconds to the first token, of calls that showed when it came.
    pub latency: Spread,
    /// Tokens a second, of calls that succeeded.
    pub throughput: Spread,
}

/// One row of an answer: its bucket, the values of the dimensions in the order that was asked for, and the sums.
#[derive(Clone, Debug)]
pub struct AnalyzedRow {
    pub at: Option<DateTime<Utc>>,
    pub values: Vec<String>,
    pub totals: Totals,
    /// Zero where the question is not one for the calls.
    pub calls: OfCalls,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Analyzed {
    pub rows: Vec<AnalyzedRow>,
    /// There were more, and the latest are left out.
    pub truncated: bool,
}

/// Answers a question from the sums per hour, and from calls only where an hour is not asked for as a whole, or where they
/// alone know the answer.
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
    let cells =
        if asked.of_calls { store::analyze_calls(conn, &query).await? } else { store::analyze(conn, &query).await? };
    let most = usize::try_from(MAX_ROWS).unwrap_or_default();
    let truncated = cells.len() > most;
    let rows = cells.into_iter().take(most).map(|cell| AnalyzedRow {
        at: cell.at,
        values: [cell.first, cell.second].into_iter().take(asked.dimensions.len()).flatten().collect(),
        totals: cell.sums.into(),
        calls: cell.calls,
    });
    Ok(Analyzed { rows: rows.collect(), truncated })
}
