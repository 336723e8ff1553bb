//! Provisioning keys.

use askama::Template;

use super::common::{Amount, Badge, Fact, Meter, Pager, When};
use super::filters;
use super::keys::KeyFields;
use super::shell::Shell;

/// `GET /settings/provisioning?before=`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/provisioning.html")]
pub struct Index {
    pub shell: Shell,
    pub keys: Vec<Row>,
    pub pager: Pager,
}

/// A provisioning key, or a key that one issued.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub href: String,
    /// The activity page filtered by this key.
    pub activity_href: String,
    pub name: String,
    pub masked: String,
    /// Such as `manage keys`.
    pub may: String,
    /// How many keys it has issued that are not deleted.
    pub issued: String,
    /// What was used of its tightest limit; `None` without one.
    pub meter: Option<Meter>,
    pub used: Amount,
    pub last_used: Option<When>,
    pub expires: Option<When>,
    pub state: Badge,
    pub maker: String,
}

/// `GET /settings/provisioning/new`, and the answer to a form with mistakes. Fields: `id`, `may_manage`, `may_call`, and those
/// of every key.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/provisioning_new.html")]
pub struct New {
    pub shell: Shell,
    /// The id that the key will have, so that the same form sent twice makes one key.
    pub form_id: String,
    pub may_manage: bool,
    pub may_call: bool,
    /// Empty when nothing is wrong.
    pub powers_error: String,
    pub fields: KeyFields,
}

/// `GET /settings/provisioning/{key}/edit`, and `POST` with mistakes.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/provisioning_edit.html")]
pub struct Edit {
    pub shell: Shell,
    pub href: String,
    /// When the key was last changed, sent back as `seen`.
    pub seen: String,
    pub fields: KeyFields,
}

/// The answer to `POST /settings/provisioning` and to a rotation: the only time that the key is shown.
#[derive(Clone, Template)]
#[template(path = "keys/provisioning_issued.html")]
pub struct Issued {
    pub shell: Shell,
    /// The whole key. It must not reach a log.
    pub key: String,
    pub name: String,
    pub limit: String,
    pub expires: String,
    /// After a rotation, until when the old key works; empty for a new key.
    pub old_until: String,
    pub href: String,
    pub base_url: String,
}

/// `GET /settings/provisioning/{key}?before=`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/provisioning_show.html")]
pub struct Show {
    pub shell: Shell,
    pub row: Row,
    /// Whoever made it is no owner or admin any more, so it manages nothing.
    pub orphan: bool,
    pub facts: Vec<Fact>,
    /// A bar for each window that has a limit, with its name, such as `each day`.
    pub limits: Vec<(&'static str, Meter)>,
    pub enabled: bool,
    pub issued: Vec<Row>,
    pub pager: Pager,
}

/// `GET /settings/provisioning/{key}/delete`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/provisioning_delete.html")]
pub struct ConfirmDelete {
    pub shell: Shell,
    pub href: String,
    pub name: String,
    pub masked: String,
    /// Keys that would be deleted with it.
    pub issued: i64,
    pub used: Amount,
    /// True when disabling is still possible instead.
    pub enabled: bool,
}
