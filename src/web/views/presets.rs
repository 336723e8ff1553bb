//! Settings for routing, and presets.

use askama::Template;

use super::common::{Choice, Field};
use super::filters;
use super::shell::Shell;

/// `GET /settings/preferences`, and `POST` with mistakes. Fields: `allowed` and `ignored` (several), `enforced`, `sort`,
/// `default_model`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "presets/preferences.html")]
pub struct Preferences {
    pub shell: Shell,
    /// False for members, who may look.
    pub may_change: bool,
    pub allowed: Vec<Choice>,
    pub allowed_error: String,
    pub enforced: bool,
    pub ignored: Vec<Choice>,
    pub ignored_error: String,
    pub sorts: Vec<Choice>,
    pub default_model: Field,
    /// What the operator set for everybody; empty for none.
    pub instance_model: String,
    /// Ids to choose from.
    pub models: Vec<String>,
    pub outlook: WhatWouldHappen,
}

/// What would become of a call that is made now.
#[derive(Clone, Debug, Default)]
pub struct WhatWouldHappen {
    /// Empty where the catalog has none.
    pub model: String,
    /// False where it only stands for any.
    pub is_default: bool,
    pub known: bool,
    pub sentence: String,
    /// Provider and how it is asked.
    pub next: Vec<(String, String)>,
    /// Provider and why it is not asked.
    pub left_out: Vec<(String, String)>,
}
