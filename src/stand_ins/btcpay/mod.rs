//! A stand-in for BTCPay Server: the invoices of its Greenfield API, its payment page, the network behind it, and its
//! webhooks.
//!
//! Always true here:
//! - An invoice changes as in BTCPay Server's own watcher: paid in time it is `Processing` until the network confirms, late
//!   or partly paid ones stay `Expired`, and what is marked by hand says so.
//! - One coin costs always the same, and amounts are rounded up to its smallest part, as there.
//! - A message that was not taken is delivered again under a new id that names the old one.
//! - A field or an address that is not modelled is refused, not ignored, so that a test cannot pass by luck.

mod api;
mod invoice;
mod pages;
mod stand_in;
mod store;

pub use invoice::{Additional, Status};
pub use stand_in::BtcPayStandIn;
pub use store::BtcPayConfig;
