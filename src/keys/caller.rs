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
    /// The provisioning key that issued it. What becomes of that one, becomes of this one.
    pub issued_by: Option<KeyId>,
    pub powers: Powers,
    /// When this secret ends: with the key, or before it where another has taken its place.
    pub expires_at: Option<DateTime<Utc>>,
    pub rules: Rules,
}

/// Whose limit one of a caller's meters holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Key,
    /// The provisioning key that issued the key.
    Issuer,
    /// The member whose key it is.
    Member,
}

impl Caller {
    #[must_use]
    pub fn whose(&self, meter: MeterId) -> Whose {
        if meter.0 == self.key.0 {
            Whose::Key
        } else if self.issued_by.is_some_and(|issuer| issuer.0 == meter.0) {
            Whose::Issuer
        } else {
            Whose::Member
        }
    }
}
