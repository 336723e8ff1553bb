//! The integration tests: one program, so that it is linked once.
//!
//! Everything real: the `farebox` binary as its own process, on its own database of a real Postgres.

mod access;
mod activity;
mod admission;
mod audit;
mod auditor;
mod books;
mod browser;
mod calls;
#[path = "catalog.rs"]
mod catalog_stories;
mod console;
mod depth;
mod doctor;
mod fake_upstream;
mod figures;
mod fits;
mod gone;
mod house_sums;
mod identity;
mod incidents;
mod isolation;
mod keyring;
mod operating;
mod own_calls;
mod query_api;
mod roles;
mod schema;
mod second_factor;
mod settle;
mod slow;
mod stalled;
mod stand_ins;
mod stories;
mod support;
mod traces;
mod visitors;
mod wall;
