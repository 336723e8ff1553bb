//! Farebox: a self-hosted, credit-metered AI portal.

pub mod base;
pub mod catalog;
