//! The audit log: who did what to what, from where, and what it was before and after.
//!
//! What is always true here:
//! - An entry is written in the transaction of the change that it tells of, last before the commit.
//! - Entries are never changed or deleted. Each carries the digest of the one before in its chain, and
//!   [`verify`] recomputes them all. There is a chain for each organization, for each person (what concerns the
//!   account alone), and one for the house.
//! - `before` and `after` hold no personal data. What does (names, addresses, devices) stands apart, under a salted
//!   digest, so that it can be erased while the chain stays whole.
//! - Each day the ends of all chains are anchored: signed with a key that the database does not have, and copied to
//!   where it does not reach. So a chain that was computed anew, or cut off, shows later.

mod action;
mod anchor;
mod entry;
mod record;
mod store;
mod take_anchor;
mod verify;
mod verify_anchors;

pub use action::Action;
pub use anchor::{Anchor, Copied, KEY_PURPOSE, copies};
pub use entry::{AMOUNTS, Actor, Chain, Entry, Recorded, Target};
pub use record::record;
pub use store::{Filter, anchors, erase_chain, erase_person, last_anchor, latest, page};
pub use take_anchor::{Due, take_anchor};
pub use verify::{Broken, Verified, verify};
pub use verify_anchors::{AnchorFault, Anchored, verify_anchors};
