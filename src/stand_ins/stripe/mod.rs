//! A stand-in for Stripe: its HTTP API, its hosted payment page, its webhooks, and the days when they misbehave.
//!
//! Always true here:
//! - Every object has the fields of Stripe's API version [`API_VERSION`]; what the stand-in does not model is null or empty.
//! - Amounts are whole cents. There are no fees: what a person pays is what Stripe would hold for us.
//! - One request is one step under one lock: it happens as a whole or not at all, with the events that tell of it.
//! - A parameter that is not modelled is refused, not ignored, so that a test cannot pass by luck.

mod api;
mod attempts;
mod books;
mod customers;
mod dispatch;
mod disputes;
mod error;
mod events;
mod expand;
mod form;
mod hosted;
mod idempotency;
mod intents;
mod lists;
mod methods;
mod objects;
mod pages;
mod refunds;
mod server;
mod sessions;
mod setups;
mod stand_in;
mod switches;
#[cfg(test)]
mod tests;
mod webhooks;

pub use hosted::{Outcome, PayAs};
pub use objects::API_VERSION;
pub use stand_in::{Delivered, Seen, StripeOptions, StripeStandIn};
pub use switches::Switches;

pub use error::Refusal;
