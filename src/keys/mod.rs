//! API keys: who may call, and with what limits.

mod caller;

pub use caller::Caller;
