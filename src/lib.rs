//! Farebox: a self-hosted, credit-metered AI portal with an OpenAI-compatible gateway.
//!
//! In reading order: each module may use those above it, and `tests/tidy.rs` holds it to that.

pub mod accounts;
pub mod activity;
pub mod audit;
pub mod base;
pub mod books;
pub mod boot;
pub mod catalog;
pub mod chat;
pub mod cli;
pub mod config;
pub mod console;
pub mod db;
pub mod dev;
pub mod gateway;
pub mod hooks;
pub mod integrations;
pub mod jobs;
pub mod keys;
pub mod leaving;
pub mod ledger;
pub mod mail;
pub mod notices;
pub mod orgs;
pub mod outgoing;
pub mod overview;
pub mod paper;
pub mod pictures;
pub mod presets;
pub mod privacy;
pub mod reference;
pub mod routes;
pub mod routing;
pub mod stand_ins;
pub mod teams;
pub mod topups;
pub mod traces;
pub mod vault;
pub mod web;
