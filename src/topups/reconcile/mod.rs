//! Comparing our books with those of each payment processor, in both directions.
//!
//! What is always true here:
//! - Money that came in there and is not credited here is credited, by the same booking that messages use; refunds and
//!   disputes likewise. Nothing else is changed: what only exists here is reported.
//! - Unknown is not failed: where a processor does not answer, the run is incomplete and is tried again.
//! - One process at a time compares with a processor, by a row with a lease. Two at once would book nothing twice
//!   either, because booking is comparing.
//! - A finding is written in the transaction that booked it.

mod compare;
mod daily;
mod finding;
mod run;

pub use super::store::{findings, latest, reconciliation, runs};
pub use compare::references;
pub use daily::{Pace, daily};
pub use finding::{Finding, FindingKind, Run};
pub use run::{MAX_DAYS, Patience, RunError, USUAL_DAYS, When, run, run_within};
