//! Settings for routing, and presets.

use askama::Template;

use super::common::{Amount, Badge, Choice, Field, Link, Pager, Snippets, When};
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
    /// What else decides; empty for nothing.
    pub note: String,
}

/// Archiving a preset that keys are bound to, before it is done.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "presets/archive.html")]
pub struct Archive {
    pub shell: Shell,
    pub id: String,
    pub reference: String,
    /// Such as `3 keys are bound to it`.
    pub bound: String,
    pub one: bool,
}

/// `GET /settings/presets`
#[derive(Clone, Debug, Default, Template)]
#[template(path = "presets/index.html")]
pub struct Index {
    pub shell: Shell,
    /// False for members, who may use them.
    pub may_change: bool,
    /// True where there is a preset in any state.
    pub any: bool,
    /// True where the archived ones are shown.
    pub archived: bool,
    pub views: Vec<Link>,
    pub rows: Vec<PresetRow>,
    pub pager: Pager,
}

#[derive(Clone, Debug, Default)]
pub struct PresetRow {
    pub id: String,
    pub name: String,
    /// Such as `@preset/copywriter`.
    pub reference: String,
    pub description: String,
    /// Such as `openai/gpt-5-mini and 2 more`.
    pub models: String,
    pub version: String,
    pub changed: When,
    /// Who made it; empty where they left.
    pub author: String,
    pub active: bool,
    pub state: Badge,
}

/// Making and changing a preset. Fields: see `presets/form.rs`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "presets/edit.html")]
pub struct Editor {
    pub shell: Shell,
    pub id: String,
    /// False for a new one.
    pub exists: bool,
    pub archived: bool,
    pub may_change: bool,
    /// The version that calls get.
    pub version: i32,
    /// The version that was opened; empty for a new preset.
    pub base: String,
    /// When the preset was last changed, sent back as `seen`; empty for a new one.
    pub seen: String,
    pub name: Field,
    pub slug: Field,
    /// The slug that the name suggests; empty where it suggests none.
    pub suggested: String,
    /// Such as `@preset/copywriter`.
    pub reference: String,
    pub description: Field,
    pub system_prompt: Field,
    pub models: Sortable,
    pub order: Sortable,
    pub only: Vec<Choice>,
    pub ignore: Vec<Choice>,
    pub provider_error: String,
    pub conditions: Vec<Condition>,
    pub parameters: Vec<ParameterField>,
    pub max_cost: Field,
    pub more: Field,
    /// To choose from.
    pub all_models: Vec<String>,
    pub all_providers: Vec<Choice>,
    /// What stands in the way of saving, as sentences.
    pub problems: Vec<String>,
    /// What is worth knowing.
    pub remarks: Vec<String>,
    /// `None` for a new preset.
    pub snippets: Option<Snippets>,
}

/// A list whose order counts.
#[derive(Clone, Debug, Default)]
pub struct Sortable {
    /// Of its field.
    pub name: String,
    /// Value and a few words about it.
    pub entries: Vec<(String, String)>,
    pub error: String,
}

#[derive(Clone, Debug, Default)]
pub struct Condition {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub choices: Vec<Choice>,
}

#[derive(Clone, Debug, Default)]
pub struct ParameterField {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: String,
    pub field: Field,
}

/// `GET /settings/presets/{preset}/versions`
#[derive(Clone, Debug, Default, Template)]
#[template(path = "presets/versions.html")]
pub struct Versions {
    pub shell: Shell,
    pub id: String,
    pub name: String,
    pub may_change: bool,
    pub rows: Vec<VersionRow>,
    pub from_choices: Vec<Choice>,
    pub to_choices: Vec<Choice>,
    /// `None` where there is nothing to compare with.
    pub difference: Option<Difference>,
    pub pager: Pager,
}

#[derive(Clone, Debug, Default)]
pub struct VersionRow {
    pub number: i32,
    pub current: bool,
    pub made: When,
    pub author: String,
    pub compare_href: String,
}

#[derive(Clone, Debug, Default)]
pub struct Difference {
    pub from: i32,
    pub to: i32,
    /// Label, before, after.
    pub changes: Vec<(String, String, String)>,
    /// Lines of the system prompt, each `same`, `gone` or `new`; empty where it is the same.
    pub prompt: Vec<(&'static str, String)>,
}

/// `GET /settings/presets/{preset}/try`, and `POST` with the answer. Fields: `key`, `message`, `model`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "presets/try.html")]
pub struct Try {
    pub shell: Shell,
    pub id: String,
    pub reference: String,
    /// Whether a model has to be named, because the preset names none.
    pub needs_model: bool,
    pub model: Field,
    pub all_models: Vec<String>,
    /// The keys that may pay.
    pub keys: Vec<Choice>,
    pub message: Field,
    pub answer: Option<Answered>,
    /// Why there is no answer; empty otherwise.
    pub error: String,
}

#[derive(Clone, Debug, Default)]
pub struct Answered {
    pub text: String,
    /// Model and provider, such as `openai/gpt-5-mini at OpenAI`.
    pub by: String,
    pub cost: Amount,
    pub tokens: String,
    pub href: String,
}
