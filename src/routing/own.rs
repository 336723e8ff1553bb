//! Keys that an organization brings itself, as routing sees them.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::base::ids::{KeyId, PersonId};
use crate::base::{Secret, Usd};

/// When a key of one's own is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Before the operator's accounts.
    #[default]
    First,
    /// After everybody on the operator's accounts.
    Fallback,
    /// It alone: the operator's account at this provider is never used.
    Only,
}

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::First, Mode::Fallback, Mode::Only];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::First => "first",
            Mode::Fallback => "fallback",
            Mode::Only => "only",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// What the operator asks for a call on somebody's own account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Fee {
    /// The part of the list price: 0.05 is five percent.
    pub rate: Decimal,
    /// The list price of a calendar month up to which it costs nothing. US dollars.
    pub allowance: Usd,
}

/// A key of the organization's own for one provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnKey {
    /// The provider's slug.
    pub provider: String,
    pub mode: Mode,
    /// `None`: all. Ids of models.
    pub models: Option<Vec<String>>,
    pub keys: Option<Vec<KeyId>>,
    pub members: Option<Vec<PersonId>>,
    /// Scheme, host and port that it may be sent to.
    pub origin: String,
    /// `None` for one that cannot be opened: it is not used, and what it forbids stays forbidden.
    pub secret: Option<Arc<Secret<String>>>,
    pub fee: Fee,
}

impl OwnKey {
    /// Whether calls of this key and member may use it.
    #[must_use]
    pub fn is_for(&self, key: KeyId, member: Option<PersonId>) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.contains(&key))
            && self.members.as_ref().is_none_or(|members| member.is_some_and(|member| members.contains(&member)))
    }

    /// Whether calls to this model may use it.
    #[must_use]
    pub fn has(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|one| one == model))
    }

    /// Whether it may be sent to this address.
    #[must_use]
    pub fn may_be_sent_to(&self, base_url: Option<&str>) -> bool {
        self.secret.is_some() && base_url.and_then(origin_of).is_some_and(|origin| origin == self.origin)
    }
}

/// Scheme, host and port of an address.
#[must_use]
pub fn origin_of(base_url: &str) -> Option<String> {
    let url = url::Url::parse(base_url).ok()?;
    url.host_str()?;
    Some(url.origin().ascii_serialization())
}

/// The keys of an organization, and which of them a call may use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Own {
    /// Those that this caller may use.
    pub usable: Vec<Arc<OwnKey>>,
    /// Providers whose account of the operator is never used, whoever calls.
    pub alone: Vec<String>,
}

impl Own {
    #[must_use]
    pub fn new(keys: Vec<OwnKey>) -> Own {
        let alone = keys.iter().filter(|key| key.mode == Mode::Only).map(|key| key.provider.clone()).collect();
        Own { usable: keys.into_iter().map(Arc::new).collect(), alone }
    }

    /// Leaves those out that this key and member may not use.
    pub fn narrow(&mut self, key: KeyId, member: Option<PersonId>) {
        self.usable.retain(|own| own.is_for(key, member));
    }

    /// Leaves those out that somebody may not use with a key that none of them is limited to: for the chat room, and for
    /// pages that say what would become of a call.
    pub fn narrow_to_member(&mut self, member: PersonId) {
        let may = |own: &Arc<OwnKey>| own.members.as_ref().is_none_or(|members| members.contains(&member));
        self.usable.retain(|own| own.keys.is_none() && may(own));
    }

    /// The one for an endpoint at this provider.
    pub(super) fn of(&self, provider: &str, model: &str, base_url: Option<&str>) -> Option<&Arc<OwnKey>> {
        let fits = |own: &&Arc<OwnKey>| own.provider == provider && own.has(model) && own.may_be_sent_to(base_url);
        self.usable.iter().find(fits)
    }

    pub(super) fn is_alone(&self, provider: &str) -> bool {
        self.alone.iter().any(|one| one == provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sent_to_the_host_it_was_given_for() {
        let own = OwnKey {
            provider: "a".into(),
            mode: Mode::First,
            models: None,
            keys: None,
            members: None,
            origin: origin_of("https://api.a.example/v1").unwrap_or_default(),
            secret: Some(Arc::new(Secret::new("sk".to_owned()))),
            fee: Fee::default(),
        };
        for address in ["https://api.a.example", "https://api.a.example:443/v2/", "https://API.A.example/v1"] {
            assert!(own.may_be_sent_to(Some(address)), "{address}");
        }
        for address in [
            "https://api.a.example.evil.example/v1",
            "http://api.a.example/v1",
            "https://api.a.example:8443/v1",
            "https://evil.example/https://api.a.example/v1",
            "https://api.a.example@evil.example/v1",
            "not an address",
        ] {
            assert!(!own.may_be_sent_to(Some(address)), "{address}");
        }
        assert!(!own.may_be_sent_to(None));
    }
}
