//! The people of an organization and what becomes of it: roles, spend caps, leaving, ownership, the end, and the pages
//! of all that. It stands above keys, because whoever goes loses theirs.
//!
//! What is always true here:
//! - Every change is made under the lock of the organization, looks at the role of whoever acts again, is written into
//!   the log, and mails whom it concerns: all in one transaction.
//! - The last owner neither leaves nor becomes something else.
//! - Whoever is removed, or gets a role without keys, has no working key here once that transaction has ended.
//! - Deleting is asked for and can be undone for seven days. What is erased then is what is personal; the books, the
//!   calls and the log stay whole.

mod change;
mod close;
mod invite;
mod remove;

pub mod pages;

pub use change::{change_cap, change_role, transfer};
pub use close::{DeleteOrg, ask_deletion, end_if_empty, undo_deletion};
pub use invite::invite;
pub use remove::{leave, remove};
