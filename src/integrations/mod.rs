//! Integrations: keys that an organization brings itself, for providers where it has an account of its own.
//!
//! What is always true here:
//! - A key comes in and never goes out again but to its provider: no page, no API, no log and no mail has it. Pages show
//!   its ends.
//! - It is sealed with the organization's data key, for that organization, provider and host. Moved to another row it does
//!   not open; when the catalog leads the provider to another host, it is not sent there.
//! - Replacing, changing and disconnecting count for the next call, on every node that hears of it, and stand in the log.

mod connect;
mod disconnect;
mod note_test;
mod open;
mod plain_key;
mod provider_key;
mod store;
mod try_key;

pub use connect::{ConnectError, Wish, Writer, connect, origin_for, write};
pub use disconnect::{disconnect, remove};
pub use note_test::{Turn, begin_test, note_test};
pub use open::{open_all, open_one};
pub use plain_key::{ParseProviderKeyError, PlainProviderKey};
pub use provider_key::{MAX_LIMITS, ProviderKey};
pub use store::{erase, find, list, used_this_month};
pub use try_key::{Tried, cap_name, try_key};
