//! The gateway: the life of a call.

pub mod call;
