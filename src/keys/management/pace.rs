//! How often one process answers one program.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::Clock as _;
use governor::clock::DefaultClock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::base::Secret;
use crate::base::ids::KeyId;

/// Requests that a provisioning key may make in a minute to each process, unless the operator says otherwise. More than
/// any script needs, and far less than what would slow calls down.
pub const DEFAULT_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).expect("not zero");
/// Codes that one network address may try to exchange in a minute.
const EXCHANGES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
/// When so many keys or addresses are remembered, those that have been quiet are forgotten.
const MAX_REMEMBERED: usize = 10_000;

/// What the management API shares in one process.
#[derive(Clone)]
pub struct Management(Arc<Inner>);

struct Inner {
    answers: Secret<[u8; 32]>,
    by_key: DefaultKeyedRateLimiter<KeyId>,
    by_address: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl Management {
    /// `answers` seals first answers that are kept for a repetition.
    #[must_use]
    pub fn new(answers: Secret<[u8; 32]>, per_minute: NonZeroU32) -> Management {
        Management(Arc::new(Inner {
            answers,
            by_key: RateLimiter::keyed(Quota::per_minute(per_minute)),
            by_address: RateLimiter::keyed(Quota::per_minute(EXCHANGES_PER_MINUTE)),
            clock: DefaultClock::default(),
        }))
    }

    pub(super) fn answers(&self) -> &Secret<[u8; 32]> {
        &self.0.answers
    }

    /// # Errors
    /// The seconds until the next request may be made.
    pub(super) fn admit_key(&self, key: KeyId) -> Result<(), u32> {
        self.admit(&self.0.by_key, &key)
    }

    /// # Errors
    /// The seconds until the next try may be made.
    pub(super) fn admit_address(&self, ip: &str) -> Result<(), u32> {
        self.admit(&self.0.by_address, &ip.to_owned())
    }

    fn admit<K: Clone + Eq + std::hash::Hash>(&self, pace: &DefaultKeyedRateLimiter<K>, who: &K) -> Result<(), u32> {
        if pace.len() > MAX_REMEMBERED {
            pace.retain_recent();
        }
        pace.check_key(who).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.0.clock.now()).as_secs();
            u32::try_from(wait + 1).unwrap_or(u32::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_program_that_runs_wild_does_not_stop_another() {
        let few = NonZeroU32::new(3).expect("not zero");
        let management = Management::new(Secret::new([0; 32]), few);
        let (wild, calm) = (KeyId::fresh(), KeyId::fresh());
        let admitted = (0..10).filter(|_| management.admit_key(wild).is_ok()).count();
        assert_eq!(admitted, 3);
        assert!(management.admit_key(wild).is_err_and(|seconds| (1..=21).contains(&seconds)));
        assert!(management.admit_key(calm).is_ok());
    }
}
