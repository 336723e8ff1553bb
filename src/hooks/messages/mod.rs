//! The pages of messages to addresses.

pub mod pages;
