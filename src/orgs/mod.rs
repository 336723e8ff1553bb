//! A tenant: what owns credits, keys and calls. Every person has a personal organization.
//!
//! What is always true here: an organization has a credit account from its first moment, and every
//! member has a meter in it.

mod enter;
mod org;
mod store;

pub mod account;
pub mod extract;
pub mod pages;
pub mod security;
pub mod ways;

pub use enter::enter_personal;
pub use extract::Member;
pub use org::{Org, Role};
pub use store::member_meter;
