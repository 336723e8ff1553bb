//! The first page after signing in.

use askama::Template;

use super::activity::CallRow;
use super::chart::Chart;
use super::common::{Amount, Meter, Snippets};
use super::filters;
use super::shell::Shell;

/// An invitation that waits for an answer.
#[derive(Clone, Debug, Default)]
pub struct Invited {
    pub org: String,
    pub by: String,
    pub href: String,
}

/// `GET /`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "overview/index.html")]
pub struct Index {
    pub shell: Shell,
    /// An open invitation to somewhere else.
    pub invited: Option<Invited>,
    pub available: Amount,
    pub held: Amount,
    pub today: Amount,
    pub month: Amount,
    /// Such as `Lasts about 12 days at this pace`, or empty without spending.
    pub lasts: String,
    /// True when the balance is low or gone.
    pub low: bool,
    /// What that means, in one sentence.
    pub low_text: String,
    pub has_keys: bool,
    /// Keys that have used 80% of a limit or more.
    pub near: Vec<KeyNear>,
    /// The three steps to a first call; `None` once there was one.
    pub first_call: Option<FirstCall>,
    /// The last 30 days by model; `None` before the first call. Recent calls are shown with it.
    pub spend: Option<Chart>,
    /// Newest first, about eight.
    pub calls: Vec<CallRow>,
}

/// A key close to its limit.
#[derive(Clone, Debug, Default)]
pub struct KeyNear {
    pub name: String,
    pub href: String,
    pub meter: Meter,
}

/// What is still to do before the first call.
#[derive(Clone, Debug, Default)]
pub struct FirstCall {
    pub has_credits: bool,
    pub has_key: bool,
    pub base_url: String,
    pub snippets: Snippets,
    /// True while the page should look for the call every three seconds.
    pub poll: bool,
}
