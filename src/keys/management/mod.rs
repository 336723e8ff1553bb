//! The management API: what a program with a provisioning key may ask and change in its organization.
//!
//! What is always true here:
//! - It acts on behalf of one organization, the one of its key. What belongs to another is as if it were not there.
//! - A provisioning key manages the keys that it issued and no others, and what it issues may never do more than itself.
//! - A body has no field that is not known; a wrong one changes nothing.
//! - What makes something takes an `Idempotency-Key`: the same request again gives the first answer. A provider has one key,
//!   so a second one is refused without.

mod answer_rows;
mod byok_limits;
mod filters;
mod metrics;
mod pace;
mod store;

pub mod activity;
pub mod analytics;
pub mod byok;
pub mod byok_body;
pub mod extract;
pub mod key_body;
pub mod keys;
pub mod members;
pub mod repeat;

pub use pace::{DEFAULT_PER_MINUTE, Management};
