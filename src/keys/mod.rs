//! API keys: what a program holds to spend an organization's credits, up to limits.
//!
//! What is always true here:
//! - A key is shown once; only its SHA-256 is stored. Nothing that could not be a key reaches the database.
//! - Limits stand on the key's meter in the ledger and are checked there, on a locked row; what is
//!   cached of a key never decides about money.
//! - A change is obeyed on every node within a second: nodes hear of it, and one that cannot hear asks each time.

mod authenticate;
mod by;
mod caller;
mod issue;
mod key;
mod key_form;
mod plain_key;
mod revoke;
mod store;

pub mod extract;
pub mod pages;
pub mod shown;

pub use authenticate::{AuthError, KeyCache, caller};
pub use by::By;
pub use caller::Caller;
pub use issue::{IssueError, Issued, NewKey, issue, issue_once};
pub use key::{Key, KeyKind, KeyName, KeyState};
pub use plain_key::PlainKey;
pub use revoke::{EnableError, delete, disable, enable};
pub use store::Found;
pub use store::{count, counts, disable_all_of, erase_all, find, labels, list, live, makers, search};
