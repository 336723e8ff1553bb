//! Every query about keys, organization first; only authentication looks a key up by its digest.

mod authenticate;
mod list;
mod names;
mod pace;
mod read;
mod write;

pub use authenticate::{Found, find_by_digest};
pub use names::{labels, live, makers};
pub use list::list;
pub use pace::{Asked, Begun, begin_calls, prepare};
pub use read::{count, counts, find, has_more_than, lock};
pub use write::{disable_all_of, erase_all, insert, mark_deleted, replace_secret, set_disabled, update};
