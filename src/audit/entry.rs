//! An entry, before it is written and as it is read.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::action::Action;
use crate::base::Origin;
use crate::base::ids::{KeyId, OrgId, PersonId};

/// Fields of a change that are dollars, written exactly.
pub const AMOUNTS: &[&str] = &[
    "amount",
    "worth",
    "total",
    "day",
    "week",
    "month",
    "credits",
    "below",
    "cap_day",
    "cap_month",
    "usual",
    "spent",
    "limit_total",
    "limit_day",
    "limit_week",
    "limit_month",
];

/// Whose log an entry stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chain {
    Org(OrgId),
    Person(PersonId),
    House,
}

impl Chain {
    /// The house's chain has the nil UUID, which no organization or person can have.
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Chain::Org(org) => org.0,
            Chain::Person(person) => person.0,
            Chain::House => Uuid::nil(),
        }
    }

    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Chain::Org(_) => "organization",
            Chain::Person(_) => "person",
            Chain::House => "house",
        }
    }
}

/// Who did it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor {
    Person(PersonId),
    /// A program with this key.
    Key(KeyId),
    /// Whoever may run commands on the server.
    Operator,
    /// Farebox itself: a job, a deadline.
    System,
    /// Somebody who has not shown who they are, such as a failed sign-in.
    Nobody,
}

impl Actor {
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Actor::Person(_) => "person",
            Actor::Key(_) => "key",
            Actor::Operator => "operator",
            Actor::System => "system",
            Actor::Nobody => "nobody",
        }
    }

    #[must_use]
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Actor::Person(person) => Some(person.0),
            Actor::Key(key) => Some(key.0),
            Actor::Operator | Actor::System | Actor::Nobody => None,
        }
    }
}

/// What it was done to.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Such as `key`, `person`, `invitation`.
    pub kind: &'static str,
    /// Its id in text form.
    pub id: String,
    /// What people call it. Kept with the personal data.
    pub name: String,
}

impl Target {
    pub fn new(kind: &'static str, id: impl ToString, name: impl Into<String>) -> Target {
        Target { kind, id: id.to_string(), name: name.into() }
    }
}

/// An entry to be written.
#[derive(Clone, Debug)]
pub struct Entry {
    pub chain: Chain,
    pub actor: Actor,
    /// What people call the actor. Kept with the personal data.
    pub actor_name: String,
    pub action: Action,
    pub target: Target,
    pub origin: Origin,
    /// `Null` where there was nothing. No personal data; see [`Entry::note`].
    pub before: Value,
    pub after: Value,
    /// Further personal data, such as the addresses of a changed e-mail. Erased with its person.
    pub note: Value,
}

impl Entry {
    #[must_use]
    pub fn new(chain: Chain, actor: Actor, action: Action, origin: &Origin) -> Entry {
        Entry {
            chain,
            actor,
            actor_name: String::new(),
            action,
            target: Target::default(),
            origin: origin.clone(),
            before: Value::Null,
            after: Value::Null,
            note: Value::Null,
        }
    }

    #[must_use]
    pub fn named(mut self, name: &str) -> Entry {
        name.clone_into(&mut self.actor_name);
        self
    }

    #[must_use]
    pub fn on(mut self, target: Target) -> Entry {
        self.target = target;
        self
    }

    #[must_use]
    pub fn change(mut self, before: Value, after: Value) -> Entry {
        (self.before, self.after) = (before, after);
        self
    }

    #[must_use]
    pub fn note(mut self, note: Value) -> Entry {
        self.note = note;
        self
    }
}

/// The personal part of an entry, as it is stored.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Personal {
    pub actor: String,
    pub target: String,
    pub ip: String,
    pub user_agent: String,
    pub note: Value,
    pub salt: String,
}

/// An entry as it stands in the log.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub chain: Uuid,
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    /// Its stored code; [`Action::parse`] gives the label.
    pub action: String,
    pub target_kind: String,
    pub target_id: String,
    pub before: String,
    pub after: String,
    pub personal: Option<String>,
    pub personal_digest: Vec<u8>,
    pub digest: Vec<u8>,
}

impl Recorded {
    /// The personal part; empty when it was erased.
    #[must_use]
    pub fn personal(&self) -> Personal {
        self.personal.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The digest that this entry must carry behind `previous`. Every part is preceded by its length, so that no two
    /// different entries are the same bytes.
    #[must_use]
    pub fn digest_after(&self, previous: &[u8]) -> Vec<u8> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(previous);
        part(self.chain.as_bytes());
        part(&self.seq.to_be_bytes());
        part(&self.at.timestamp_micros().to_be_bytes());
        part(self.actor_kind.as_bytes());
        part(self.actor_id.map(|id| *id.as_bytes()).as_ref().map_or(&[][..], |id| id));
        for text in [&self.action, &self.target_kind, &self.target_id, &self.before, &self.after] {
            part(text.as_bytes());
        }
        part(&self.personal_digest);
        hash.finalize().to_vec()
    }
}
