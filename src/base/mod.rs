//! The vocabulary of Farebox: values that cannot be wrong, without any I/O or framework.

pub mod money;

pub use money::Usd;
