//! The audit log: who did what to what, from where, and what it was before and after.
//!
//! What is always true here:
//! - An entry is written in the transaction of the change that it tells of, last before the commit.
//! - Entries are never changed or deleted. Each carries the digest of the one before in its chain, and
//!   [`verify`] recomputes them all. There is a chain for each organization, for each person (what concerns the
//!   account alone), and one for the house.
//! - `before` and `after` hold no personal data. What does (names, addresses, devices) stands apart, under a salted
//!   digest, so that it can be erased while the chain stays whole.

mod action;
mod entry;
mod record;
mod store;
mod verify;

pub use action::Action;
pub use entry::{Actor, Chain, Entry, Recorded, Target};
pub use record::record;
pub use store::{Filter, erase_chain, erase_person, latest, page};
pub use verify::{Broken, Verified, verify};
