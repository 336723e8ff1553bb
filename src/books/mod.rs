//! The books as a billing department reads them: the chart of accounts, a trial balance for any moment, statements, and
//! the daily close. It reads the ledger and writes only what it has closed.
//!
//! What is always true here:
//! - A day is one of UTC. It is closed once, after it has ended and no transaction that began in it still runs, so nothing
//!   is ever added to a closed day.
//! - A close checks every invariant of the books in the snapshot that it sums up, keeps what it found, and writes just that. It is chained to
//!   the one before, signed with a key that the database does not have, and stands in the audit log.
//! - A close keeps what it checked, rule by rule, with how much was compared; and the day's calls, their sums per hour and the transfers
//!   that they were paid with, beside each other.
//! - Any figure is what was closed plus what moved since, so it costs the same however old the books are; and it is the sum
//!   of the rows that it leads to, to the last digit.

mod chart;
mod checks;
mod close;
mod daily;
mod digest;
mod export;
mod rows;
mod statement;
mod store;
mod trial;
mod verify;
mod weekly;

pub mod pages;

pub use chart::{CREDITS, Kind, account_kind, account_note};
pub use checks::{Check, UsageDay};
pub use close::{Close, KEY_PURPOSE, close_due, end_of, is_late, start_of};
pub use daily::daily;
pub use export::{ENTRIES_HEAD, SUMMARY_HEAD, TRANSFERS_HEAD, cell, entries, line, summary};
pub use rows::{OrgRows, org_rows};
pub use statement::{
    Day, Month, Statement, Sum, document, label, month_of, months, org_moved, statement, statement_csv,
};
pub use store::{
    ClosedLine, checks_of, close_of, closed_movements, closed_totals, closes, cumulative_before, latest_close,
    lines_between, usage_days, usage_months,
};
pub use trial::{Balance, Trial, moved_since, trial};
pub use verify::{Verified, verify_closes};
pub use weekly::{Week, round as weekly_round, week, weekly};
