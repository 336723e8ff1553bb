//! The low-balance alert: a mail when credits fall below an amount, once for each time, to each of its readers.
//!
//! What is always true here:
//! - It is on from an organization's first moment, for its owners and billing members, until somebody changes it.
//! - It is on exactly if the ledger watches the balance for it.
//! - One crossing is one mail to each reader, however often its job runs and in however many processes.

mod alert;
mod save;
mod tell;

pub mod pages;

pub use alert::{Alert, AlertError, MAX_MORE};
pub use save::save;
pub use tell::tell;
