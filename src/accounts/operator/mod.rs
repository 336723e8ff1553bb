//! Whoever runs this instance.
//!
//! What is always true here: there is no operator by default. The first is made with a token that only somebody who
//! sees the server's output has, or on the command line. The token is stored as a digest, works once, and a new start
//! makes a new one. The last one stays one: nobody takes that away, and their account is not deleted.
//!
//! Where two operators have to want something, they are two people as far as this program can tell: nobody makes a second pair
//! of eyes of their own. A new operator needs a second one's word where there is another; whom the only one makes alone never
//! confirms for them, nor they for them; and who is new confirms nothing for a week. The server's command is above all that.

mod anchors;
mod claim;
mod eyes;
mod role;
mod staff;
mod store;

pub mod pages;

pub use anchors::{Anchoring, daily as anchor_daily};
pub use claim::{claim, is_claimable, make_operator, offer};
pub use eyes::{Refusal, confirmers, may_confirm};
pub use role::StaffRole;
pub use staff::{By, StaffError, change_staff, needs_second};
pub use store::{StaffMember, hold_role, is_last_operator, is_operator, lock_claim, staff};
