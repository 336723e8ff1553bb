//! Who may answer a call, and in which order they are asked.
//!
//! Pure, but for the memory of how endpoints did of late and of who answered a conversation before: the catalog, the
//! caller's conditions, the organization's, the time and the dice are arguments.
//!
//! What is always true here:
//! - A condition leaves an endpoint out or it does not; nothing that was asked for is silently dropped.
//! - `order` is obeyed: whoever is named there and may answer comes before everybody else, in that order.
//! - What an organization enforces, no request can widen.
//! - A key of an organization's own goes to the host that it was given for, or nowhere.
//! - The pages that say what would happen read the same code that decides it.

mod candidates;
mod conversation;
mod counts;
mod health;
mod order;
mod outlook;
mod own;
mod policy;
mod preferences;
mod why;

pub use candidates::{Asked, Candidate, NoRoute, candidates, model_of, who_may};
pub use conversation::{Conversation, Conversations};
pub use counts::{Count, Counted, Percentiles, Recent};
pub use health::{Fresh, Health, Measured, Speed, Took};
pub use outlook::{LeftOut, Next, Outlook, outlook};
pub use own::{Fee, Mode, Own, OwnKey, origin_of};
pub use policy::{Policy, Privacy};
pub use preferences::{BadPreference, Cutoff, MaxPrice, Preferences, Sort};
pub use why::Why;

#[cfg(test)]
pub(crate) mod tests;
