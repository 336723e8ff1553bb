//! The web surface: pages, their view structs and the static files they link to.

pub mod assets;
pub mod views;
