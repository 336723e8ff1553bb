//! What was called, by whom, and what it cost: one row per call, and sums per hour beside them.
//!
//! What is always true here:
//! - A call has at most one row. Writing it again changes nothing, neither the row nor the sums.
//! - The sums per hour are written by the transaction that writes the rows, so at every moment they are the rows' sums.
//! - A row that cost something names the usage transfer that paid for it. The rows of a transfer add up to its amount,
//!   to the last digit: what these pages show is what the ledger moved.
//! - Every query begins with the organization.
//! - The id of a call carries its time. The table of calls is divided by it, one part a month, and no page or export goes
//!   through more of it than it shows.
//! - Calls may be deleted when their time is over. Sums per hour, and what the books need of the calls, stay.
//!
//! Rows are written by settlement, by the sweeper and for refused calls; nothing else changes them, with one exception:
//! a row that says `abandoned` gives way to the settlement of the same call, when its proof turns up later.

mod analytics;
mod bill;
mod chart;
mod detail;
mod endpoints;
mod export;
mod filter;
mod house;
mod keep;
mod log;
mod paid;
mod record;
mod retention;
mod span;
mod spend;
mod store;
mod tally;
mod usage;
mod view;
mod walk;

pub use analytics::{Analysis, Analyzed, AnalyzedRow, Dimension, Granularity, OfCalls, Picked, Spread, analyze};
pub use bill::BillLine;
pub use chart::{Cell, Chart, Group, Measures, Metric, Period, Series, Slice, TOP_SERIES, chart, measure};
pub use detail::{Detail, PriceLine, PriceLines, detail};
pub use endpoints::{DAY, KEPT, add_measured, forget_measured, measured, recent};
pub use export::{CSV_HEAD, Export, ExportRow, PIECE};
pub use filter::{FilterError, LogFilter};
pub use house::{keep_house, sum_house};
pub use keep::{Kept, keep, make_parts, round as keep_once};
pub use log::{LogPage, LogRow, MAX_COUNTED, MAX_NEW, count_newer, count_of_key, log, speed_tenths};
pub use paid::{PaidCall, paid_calls};
pub use record::{Lines, lines, record, withdraw_abandoned};
pub use retention::{
    CHOICES as DAYS_KEPT, MAX_DAYS as MAX_DAYS_KEPT, MIN_DAYS as MIN_DAYS_KEPT, Retention, closed_until, is_closed,
    own_days, set_own_days,
};
pub use span::{
    Buckets, MAX_DAYS, Range, Span, Unit, chosen, edges, of_our_time, period_span, start_of_day, start_of_month,
};
pub use spend::{Seen, Summary, Totals, any_calls, lifetime, seen, spent_by, summary, totals};
pub use store::{
    DayRow, HourDetail, HourLine, HourOfKey, SettledUsage, UsageDetail, UsageLine, UsageUnits, count_swept, days,
    dear_hours, settled_usage,
};
pub use tally::{TALLY_PIECE, Tally, reach, tally_at_once};
pub use usage::{Extra, FINISHES, STATUSES, Units, UsageRow, storable_json};
pub use view::{MAX_NAME as MAX_VIEW_NAME, View, ViewError, delete_view, save_view, views};
