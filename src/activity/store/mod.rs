//! Every query of the activity log, the organization first.

mod analytics;
mod endpoints;
mod extra;
mod house;
mod kept;
mod paid;
mod read;
mod sums;
mod swept;
mod tally;
mod views;
mod write;

pub(super) use analytics::{AnalyticsQuery, analyze, analyze_calls};
pub(super) use endpoints::{add_counts, add_measured, forget_measured, measured_of, measured_of_all, recent_counts};
pub use extra::{HourDetail, UsageDetail, UsageUnits};
pub(super) use extra::{add_extra, details, extra_of, hour_details, units};
pub(super) use house::{house_until, lock_house, sum_house, take_late};
pub(super) use kept::{
    close_calls, closed_until, count_strays, drop_part, make_parts, set_usage_days, usage_days, who_closes,
};
pub(super) use paid::{paid_calls, paid_sum};
pub(super) use read::{
    DetailRow, PriceRow, count_calls, count_of_key, detail_row, export_rows, log_rows, newest_hour, price_row, scan_end,
};
pub use read::{SettledUsage, settled_usage};
pub(super) use sums::{
    CellRow, MeasureQuery, any_calls, group_sums, lifetime_cost, measure_cells, seen_values, span_sums,
};
pub use sums::{DayRow, HourOfKey, days, dear_hours};
pub use swept::count_swept;
pub(super) use tally::{TallyQuery, tally_cells};
pub(super) use views::{delete_view, save_view, views};
pub use write::{HourLine, UsageLine};
pub(super) use write::{add_hours, delete_abandoned, hours, insert_usage};
