//! A stored key, as pages and rules see it.

use chrono::{DateTime, Utc};

use crate::base::ids::{KeyId, OrgId, PersonId, ProviderKeyId};
use crate::routing::Mode;

/// Models, keys and members that one key may be limited to, each.
pub const MAX_LIMITS: usize = 200;

/// Everything but the key itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderKey {
    pub id: ProviderKeyId,
    /// The provider's slug.
    pub provider: String,
    pub name: String,
    /// The key with its middle left out.
    pub label: String,
    /// Scheme, host and port that it may be sent to.
    pub origin: String,
    pub mode: Mode,
    /// `None`: all.
    pub models: Option<Vec<String>>,
    pub keys: Option<Vec<KeyId>>,
    pub members: Option<Vec<PersonId>>,
    pub tested_at: Option<DateTime<Utc>>,
    /// Why the last test failed; empty when it went well.
    pub test_result: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// For what a key is sealed.
pub(super) fn purpose(org: OrgId, provider: &str, origin: &str) -> String {
    format!("key of {org} for {provider} at {origin}")
}
