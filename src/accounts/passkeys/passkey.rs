//! A passkey, as its owner sees it.

use chrono::{DateTime, Utc};

use crate::base::ids::PasskeyId;

/// As many as a person may have; a page shows them all.
pub const MAX_PASSKEYS: usize = 20;
const MAX_NAME: usize = 60;

#[derive(Clone, Debug)]
pub struct KnownPasskey {
    pub id: PasskeyId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A name as it was typed, or a plain one.
#[must_use]
pub fn clean_name(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    let text = text.trim();
    if text.is_empty() { "Passkey".to_owned() } else { text.to_owned() }
}
