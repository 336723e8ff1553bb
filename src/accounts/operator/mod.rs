//! Whoever runs this instance.
//!
//! What is always true here: there is no operator by default. The first is made with a token that only somebody who
//! sees the server's output has, or on the command line. The token is stored as a digest, works once, and a new start
//! makes a new one.

mod anchors;
mod claim;
mod role;
mod staff;
mod store;

pub mod pages;

pub use anchors::{Anchoring, daily as anchor_daily};
pub use claim::{claim, is_claimable, make_operator, offer};
pub use role::StaffRole;
pub use staff::{StaffError, change_staff};
pub use store::{StaffMember, hold_role, is_operator, staff};
