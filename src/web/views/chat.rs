//! The chat room.

use askama::Template;

use super::filters;
use super::shell::Shell;

/// `GET /chat`. The rest is the script's: the page holds what it is made of.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "chat/room.html")]
pub struct Room {
    pub shell: Shell,
    /// Whose conversations the browser shows.
    pub scope: String,
    pub org: String,
    pub models: Vec<Choice>,
    pub presets: Vec<Choice>,
    /// The id of the model that is chosen at first.
    pub default: String,
    /// What it stops at; empty for nothing.
    pub limit: String,
}

/// Something that answers.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Of a model, or `@preset/slug`.
    pub id: String,
    pub name: String,
    /// Such as `$0.25 in, $2.00 out`, or a preset's model.
    pub price: String,
    /// Whether it takes images.
    pub images: bool,
}
