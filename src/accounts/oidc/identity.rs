//! An account elsewhere that belongs to a person here.

use chrono::{DateTime, Utc};

use crate::base::ids::{IdentityId, PersonId};

#[derive(Clone)]
pub struct Identity {
    pub id: IdentityId,
    pub person: PersonId,
    pub issuer: String,
    /// As the provider told it when it was linked; empty when it told none.
    pub email: String,
    pub linked_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} at {})", self.id, self.issuer)
    }
}
