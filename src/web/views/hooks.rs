//! Webhooks: addresses, their secrets, and the messages to them.

use askama::Template;

use super::common::{Badge, Choice, Field, Pager, When};
use super::filters;
use super::shell::Shell;

/// `GET /settings/webhooks`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "hooks/index.html")]
pub struct Index {
    pub shell: Shell,
    pub rows: Vec<Row>,
    /// There are as many as may be.
    pub full: bool,
    pub most: String,
}

/// An address.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub href: String,
    /// Its description, or its host.
    pub name: String,
    pub url: String,
    /// Such as `all events` or `3 events`.
    pub events: String,
    pub waiting: String,
    pub dead: String,
    pub last_taken: Option<When>,
    pub state: Badge,
}

/// `GET /settings/webhooks/new` and `/settings/webhooks/{hook}/edit`, and `POST` with mistakes. Fields: `id`, `url`,
/// `description`, `which` (`all`, `some`), `event`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "hooks/form.html")]
pub struct Form {
    pub shell: Shell,
    pub action: String,
    pub back_href: String,
    /// Of a new one; empty otherwise.
    pub id: String,
    pub url: Field,
    pub description: Field,
    pub which: Vec<Choice>,
    pub events: Vec<Choice>,
    pub events_error: String,
    /// What is wrong with the form as a whole; empty otherwise.
    pub error: String,
}

/// After an address was added or its secret replaced: the one page that shows the secret.
#[derive(Clone, Default, Template)]
#[template(path = "hooks/secret.html")]
pub struct Shown {
    pub shell: Shell,
    pub secret: String,
    pub url: String,
    pub old: String,
    pub done_href: String,
}

/// `GET /settings/webhooks/{hook}`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "hooks/show.html")]
pub struct Show {
    pub shell: Shell,
    pub href: String,
    pub url: String,
    pub on: bool,
    pub state: Badge,
    /// What the state means, where that is not plain; empty otherwise.
    pub state_note: String,
    /// Labels of what it is told; empty for everything.
    pub events: Vec<String>,
    pub made: When,
    /// Who added it; empty where nobody knows.
    pub made_by: String,
    pub failing_since: Option<When>,
    /// Such as `The secret before signs too until 4 Dec, 10:00.`
    pub old_until: String,
    /// When it was changed last, for the rotation form.
    pub seen: String,
    pub graces: Vec<Choice>,
    pub messages: Vec<Message>,
    pub pager: Pager,
}

/// A message in the list of an address.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub href: String,
    pub again_href: String,
    pub kind: String,
    pub made: When,
    pub attempts: String,
    /// What was answered last; `–` for nothing.
    pub status: String,
    pub error: String,
    pub state: Badge,
    /// When it was tried last.
    pub last: Option<When>,
    /// When it is tried again.
    pub next: Option<When>,
    pub may_again: bool,
}

/// `GET /settings/webhooks/deliveries/{delivery}`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "hooks/message.html")]
pub struct MessagePage {
    pub shell: Shell,
    pub back_href: String,
    pub message: Message,
    /// What it is sent as, in each try.
    pub id: String,
    pub body: String,
    pub tries: Vec<Try>,
}

/// One try of a message.
#[derive(Clone, Debug, Default)]
pub struct Try {
    pub number: String,
    pub at: When,
    pub took: String,
    pub status: String,
    pub error: String,
    pub excerpt: String,
}

/// `GET /settings/webhooks/{hook}/delete`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "hooks/delete.html")]
pub struct Delete {
    pub shell: Shell,
    pub href: String,
    pub url: String,
    pub waiting: String,
    pub on: bool,
}
