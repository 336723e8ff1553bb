//! API keys.

pub mod caller;

pub use caller::Caller;
