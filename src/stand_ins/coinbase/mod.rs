//! A stand-in for Coinbase Business: its checkouts, its payment page, and its webhooks.
//!
//! Always true here:
//! - Every request carries a token that was signed for it with the key's secret, and is looked at as Coinbase does.
//! - A checkout takes one payment and is over. Coinbase does not say what becomes of a payment of another amount or after
//!   the time; here it settles, and the checkout says how much.
//! - An idempotency key that comes again with the same request gets the first answer, with another request an error.
//! - A field or an address that is not modelled is refused, not ignored, so that a test cannot pass by luck.

mod api;
mod business;
mod checkout;
mod pages;
mod stand_in;
mod token;

pub use business::CoinbaseConfig;
pub use checkout::Status;
pub use stand_in::CoinbaseStandIn;
