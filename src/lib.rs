//! Farebox: a self-hosted, credit-metered AI portal with an OpenAI-compatible gateway.
//!
//! In reading order: each module may use those above it, and `tests/tidy.rs` holds it to that.

pub mod base;
pub mod db;
pub mod web;
pub mod jobs;
pub mod mail;
pub mod ledger;
pub mod catalog;
pub mod accounts;
pub mod orgs;
pub mod activity;
pub mod keys;
pub mod topups;
pub mod gateway;
pub mod overview;
pub mod dev;
pub mod reference;
pub mod config;
pub mod boot;
pub mod routes;
pub mod cli;
