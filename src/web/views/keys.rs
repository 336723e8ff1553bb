//! API keys, for the members who have them.

use askama::Template;

use super::common::{Amount, Badge, Choice, Fact, Field, Link, Meter, Pager, Snippets, When};
use super::filters;
use super::shell::Shell;

/// `GET /keys?q=&show=&sort=&after=`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/index.html")]
pub struct Index {
    pub shell: Shell,
    pub keys: Vec<KeyRow>,
    /// True where there are keys at all, shown or not.
    pub any_keys: bool,
    pub search: String,
    pub shows: Vec<Choice>,
    pub sorts: Vec<Choice>,
    /// True while the search or a filter is on.
    pub filtered: bool,
    pub pager: Pager,
    /// True for those who may stop all keys at once.
    pub may_stop_all: bool,
}

/// A key in the list.
#[derive(Clone, Debug, Default)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    /// Such as `sk-fb-v1-ab12…wxyz`; empty until it is claimed.
    pub masked: String,
    pub href: String,
    /// The activity page filtered by this key.
    pub activity_href: String,
    /// What was used of its tightest limit; `None` without one.
    pub meter: Option<Meter>,
    /// Such as `and 2 more limits`; empty with one or none.
    pub more_limits: String,
    /// What it has spent, shown where there is no limit.
    pub used: Amount,
    /// What its calls came to at provider accounts of the organization's own, in all; `None` where there were none.
    pub own: Option<Amount>,
    pub last_used: Option<When>,
    /// True where nobody used it for 90 days.
    pub idle: bool,
    pub maker: String,
    /// The day, shown with the time below it.
    pub expires: Option<When>,
    /// Such as `14:03 UTC`.
    pub expires_time: String,
    pub state: Badge,
    /// False when a person has disabled it.
    pub enabled: bool,
    /// True while it waits for somebody to claim it: it has no secret to rotate.
    pub unclaimed: bool,
}

/// The fields of a key, in every form that has them. Fields: those of `KeyFields`; `byok` and the choices as they stand.
#[derive(Clone, Debug, Default)]
pub struct KeyFields {
    pub name: Field,
    /// US dollars; empty for none.
    pub total: Field,
    pub day: Field,
    pub week: Field,
    pub month: Field,
    pub expiries: Vec<Choice>,
    pub expires_on: Field,
    /// In which a day begins, such as `Europe/Berlin`.
    pub zone: String,
    pub byok: bool,
    pub models: Field,
    pub networks: Field,
    pub per_minute: Field,
    pub preset: Field,
    /// Whether what is rarely needed is open, because something stands in it.
    pub advanced: bool,
}

impl KeyFields {
    pub(super) fn day_hint(&self) -> String {
        format!("Only for “On a day”: from its beginning in {}.", self.zone)
    }
}

/// `GET /keys/new`, `GET /keys/give`, and their `POST` with mistakes.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/new.html")]
pub struct New {
    pub shell: Shell,
    /// The id that the key will have, so that the same form sent twice makes one key.
    pub form_id: String,
    pub fields: KeyFields,
    /// For how long a link works; empty where the key is shown at once.
    pub links: Vec<Choice>,
}

/// `GET /keys/{id}/edit`, and `POST` with mistakes.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/edit.html")]
pub struct Edit {
    pub shell: Shell,
    pub id: String,
    /// When the key was last changed, sent back as `seen`.
    pub seen: String,
    pub fields: KeyFields,
}

/// The answer to `POST /keys` and to a rotation: the only time that the key is shown.
#[derive(Clone, Template)]
#[template(path = "keys/issued.html")]
pub struct Issued {
    pub shell: Shell,
    /// The whole key. It must not reach a log.
    pub key: String,
    pub name: String,
    /// Lines such as `$1.00 each day`; empty without limits.
    pub limits: Vec<String>,
    pub expires: String,
    /// After a rotation, until when the old key works; empty for a new key.
    pub old_until: String,
    pub done_href: String,
    pub base_url: String,
    pub snippets: Snippets,
}

/// The answer to `POST /keys/give`: the only time that the link is shown.
#[derive(Clone, Template)]
#[template(path = "keys/given.html")]
pub struct Given {
    pub shell: Shell,
    /// The whole link. It must not reach a log.
    pub link: String,
    pub name: String,
    pub limits: Vec<String>,
    pub until: String,
    pub key_href: String,
}

/// What providers billed to the organization's own accounts for the calls of a key.
#[derive(Clone, Debug, Default)]
pub struct OwnSpent {
    pub today: Amount,
    pub week: Amount,
    pub month: Amount,
    pub total: Amount,
}

/// `GET /keys/{id}`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/show.html")]
pub struct Show {
    pub shell: Shell,
    pub id: String,
    pub masked: String,
    pub state: Badge,
    pub enabled: bool,
    pub activity_href: String,
    pub own: Option<OwnSpent>,
    /// A bar for each limit, with what it measures.
    pub limits: Vec<LimitBar>,
    pub today: Amount,
    pub week: Amount,
    pub month: Amount,
    pub total: Amount,
    pub facts: Vec<Fact>,
    pub claim: Option<ClaimState>,
    pub base_url: String,
    pub snippets: Snippets,
    /// For how long another link works.
    pub links: Vec<Choice>,
}

/// A limit and what was used of it.
#[derive(Clone, Debug, Default)]
pub struct LimitBar {
    /// Such as `Each day`.
    pub title: String,
    pub meter: Meter,
}

/// The link of a key that nobody has claimed.
#[derive(Clone, Debug, Default)]
pub struct ClaimState {
    /// False when it was revoked or is too old.
    pub open: bool,
    /// A sentence, such as `The link works until 3 Dec 2026, 14:05 UTC.`
    pub text: String,
}

/// `GET /keys/{id}/rotate`, and the same of a provisioning key. Fields: `seen`, `grace` in hours.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/rotate.html")]
pub struct Rotate {
    pub shell: Shell,
    /// The key's page, below which the form is sent to.
    pub href: String,
    pub seen: String,
    pub masked: String,
    pub last_used: Option<When>,
    /// What else ends with the rotation, such as the key before this one; empty for nothing.
    pub warning: String,
    pub graces: Vec<Choice>,
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

/// `POST /keys/several` with an action that asks first: deleting, and setting limits.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/several.html")]
pub struct Several {
    pub shell: Shell,
    /// Ids and names.
    pub keys: Vec<Link>,
    /// True for deleting, false for setting limits.
    pub delete: bool,
    pub total: Field,
    pub day: Field,
    pub week: Field,
    pub month: Field,
}

/// `GET /keys/stop`: one switch for all keys.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/stop.html")]
pub struct Stop {
    pub shell: Shell,
    /// How many keys there are, such as `12 keys`.
    pub keys: String,
    /// Since when they are stopped, and by whom; `None` while they work.
    pub stopped: Option<String>,
}
