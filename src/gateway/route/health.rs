//! How endpoints did of late.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::catalog::EndpointId;

/// An endpoint that failed is asked last for so long.
const OUTAGE: Duration = Duration::from_secs(30);
/// Speed is measured over this many minutes.
const MINUTES: usize = 5;
const WINDOW_MINUTES: u64 = 5;

/// How endpoints did of late, as seen by this process.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    seen: Mutex<HashMap<EndpointId, Seen>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    failed_at: Option<Instant>,
    minutes: [Minute; MINUTES],
}

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    calls: u64,
    first_token_ms: u64,
    tokens: u64,
    writing_ms: u64,
}

/// Averages over the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Speed {
    pub first_token_ms: u64,
    /// Tokens in a thousand seconds, so that a slow endpoint is still a whole number.
    pub tokens_per_1000s: u64,
}

impl Health {
    #[must_use]
    pub fn new(now: Instant) -> Health {
        Health { started: now, seen: Mutex::default() }
    }

    /// An endpoint did not answer as it should.
    pub fn failed(&self, endpoint: EndpointId, now: Instant) {
        self.with(endpoint, |seen| seen.failed_at = Some(now));
    }

    /// An endpoint answered. `writing_ms` is the time from the first token to the last.
    pub fn answered(&self, endpoint: EndpointId, now: Instant, first_token_ms: u64, writing_ms: u64, tokens: u64) {
        let number = self.minute(now);
        self.with(endpoint, |seen| {
            seen.failed_at = None;
            let slot = usize::try_from(number % WINDOW_MINUTES).unwrap_or(0);
            if let Some(minute) = seen.minutes.get_mut(slot) {
                if minute.number != number {
                    *minute = Minute { number, ..Minute::default() };
                }
                minute.calls += 1;
                minute.first_token_ms += first_token_ms;
                minute.tokens += tokens;
                minute.writing_ms += writing_ms;
            }
        });
    }

    #[must_use]
    pub fn is_well(&self, endpoint: EndpointId, now: Instant) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = seen.get(&endpoint).and_then(|seen| seen.failed_at);
        failed.is_none_or(|failed| now.saturating_duration_since(failed) > OUTAGE)
    }

    /// `None` where nothing was measured in the window.
    #[must_use]
    pub fn speed(&self, endpoint: EndpointId, now: Instant) -> Option<Speed> {
        let newest = self.minute(now);
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint)?;
        let recent =
            seen.minutes.into_iter().filter(|minute| minute.calls > 0 && minute.number + WINDOW_MINUTES > newest);
        let sum = recent.fold(Minute::default(), |sum, minute| Minute {
            number: 0,
            calls: sum.calls + minute.calls,
            first_token_ms: sum.first_token_ms + minute.first_token_ms,
            tokens: sum.tokens + minute.tokens,
            writing_ms: sum.writing_ms + minute.writing_ms,
        });
        (sum.calls > 0).then(|| Speed {
            first_token_ms: sum.first_token_ms / sum.calls,
            tokens_per_1000s: sum.tokens.saturating_mul(1_000_000) / sum.writing_ms.max(1),
        })
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() / 60
    }

    fn with(&self, endpoint: EndpointId, change: impl FnOnce(&mut Seen)) {
        change(self.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(endpoint).or_default());
    }
}
