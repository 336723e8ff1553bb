//! Who holds an inference key: the proof that a gateway call is authentic.

use chrono::{DateTime, Utc};

use super::key::Powers;
use super::rules::Rules;
use crate::base::ids::{KeyId, MeterId, OrgId, PersonId};

/// An authenticated API key and what it stands for.
#[derive(Clone, Debug)]
pub struct Caller {
    pub org: OrgId,
    pub key: KeyId,
    pub key_name: String,
    /// `sk-fb-v1-abcd…wxyz`
    pub key_label: String,
    pub created_by: Option<PersonId>,
    /// The key's own meter, its maker's member meter, its issuing provisioning key's meter.
    pub meters: Vec<MeterId>,
    /// SHA-256 of the key in hex; what the API calls `hash`.
    pub hash: String,
    pub provisioning: bool,
    pub powers: Powers,
    /// When this secret ends: with the key, or before it where another has taken its place.
    pub expires_at: Option<DateTime<Utc>>,
    pub rules: Rules,
}
