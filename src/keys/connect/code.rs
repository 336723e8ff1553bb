//! A code, and the key that it will be exchanged for.

use chrono::{DateTime, TimeDelta, Utc};

use super::callback::Callback;
use super::challenge::Challenge;
use crate::base::Secret;
use crate::base::ids::{AuthCodeId, KeyId, PersonId};
use crate::base::secret::random_token;
use crate::keys::key::KeyName;
use crate::ledger::Limits;

/// How long a code can be exchanged.
pub const LIFETIME_MINUTES: i64 = 10;
pub(super) const LIFETIME: TimeDelta = TimeDelta::minutes(LIFETIME_MINUTES);

/// What the key is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    pub name: KeyName,
    pub limits: Limits,
    pub expires_at: Option<DateTime<Utc>>,
}

/// A code that is about to be stored.
pub struct NewCode<'a> {
    pub id: AuthCodeId,
    /// Whose key it will be.
    pub person: Option<PersonId>,
    /// The provisioning key that asked for it; `None` where a person consented.
    pub issued_by: Option<KeyId>,
    /// `None` where the code is shown, to be typed into the app.
    pub callback: Option<&'a Callback>,
    pub challenge: &'a Challenge,
    pub terms: &'a Terms,
}

/// A code at the one moment when it is known.
#[derive(Debug)]
pub struct AuthCode(Secret<String>);

impl AuthCode {
    #[must_use]
    pub fn fresh() -> AuthCode {
        AuthCode(random_token())
    }

    /// For the one answer or address that carries it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose()
    }
}
