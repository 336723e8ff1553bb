//! What a provisioning key may hand on: never more than it may do itself.

use chrono::{DateTime, Utc};

use super::key::Key;
use super::rules::{Models, PerMinute};

/// The parts of a key that whatever it issues lies within. Its limit is no part of this: each call of an issued key goes
/// through the meter of the key that issued it, whatever limits stand on it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Scope {
    pub expires_at: Option<DateTime<Utc>>,
    pub models: Option<Models>,
    pub per_minute: Option<PerMinute>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("`expires_at` must lie in the future.")]
    Past,
    #[error("A key must not end later than the provisioning key that issues it: {}.", .0.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))]
    Ends(DateTime<Utc>),
    #[error("The provisioning key is not allowed {0}, so no key that it issues is.")]
    Model(String),
    #[error("The provisioning key issues keys of at most {0} requests per minute.")]
    PerMinute(u32),
}

impl Scope {
    #[must_use]
    pub fn of(key: &Key) -> Scope {
        Scope { expires_at: key.expires_at, models: key.rules.models.clone(), per_minute: key.rules.per_minute }
    }

    /// What becomes of a wish under this scope: what was not asked for is as it is here.
    ///
    /// # Errors
    /// Says what goes beyond it.
    pub fn narrow(&self, asked: Scope, now: DateTime<Utc>) -> Result<Scope, ScopeError> {
        if asked.expires_at.is_some_and(|at| at <= now) {
            return Err(ScopeError::Past);
        }
        if let (Some(at), Some(end)) = (asked.expires_at, self.expires_at)
            && at > end
        {
            return Err(ScopeError::Ends(end));
        }
        if let (Some(models), Some(own)) = (&asked.models, &self.models)
            && let Some(beyond) = models.iter().find(|model| !own.allow(model))
        {
            return Err(ScopeError::Model(beyond.to_owned()));
        }
        if let (Some(calls), Some(own)) = (asked.per_minute, self.per_minute)
            && calls > own
        {
            return Err(ScopeError::PerMinute(own.get()));
        }
        Ok(Scope {
            expires_at: asked.expires_at.or(self.expires_at),
            models: asked.models.or_else(|| self.models.clone()),
            per_minute: asked.per_minute.or(self.per_minute),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::super::rules::MAX_PER_MINUTE;
    use super::*;

    impl Scope {
        /// Whether nothing of this goes beyond `other`.
        fn is_within(&self, other: &Scope) -> bool {
            let ends = other.expires_at.is_none_or(|end| self.expires_at.is_some_and(|at| at <= end));
            let models = other.models.as_ref().is_none_or(|allowed| {
                self.models.as_ref().is_some_and(|models| models.iter().all(|model| allowed.allow(model)))
            });
            let most = |scope: &Scope| scope.per_minute.map_or(MAX_PER_MINUTE + 1, PerMinute::get);
            ends && models && most(self) <= most(other)
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(10)
    }

    fn scopes() -> impl Strategy<Value = Scope> {
        let ends =
            prop::option::of(0i64..20).prop_map(|day| day.map(|day| DateTime::UNIX_EPOCH + TimeDelta::days(day)));
        let names = prop::collection::vec(prop::sample::select(vec!["a/a", "a/b", "b/a", "b/b"]), 0..4);
        let models = names.prop_map(|names| Models::parse(names).expect("models"));
        let calls =
            prop::option::of(1u32..50).prop_map(|calls| calls.map(|calls| PerMinute::new(calls).expect("calls")));
        (ends, models, calls).prop_map(|(expires_at, models, per_minute)| Scope { expires_at, models, per_minute })
    }

    proptest! {
        #[test]
        fn what_is_issued_is_a_subset_however_often_it_is_handed_on(own in scopes(), asked in prop::collection::vec(scopes(), 1..4)) {
            let mut last = own.clone();
            for wish in asked {
                match last.narrow(wish.clone(), now()) {
                    Ok(given) => {
                        prop_assert!(given.is_within(&last) && given.is_within(&own), "{given:?} of {last:?}");
                        prop_assert!(wish.expires_at.is_none() || given.expires_at == wish.expires_at);
                        prop_assert!(wish.models.is_none() || given.models == wish.models, "nothing is narrowed in silence");
                        last = given;
                    }
                    Err(ScopeError::Past) => prop_assert!(wish.expires_at.is_some_and(|at| at <= now())),
                    Err(ScopeError::Ends(end)) => prop_assert!(wish.expires_at > Some(end) && last.expires_at == Some(end)),
                    Err(ScopeError::Model(name)) => prop_assert!(last.models.as_ref().is_some_and(|models| !models.allow(&name))),
                    Err(ScopeError::PerMinute(most)) => prop_assert!(wish.per_minute.is_some_and(|calls| calls.get() > most)),
                }
            }
        }

        #[test]
        fn what_lies_within_and_ahead_is_given_as_asked(own in scopes(), asked in scopes()) {
            let ahead = asked.expires_at.is_none_or(|at| at > now());
            if asked.is_within(&own) && ahead {
                prop_assert_eq!(own.narrow(asked.clone(), now()), Ok(asked));
            }
        }
    }
}
