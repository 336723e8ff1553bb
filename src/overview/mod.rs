//! Pages that bring several domains together: the first page, the activity log, and models with their prices.
//!
//! Nothing lives here but showing: every figure comes from the domain that owns it.

mod call_again;
mod call_detail;
mod call_rows;
mod charts;

pub mod activity;
pub mod archive_preset;
pub mod integrations;
pub mod models;
pub mod pages;
pub mod try_preset;
