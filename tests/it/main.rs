//! The integration tests: one program, so that it is linked once.
//!
//! Everything real: the `farebox` binary as its own process, on its own database of a real Postgres.

mod access;
mod activity;
mod admission;
mod audit;
mod books;
mod browser;
mod calls;
#[path = "catalog.rs"]
mod catalog_stories;
mod console;
mod depth;
mod fake_upstream;
mod fits;
mod identity;
mod incidents;
mod isolation;
mod keyring;
mod own_calls;
mod query_api;
mod roles;
mod schema;
mod second_factor;
mod settle;
mod stand_ins;
mod stories;
mod support;
