//! Every query of the activity log, the organization first.

mod endpoints;
mod extra;
mod read;
mod sums;
mod write;

pub(super) use endpoints::{add_measured, forget_measured, measured_of, measured_of_all};
pub use extra::{HourDetail, UsageDetail};
pub(super) use extra::{add_extra, details, extra_of, hour_details};
pub(super) use read::{DetailRow, LogQuery, PriceRow, count_log, detail_row, log_rows, price_row};
pub use read::{SettledUsage, settled_usage};
pub(super) use sums::{ChartQuery, chart_hours, chart_minutes, group_sums, hour_sums, lifetime_cost};
pub use sums::{DayRow, HourOfKey, days, dear_hours};
pub use write::{HourLine, UsageLine};
pub(super) use write::{add_hours, delete_abandoned, hours, insert_usage};
