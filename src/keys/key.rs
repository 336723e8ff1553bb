//! A key as its owner sees it.

use chrono::{DateTime, Utc};

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
}

/// One to eighty characters, trimmed, without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyName(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs a name of one to eighty characters")]
pub struct KeyNameError;

impl KeyName {
    /// # Errors
    /// When nothing is left of the text, or too much.
    pub fn parse(text: &str) -> Result<KeyName, KeyNameError> {
        let name = text.trim();
        let length = name.chars().count();
        if length == 0 || length > 80 || name.chars().any(char::is_control) {
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
    Disabled,
    Expired,
}

/// A key without its secret.
#[derive(Clone, Debug)]
pub struct Key {
    pub org: OrgId,
    pub id: KeyId,
    pub digest: Vec<u8>,
    pub kind: String,
    pub name: String,
    pub label: String,
    pub created_by: Option<PersonId>,
    pub maker: Option<String>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

impl Key {
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        if self.disabled_at.is_some() {
            KeyState::Disabled
        } else if self.expires_at.is_some_and(|at| at <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// A key's meter has the key's own number.
    #[must_use]
    pub fn meter(&self) -> MeterId {
        MeterId(self.id.0)
    }
}
