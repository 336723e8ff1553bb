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
    /// The key's own meter, its issuing provisioning key's meter, its maker's member meter, and that of whoever made the
    /// provisioning key.
    pub meters: Vec<MeterId>,
    /// SHA-256 of the key in hex; what the API calls `hash`.
    pub hash: String,
    pub provisioning: bool,
    /// The provisioning key that issued it. What becomes of that one, becomes of this one.
    pub issued_by: Option<KeyId>,
    /// The meter of the member who made that provisioning key, where the key is another member's.
    pub issuers_member: Option<MeterId>,
    /// Somebody else holds it: it was given away by a link, an app got it, or a program issued it.
    pub handed_on: bool,
    /// Managing ends for a key whose maker is no owner or admin any more.
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
    /// The member who made the provisioning key that issued the key.
    IssuersMember,
}

impl Caller {
    #[must_use]
    pub fn whose(&self, meter: MeterId) -> Whose {
        if meter.0 == self.key.0 {
            Whose::Key
        } else if self.issued_by.is_some_and(|issuer| issuer.0 == meter.0) {
            Whose::Issuer
        } else if self.issuers_member == Some(meter) {
            Whose::IssuersMember
        } else {
            Whose::Member
        }
    }
}
