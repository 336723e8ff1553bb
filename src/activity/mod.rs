//! What was called, by whom, and what it cost: one row per call, and sums per hour beside them.
//!
//! What is always true here:
//! - A call has at most one row. Writing it again changes nothing, neither the row nor the sums.
//! - The sums per hour are written by the transaction that writes the rows, so at every moment they are the rows' sums.
//! - A row that cost something names the usage transfer that paid for it. The rows of a transfer add up to its amount,
//!   to the last digit: what these pages show is what the ledger moved.
//! - Every query begins with the organization.
//!
//! Rows are written by settlement, by the sweeper and for refused calls; nothing else changes them, with one exception:
//! a row that says `abandoned` gives way to the settlement of the same call, when its proof turns up later.

mod chart;
mod detail;
mod log;
mod record;
mod span;
mod spend;
mod store;
mod usage;

pub use chart::{Cell, Chart, Group, Metric, Period, Series, Slice, TOP_SERIES, chart};
pub use detail::{Detail, PriceLine, PriceLines, detail};
pub use log::{FilterError, LogFilter, LogRow, MAX_COUNTED, count, log, speed_tenths};
pub use record::{Lines, lines, record, withdraw_abandoned};
pub use span::{Span, edges, period_span, start_of_day, start_of_month};
pub use spend::{Summary, Totals, lifetime, spent_by, summary, totals};
pub use store::{
    DayRow, HourDetail, HourLine, HourOfKey, SettledUsage, UsageDetail, UsageLine, days, dear_hours, settled_usage,
};
pub use usage::{Extra, STATUSES, UsageRow, storable_json};
