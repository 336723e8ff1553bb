//! What a call gets that it does not say itself: the routing settings of its organization, and presets.
//!
//! A *preset* is a name for a system prompt, models, conditions on providers and parameters. Each change is a *version*,
//! written once; the preset points at the one that calls get, so that rolling back is pointing at an older one.
//!
//! What is always true here:
//! - A slug never changes and is never given to another preset, not even of an archived one: what a program names today
//!   is what it gets tomorrow, or a clear refusal.
//! - Every version was checked when it was written; calls with one that cannot be read any more are refused. What a call reads is parsed once and kept in memory.
//! - A node forgets what it remembers of an organization when it hears of a change, and remembers nothing while it cannot
//!   hear.

mod archive;
mod config;
mod defaults;
mod diff;
mod form;
mod memory;
mod preset;
mod revise;
mod save;
mod settings;
mod store;

pub mod pages;

pub use archive::set_status;
pub use config::{Config, Flaw, MAX_PROMPT, PARAMETERS, Parameter, Unread};
pub use defaults::{Defaults, Missing, Ready};
pub use memory::{CHANGED_CHANNEL, Memory, Terms};
pub use preset::{Author, Preset, PresetError, PresetName, Status, Version};
pub use revise::{Base, Content, Writer, create, designate, revise};
pub use save::{SettingsError, save};
pub use settings::Settings;
pub use store::{Listed, count, count_active, erase, find, find_by_slug, list, settings, version, versions};
