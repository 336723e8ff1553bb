//! Parts that several pages share. Each renders itself, so a template writes `{{ row.cost }}` and gets the markup.

use askama::Template;
use askama::filters::HtmlSafe;

use super::filters;

/// An amount of money: short for reading, exact on hover.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "components/amount.html")]
pub struct Amount {
    /// Such as `$12.40` or `$0.000123`.
    pub text: String,
    /// The full value, such as `$12.400000000000`. Equal to `text` where nothing was rounded.
    pub exact: String,
}

impl HtmlSafe for Amount {}

impl Amount {
    pub fn new(text: impl Into<String>, exact: impl Into<String>) -> Self {
        Self { text: text.into(), exact: exact.into() }
    }
}

/// A moment: relative for reading, exact with its zone on hover.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "components/when.html")]
pub struct When {
    /// Such as `3 min ago` or `22 Nov, 14:03`.
    pub text: String,
    /// Such as `22 Nov 2026, 14:03:07 UTC`.
    pub exact: String,
    /// RFC 3339, for machines.
    pub iso: String,
    /// True when `text` counts from now, so that it is kept true while the page stays open.
    pub relative: bool,
}

impl HtmlSafe for When {}

/// A state, told by an icon and a word as well as by its colour.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "components/badge.html")]
pub struct Badge {
    /// `good`, `warn`, `bad`, `accent` or empty for neutral.
    pub tone: &'static str,
    /// The name of an icon, or empty.
    pub icon: &'static str,
    pub text: String,
}

impl HtmlSafe for Badge {}

impl Badge {
    pub fn new(tone: &'static str, icon: &'static str, text: impl Into<String>) -> Self {
        Self { tone, icon, text: text.into() }
    }
}

/// What was used of a limit.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "components/meter.html")]
pub struct Meter {
    pub used: Amount,
    pub limit: Amount,
    /// 0 to 100.
    pub percent: u8,
    /// When it starts again, such as `resets Monday 00:00 UTC`; empty when it never does.
    pub note: String,
    /// What the bar measures, for screen readers.
    pub label: String,
}

impl HtmlSafe for Meter {}

impl Meter {
    /// From here a limit is close and its bar changes.
    const WARN_PERCENT: u8 = 80;

    fn tone(&self) -> &'static str {
        match self.percent {
            100.. => "bad",
            Self::WARN_PERCENT.. => "warn",
            _ => "",
        }
    }
}

/// What a person typed into a field, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Field {
    pub value: String,
    /// Empty when nothing is wrong.
    pub error: String,
}

impl Field {
    pub fn of(value: impl Into<String>) -> Self {
        Self { value: value.into(), error: String::new() }
    }

    pub fn wrong(value: impl Into<String>, error: impl Into<String>) -> Self {
        Self { value: value.into(), error: error.into() }
    }
}

/// One of several values of a field.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub value: String,
    pub label: String,
    /// A few words below the label; empty for none.
    pub note: String,
    pub selected: bool,
}

impl Choice {
    pub fn new(value: &str, label: &str, note: &str, selected: bool) -> Self {
        Self { value: value.into(), label: label.into(), note: note.into(), selected }
    }
}

/// A link among others, one of which may be the page shown.
#[derive(Clone, Debug, Default)]
pub struct Link {
    pub href: String,
    pub label: String,
    pub current: bool,
}

/// A filter that is on, and the address without it.
#[derive(Clone, Debug, Default)]
pub struct Chip {
    pub label: String,
    pub value: String,
    pub remove_href: String,
}

/// A line of a list of facts.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    pub label: String,
    pub value: String,
    /// True for ids and code.
    pub mono: bool,
}

/// Keyset paging: from newest to older, or from A to Z.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "components/pager.html")]
pub struct Pager {
    /// The address of the next older rows, or `None` at the end.
    pub older_href: Option<String>,
    /// The address of the newest rows, or `None` when they are shown.
    pub newest_href: Option<String>,
    /// Such as `50 of 1,204 calls`.
    pub note: String,
    /// The rows stand by name, so the links say `First` and `Next`.
    pub by_name: bool,
}

impl HtmlSafe for Pager {}

/// A piece of code to copy.
#[derive(Clone, Debug, Default)]
pub struct Snippet {
    /// Unique on the page.
    pub id: String,
    pub title: String,
    pub code: String,
}

/// The same call in several languages.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "components/snippets.html")]
pub struct Snippets {
    pub label: String,
    pub items: Vec<Snippet>,
}

impl HtmlSafe for Snippets {}
