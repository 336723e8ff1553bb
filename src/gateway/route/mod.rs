//! The route of a call: who may answer it, and in which order they are asked.
//!
//! Pure, but for the memory of how endpoints did of late: the catalog, the caller's conditions, the time and the
//! dice are arguments.

mod candidates;
mod health;
mod order;
mod preferences;

pub(super) use candidates::{Asked, Candidate, candidates};
pub use health::{Health, Speed};
pub use preferences::{MaxPrice, Preferences, Sort};

#[cfg(test)]
pub(super) mod tests;
