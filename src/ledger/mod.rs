//! The ledger: who owns what. Double-entry books, holds for running calls, and meters with hard limits.
//!
//! What is always true here:
//! - A transfer moves one positive amount between two accounts; one row is both sides. Rows are only
//!   ever inserted, and `(code, reference)` is unique: repeating an intent returns the first result.
//! - `available = posted - held`. An admission raises `held` on the organization's credit and on
//!   every meter of the call, all or none, and never beyond what is posted or what a limit leaves.
//! - A hold ends exactly once. Whoever deletes its row settles or releases it.
//! - A settlement never takes more from a customer than was held; the excess is `operator_loss`.
//! - What a provider takes from an organization's own account is nobody's credit. Limits that are told to count it count
//!   it as they count spending: what is held of it, and what it came to.
//! - Rows are locked in one order everywhere: holds, then credits by organization, then meters by id. A watch is
//!   changed only under the lock of its organization's credit.
//!
//! Only `store.rs` writes money rows. The ledger knows no HTTP, no models and no payment processors.

mod account;
mod decide;
mod group;
mod hold;
mod meter;
mod open;
mod post;
mod reconcile;
mod reserve;
mod settle;
mod store;
mod sweep;
mod transfer;
mod unheard;
mod watch;

pub use account::{HouseAccount, processor_account};
pub use group::{GroupCommit, GroupError};
pub use hold::{Byok, ExpiredHold, Granted, Refused, Want, Window};
pub use meter::{Limits, MeterKind, MeterState, Spent};
pub use open::{create_meter, open_credit, set_limits};
pub use post::{PostError, Posted, Posting, post};
pub use reconcile::{Drift, Report, is_whole, keep_audited, shift_audited, verify, verify_since};
pub use reserve::{Desk, DeskConfig};
pub use settle::{Ended, Ending, presume, settle, settle_with, settle_without_hold};
pub use store::{
    Booked, ByokChange, Changes, CreditChange, CreditState, DayMovement, JournalFilter, Line, MeterChange, Moved,
    Movement, OVERDUE, OrgMovement, TransferLine, count_holds, credit_state, credits_page, find_watch, first_day,
    house_accounts, is_held, journal, lines_of, lock_credit, meter_states, meters_near_limit, movements, moves, net_of,
    oldest_transaction, org_days, org_movements, transfer,
};
pub use sweep::{sweep, turn_back};
pub use transfer::{Code, credit_account};
pub use watch::{Threshold, Watch, WatchKind, clear_watch, set_watch};
