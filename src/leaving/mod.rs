//! Leaving: an account is closed at once, can be kept for a week, and is then erased.
//!
//! What is always true here:
//! - From the moment of the request no key of the personal organization works and no page but the way back opens.
//! - Whoever is the only owner of an organization with members cannot leave before somebody else owns it.
//! - Erasing takes everything that tells who somebody was: name, address, passwords, devices, pictures, mails, and
//!   the personal part of the audit log; an hour later also which programs and pages called. The books, the usage rows
//!   and the chain of the log stay whole.

mod erase;
mod erase_calls;
mod leave;
mod store;

pub mod pages;

pub use erase::EraseAccount;
pub use erase_calls::EraseCalls;
pub use leave::{LeaveError, keep, leave};
pub use store::{Stake, sole_ownerships, stake};
