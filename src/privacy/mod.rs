//! What becomes of what an organization sends: who may see it, and whether its texts are kept here.
//!
//! What is always true here:
//! - A switch counts for the next call, on every node; of it and of what a call asks for itself, the stricter wins.
//! - Texts are kept after the client has its answer, beside the call and never in its way: where that fails, the call is
//!   as it was, and a counter and the organization's page say so.
//! - A text is written only beside the row of its call, and goes with it: none stands there alone.
//! - Texts lie compressed and sealed with the organization's data key, and are deleted when their time is over, when
//!   somebody asks for it, and with the organization or the person whose calls they are of.
//! - Off means that nothing is kept from then on. What was kept stays until its time is over, or until it is deleted.

mod janitor;
mod save;
mod settings;
mod store;
mod text;
mod texts;

pub mod pages;

pub use janitor::run as run_janitor;
pub use save::{delete_texts, save};
pub use settings::{Discount, Log, MAX_KEEP_DAYS, Settings};
pub use store::{erase, erase_of_key, settings};
pub use text::{Cut, MAX_TEXT, Seen, Text, read};
pub use texts::Texts;
