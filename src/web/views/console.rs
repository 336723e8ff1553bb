//! The operator console: one frame, and pages that are put together from [`super::blocks`].

use askama::Template;

use super::blocks::{ActionLink, Block};
use super::filters;
use super::shell::{Flash, Shell};

/// The frame of a page of the console.
#[derive(Clone, Debug, Default)]
pub struct ConsoleShell {
    pub title: String,
    pub description: String,
    /// The navigation item that is marked.
    pub section: &'static str,
    pub person_name: String,
    pub person_email: String,
    pub person_initials: String,
    /// `Operator` or `Auditor`.
    pub role: &'static str,
    /// May change something, and see what is not about money.
    pub is_operator: bool,
    /// Grants and corrections that wait for a second operator.
    pub waiting: i64,
    /// Codes and operators that do.
    pub waiting_else: i64,
    pub csrf: String,
    pub flash: Option<Flash>,
    pub theme: String,
    pub lang: &'static str,
    pub dev: bool,
}

/// Any page of the console.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "console/page.html")]
pub struct Page {
    pub shell: ConsoleShell,
    /// Where it came from: address and name; empty for none.
    pub back: Option<(String, String)>,
    pub actions: Vec<ActionLink>,
    pub blocks: Vec<Block>,
}

/// `GET /credits/statements`, and one of them: the same parts in the frame of members.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "books/page.html")]
pub struct MemberPage {
    pub shell: Shell,
    pub back: Option<(String, String)>,
    pub actions: Vec<ActionLink>,
    pub blocks: Vec<Block>,
}
