//! Stand-ins for development. None of this is mounted in production.

pub mod pages;
