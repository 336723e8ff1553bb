//! Who gets which mail.

use askama::Template;

use super::common::{Choice, Field, Pager};
use super::filters;
use super::shell::{PublicPage, Shell};

/// `GET /settings/notifications`, and of somebody else `/settings/notifications/{person}`. Fields: one for each topic.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "notices/form.html")]
pub struct Form {
    pub shell: Shell,
    /// Where the form goes.
    pub action: String,
    /// Whose it is; empty for the reader's own.
    pub whose: String,
    pub role: String,
    /// Where their mails go.
    pub email: String,
    pub org: String,
    pub topics: Vec<Topic>,
    /// Mails that are always sent; none on the page of somebody else.
    pub always: Vec<Always>,
    /// The reader sets what others get.
    pub may_people: bool,
    pub may_webhooks: bool,
    pub may_change: bool,
}

/// `GET /unsubscribe?token=`: asks whether mails about a topic are to stop.
#[derive(Clone, Template)]
#[template(path = "notices/off.html")]
pub struct Off {
    pub page: PublicPage,
    /// It must not reach a log.
    pub token: String,
    /// Of the topic.
    pub label: String,
    pub note: String,
    pub org_name: String,
    /// Where the mails go, masked.
    pub email: String,
}

/// A topic and what can be chosen of it.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    pub code: String,
    pub label: String,
    pub note: String,
    pub choices: Vec<Choice>,
    /// Such as `The amount is set under Low-balance alert.`, and where that is; empty for none.
    pub more: String,
    pub more_href: String,
}

/// Mails that nobody can do without.
#[derive(Clone, Debug, Default)]
pub struct Always {
    pub label: String,
    pub note: String,
    pub reason: String,
}

/// `GET /settings/notifications/people`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "notices/people.html")]
pub struct People {
    pub shell: Shell,
    pub search: Field,
    pub rows: Vec<Person>,
    pub pager: Pager,
}

/// A member and what they get.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub href: String,
    pub name: String,
    pub email: String,
    pub role: String,
    /// Labels of what they get.
    pub gets: Vec<String>,
}
