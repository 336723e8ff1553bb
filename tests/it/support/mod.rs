//! What the tests share.

pub mod cluster;
pub mod fake_upstream;
pub mod farebox;
pub mod http;

pub use farebox::{Farebox, Key, Options};
