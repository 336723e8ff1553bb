//! Other companies' services, rebuilt small: they speak the real protocols, keep state, and move no money.
//!
//! The tests start them beside the program, `script/server` inside of it, so that development needs no account anywhere.
//! Nothing here reads the environment, and production never starts one: whoever starts a stand-in decides that.

pub mod booth;
pub mod btcpay;
pub mod coinbase;
mod deliveries;
pub mod stripe;
