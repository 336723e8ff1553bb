//! Saved ways to pay: keeping one without buying, and the pages. What else happens to them is in `methods`.

mod setup;

pub mod pages;

pub use setup::{Setup, ask, begin};
