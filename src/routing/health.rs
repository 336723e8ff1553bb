//! How endpoints did of late.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::record::{Recent, Record};
use crate::catalog::EndpointId;

/// An endpoint that failed is asked last for so long.
const OUTAGE: Duration = Duration::from_secs(30);
/// Speed is measured over this many minutes.
const MINUTES: usize = 5;
const WINDOW_MINUTES: u64 = 5;

/// How endpoints did of late, as seen by this process. Clones look at the same memory.
#[derive(Clone, Debug)]
pub struct Health(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    started: Instant,
    record: Record,
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
    begun: u64,
    first_token_ms: u64,
    tokens: u64,
    writing_ms: u64,
}

/// An answer, as far as its speed could be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Took {
    /// `None` for an answer in one piece, which does not show when it began.
    pub first_token_ms: Option<u64>,
    /// From the first token to the last; for an answer in one piece all of it.
    pub writing_ms: u64,
    pub tokens: u64,
}

/// Averages over the window; `None` where nothing was measured in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Speed {
    pub first_token_ms: Option<u64>,
    /// Tokens in a thousand seconds, so that a slow endpoint is still a whole number.
    pub tokens_per_1000s: Option<u64>,
}

impl Health {
    #[must_use]
    pub fn new(now: Instant) -> Health {
        Health(Arc::new(Memory { started: now, record: Record::new(now), seen: Mutex::default() }))
    }

    /// An endpoint did not answer as it should.
    pub fn failed(&self, endpoint: EndpointId, now: Instant) {
        self.0.record.failed(endpoint, now);
        self.with(endpoint, |seen| seen.failed_at = Some(now));
    }

    /// An endpoint answered.
    pub fn answered(&self, endpoint: EndpointId, now: Instant, took: Took) {
        self.0.record.answered(endpoint, now, took);
        let number = self.minute(now);
        self.with(endpoint, |seen| {
            seen.failed_at = None;
            let slot = usize::try_from(number % WINDOW_MINUTES).unwrap_or(0);
            if let Some(minute) = seen.minutes.get_mut(slot) {
                if minute.number != number {
                    *minute = Minute { number, ..Minute::default() };
                }
                if let Some(first) = took.first_token_ms {
                    minute.begun += 1;
                    minute.first_token_ms += first;
                }
                if took.tokens > 0 {
                    minute.tokens += took.tokens;
                    minute.writing_ms += took.writing_ms.max(1);
                }
            }
        });
    }

    #[must_use]
    pub fn is_well(&self, endpoint: EndpointId, now: Instant) -> bool {
        let seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = seen.get(&endpoint).and_then(|seen| seen.failed_at);
        failed.is_none_or(|failed| now.saturating_duration_since(failed) > OUTAGE)
    }

    /// `None` where nothing was measured in the window.
    #[must_use]
    pub fn speed(&self, endpoint: EndpointId, now: Instant) -> Option<Speed> {
        let newest = self.minute(now);
        let seen = *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint)?;
        let recent = seen.minutes.into_iter().filter(|minute| minute.number + WINDOW_MINUTES > newest);
        let sum = recent.fold(Minute::default(), |sum, minute| Minute {
            number: 0,
            begun: sum.begun + minute.begun,
            first_token_ms: sum.first_token_ms + minute.first_token_ms,
            tokens: sum.tokens + minute.tokens,
            writing_ms: sum.writing_ms + minute.writing_ms,
        });
        let speed = Speed {
            first_token_ms: sum.first_token_ms.checked_div(sum.begun),
            tokens_per_1000s: sum.tokens.saturating_mul(1_000_000).checked_div(sum.writing_ms),
        };
        (speed != Speed::default()).then_some(speed)
    }

    /// Uptime and speed over longer than what decides who is asked.
    #[must_use]
    pub fn recent(&self, endpoint: EndpointId, now: Instant) -> Recent {
        self.0.record.of(endpoint, now)
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.0.started).as_secs() / 60
    }

    fn with(&self, endpoint: EndpointId, change: impl FnOnce(&mut Seen)) {
        change(self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(endpoint).or_default());
    }
}
