//! The gateway: the life of a call.

pub mod call;
pub mod reconcile;
pub mod settle;
pub mod spool;
pub mod sweep;
