//! What the stand-ins of processors of crypto have in common: a server with one worker, a state that may outlive it, the
//! days when they misbehave, and messages to the shop.
//!
//! Always true here:
//! - One request is one step under one lock: it happens as a whole or not at all, with the messages that tell of it.
//! - What a fault loses is the answer or the request, never half of a step.

mod faults;
pub mod pages;
mod shared;
mod stand;

pub use faults::Faults;
pub use shared::{Booth, Company, Outgoing, Reply};
pub use stand::{BoothOptions, Delivered, Seen, Stand};
