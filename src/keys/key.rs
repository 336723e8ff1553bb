//! A key as its owner sees it.

use chrono::{DateTime, Utc};

use super::rules::Rules;
use crate::base::Digest;
use crate::base::ids::{KeyId, MeterId, OrgId, PersonId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    Inference,
    Provisioning,
}

impl KeyKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyKind::Inference => "inference",
            KeyKind::Provisioning => "provisioning",
        }
    }

    pub(super) fn parse(text: &str) -> KeyKind {
        if text == KeyKind::Provisioning.as_str() { KeyKind::Provisioning } else { KeyKind::Inference }
    }
}

/// What a key is for. An inference key calls models and manages nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Powers {
    pub call: bool,
    pub manage: bool,
}

impl Powers {
    #[must_use]
    pub const fn of(kind: KeyKind) -> Powers {
        match kind {
            KeyKind::Inference => Powers { call: true, manage: false },
            KeyKind::Provisioning => Powers { call: false, manage: true },
        }
    }
}

/// One to a hundred characters, trimmed, without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyName(String);

/// As long as the label that an app may ask for its key.
pub const MAX_NAME: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs a name of one to a hundred characters")]
pub struct KeyNameError;

impl KeyName {
    /// # Errors
    /// When nothing is left of the text, or too much.
    pub fn parse(text: &str) -> Result<KeyName, KeyNameError> {
        let name = text.trim();
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
            return Err(KeyNameError);
        }
        Ok(KeyName(name.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    Active,
    /// Its secret is made when somebody claims it.
    Unclaimed,
    Disabled,
    Expired,
}

/// A key without its secret. Its limits stand on its meter.
#[derive(Clone, Debug)]
pub struct Key {
    pub org: OrgId,
    pub id: KeyId,
    /// Of its secret; `None` until somebody claims it.
    pub digest: Option<Digest>,
    pub kind: KeyKind,
    pub powers: Powers,
    pub name: String,
    pub label: String,
    pub created_by: Option<PersonId>,
    /// The name of whoever made it.
    pub maker: Option<String>,
    /// The provisioning key that made it.
    pub issued_by: Option<KeyId>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Until when the secret before the last rotation works.
    pub previous_until: Option<DateTime<Utc>>,
    pub rules: Rules,
}

impl Key {
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        if self.disabled_at.is_some() {
            KeyState::Disabled
        } else if self.expires_at.is_some_and(|at| at <= now) {
            KeyState::Expired
        } else if self.digest.is_none() {
            KeyState::Unclaimed
        } else {
            KeyState::Active
        }
    }

    /// SHA-256 of the secret in hex; what the API calls `hash`. Empty until somebody claims the key.
    #[must_use]
    pub fn hash(&self) -> String {
        self.digest.map(|digest| digest.to_hex()).unwrap_or_default()
    }

    /// A key's meter has the key's own number.
    #[must_use]
    pub fn meter(&self) -> MeterId {
        MeterId(self.id.0)
    }
}

#[cfg(test)]
impl Key {
    /// A key that works, by nobody.
    pub fn sample() -> Key {
        Key {
            org: OrgId::fresh(),
            id: KeyId::fresh(),
            digest: Some(Digest::of("a key")),
            kind: KeyKind::Inference,
            powers: Powers::of(KeyKind::Inference),
            name: String::new(),
            label: String::new(),
            created_by: None,
            maker: None,
            issued_by: None,
            disabled_at: None,
            expires_at: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            previous_until: None,
            rules: Rules::default(),
        }
    }
}
