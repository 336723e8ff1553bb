//! API keys.

use askama::Template;

use super::common::{Amount, Badge, Choice, Field, Meter, Pager, Snippets, When};
use super::filters;
use super::shell::Shell;

/// `GET /keys?q=&before=`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/index.html")]
pub struct Index {
    pub shell: Shell,
    pub keys: Vec<KeyRow>,
    pub search: String,
    pub pager: Pager,
}

/// A key in the list.
#[derive(Clone, Debug, Default)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    /// Such as `fb-v1-ab12…wxyz`.
    pub masked: String,
    /// The activity page filtered by this key.
    pub activity_href: String,
    /// What was used of its limit; `None` without one.
    pub meter: Option<Meter>,
    /// What it has spent, shown where there is no limit.
    pub used: Amount,
    pub last_used: Option<When>,
    pub maker: String,
    /// The day, shown with the time below it.
    pub expires: Option<When>,
    /// Such as `14:03 UTC`.
    pub expires_time: String,
    pub state: Badge,
    /// False when a person has disabled it.
    pub enabled: bool,
}

/// `GET /keys/new`, and `POST /keys` with mistakes. Fields: `id`, `name`, `limit`, `reset`, `expires`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/new.html")]
pub struct New {
    pub shell: Shell,
    /// The id that the key will have, so that the same form sent twice makes one key.
    pub form_id: String,
    pub name: Field,
    /// US dollars; empty for none.
    pub limit: Field,
    /// Values `never`, `daily`, `weekly`, `monthly`.
    pub resets: Vec<Choice>,
    /// Values of the handler's own choosing, such as `never`, `7d`, `30d`.
    pub expiries: Vec<Choice>,
}

/// The answer to `POST /keys`: the only time that the key is shown.
#[derive(Clone, Template)]
#[template(path = "keys/issued.html")]
pub struct Issued {
    pub shell: Shell,
    /// The whole key. It must not reach a log.
    pub key: String,
    pub name: String,
    /// Such as `$2.00`, or `No limit of its own`.
    pub limit: String,
    /// Such as `Never` or `Mondays, 00:00 UTC`.
    pub reset: String,
    pub expires: String,
    pub base_url: String,
    pub snippets: Snippets,
}

/// `GET /keys/{id}/delete`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/confirm_delete.html")]
pub struct ConfirmDelete {
    pub shell: Shell,
    pub id: String,
    pub name: String,
    pub masked: String,
    pub used: Amount,
    pub last_used: Option<When>,
    /// True when disabling is still possible instead.
    pub enabled: bool,
}
