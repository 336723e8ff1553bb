//! What an organization lets its calls be answered by, whatever a call says.

use super::{Own, Preferences, Sort};

/// The default lets everybody answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Providers, by slug. Empty: all.
    pub allowed: Vec<String>,
    /// Whether a call that names `only` stays within `allowed`, or replaces it.
    pub enforced: bool,
    /// Providers, by slug, that are never asked.
    pub ignored: Vec<String>,
    /// Where the call does not say.
    pub sort: Option<Sort>,
    pub privacy: Privacy,
    /// Provider accounts of the organization's own.
    pub own: Own,
}

/// What may become of what an organization sends. The default forbids nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Privacy {
    /// Nobody that may train on inputs, for models that cost something.
    pub no_paid_training: bool,
    /// The same for free ones.
    pub no_free_training: bool,
    /// Nobody that keeps what it is sent.
    pub zero_retention: bool,
}

impl Policy {
    /// Whether `allowed` counts for a call with these conditions.
    #[must_use]
    pub fn limits(&self, preferences: &Preferences) -> bool {
        !self.allowed.is_empty() && (self.enforced || preferences.only.is_empty())
    }
}
