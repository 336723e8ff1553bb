//! What pages show, as plain text and numbers. A handler fills one of these structs and renders it; money and times
//! arrive already formatted, so that no page computes with them.
//!
//! A page for a signed-in person holds a [`Shell`], any other a [`PublicPage`]. Parts such as [`Amount`], [`When`],
//! [`Badge`], [`Meter`], [`Pager`] and the chart render themselves and are safe to write into HTML as they stand;
//! everything else is escaped. [`samples`] fills every page, for tests and for looking at the design.

pub mod accounts;
pub mod activity;
pub mod api;
pub mod billing;
pub mod blocks;
pub mod catalog;
pub mod chart;
pub mod chat;
pub mod codes;
pub mod common;
pub mod connect;
pub mod console;
mod console_samples;
pub mod dev;
pub mod emails;
pub mod errors;
pub mod filters;
pub mod holders;
mod hook_samples;
pub mod hooks;
mod icons;
mod key_samples;
pub mod keys;
pub mod leaving;
mod money_samples;
pub mod notices;
pub mod overview;
pub mod own;
mod own_samples;
mod preset_samples;
pub mod presets;
mod program_samples;
pub mod provisioning;
mod rule_samples;
pub mod samples;
pub mod security;
pub mod shell;
mod team_samples;
pub mod teams;
pub mod topup_rules;
pub mod topups;

pub use common::{Amount, Badge, Chip, Choice, Fact, Field, Link, Meter, Pager, Snippet, Snippets, When};
pub use shell::{Away, Flash, PublicPage, Shell};

#[cfg(test)]
mod tests;
