//! API keys: what a program holds to spend an organization's credits, up to limits.
//!
//! What is always true here:
//! - A key is shown once; only its SHA-256 is stored. Nothing that could not be a key reaches the database.
//! - Limits stand on the key's meter in the ledger and are checked there, on a locked row; what is
//!   cached of a key never decides about money.
//! - A change is obeyed on every node within a second: nodes hear of it, and one that cannot hear asks each time.

mod alarm;
mod authenticate;
mod by;
mod caller;
mod chat;
mod created;
mod edit;
mod give;
mod habit;
mod holder;
mod holder_cookie;
mod issue;
mod key;
mod key_form;
mod listing;
mod mails;
mod near_limits;
mod pace;
mod plain_key;
mod revoke;
mod rotate;
mod rules;
mod scope;
mod store;
mod switch;
mod under;

pub mod connect;
pub mod extract;
pub mod leaks;
pub mod management;
pub mod pages;
pub mod provisioning;
pub mod shown;

pub use alarm::{round as look_for_alarms, run as watch_for_alarms};
pub use authenticate::{AuthError, KeyCache, caller};
pub use by::By;
pub use caller::{Caller, Whose};
pub use chat::{ChatTerms, chat_caller};
pub use created::TellOfKey;
pub use edit::{Changes, EditError, edit};
pub use give::{ClaimError, GiveError, claim, give, give_again, revoke_link};
pub use issue::{IssueError, Issued, NewKey, issue, issue_once};
pub use key::{Key, KeyKind, KeyName, KeyState, Powers};
pub use listing::{Listing, Which};
pub use near_limits::{round as look_for_limits, run as watch_limits};
pub use pace::{Pace, PaceError};
pub use plain_key::PlainKey;
pub use revoke::{EnableError, delete, disable, enable};
pub use rotate::{Grace, MAX_GRACE_HOURS, RotateError, rotate};
pub use rules::{Models, Network, Networks, PerMinute, RuleError, Rules};
pub use store::Found;
pub use store::turn_back as turn_pace_back;
pub use store::{count, count_bound, count_up_to, counts, disable_all_of, erase_all, find, labels, list, live, makers};
pub use switch::{resume_all, stop_all};
