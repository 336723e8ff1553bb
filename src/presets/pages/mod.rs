//! The pages of settings.

pub mod preferences;
