//! The integration tests: one program, so that it is linked once.
//!
//! Everything real: the `farebox` binary as its own process, on its own database of a real Postgres.

#[path = "catalog.rs"]
mod catalog_stories;
mod fake_upstream;
mod stories;
mod support;
