//! How endpoints did of late.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::counts::{Count, Counted, step};
use super::preferences::Cutoff;
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
    seen: Mutex<HashMap<EndpointId, Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    failed_at: Option<Instant>,
    minutes: [Minute; MINUTES],
    /// What nobody has written down yet: sums, and counts of calls.
    fresh: Measured,
    counts: BTreeMap<(Counted, u16), u64>,
}

impl Seen {
    /// The minutes of the window that ends with `newest`.
    fn recent(&self, newest: u64) -> impl Iterator<Item = &Minute> {
        self.minutes.iter().filter(move |minute| minute.number + WINDOW_MINUTES > newest)
    }

    fn count(&mut self, of: Counted, step: u16) {
        *self.counts.entry((of, step)).or_default() += 1;
    }
}

/// What was seen of one endpoint since the last time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fresh {
    pub endpoint: EndpointId,
    pub sums: Measured,
    /// Each at most once, in one order.
    pub counts: Vec<Count>,
}

/// What an endpoint did in some time, in sums that add up over processes and hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measured {
    pub answered: u64,
    pub failed: u64,
    /// Answers that showed when they began, and how long that took for all of them.
    pub begun: u64,
    pub first_token_ms: u64,
    /// What was written, and how long that took.
    pub tokens: u64,
    pub writing_ms: u64,
}

impl Measured {
    fn add(&mut self, other: Measured) {
        self.answered = self.answered.saturating_add(other.answered);
        self.failed = self.failed.saturating_add(other.failed);
        self.begun = self.begun.saturating_add(other.begun);
        self.first_token_ms = self.first_token_ms.saturating_add(other.first_token_ms);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.writing_ms = self.writing_ms.saturating_add(other.writing_ms);
    }

    /// Of a thousand tries, those that were answered, rounded down; `None` where nothing was tried.
    #[must_use]
    pub fn answered_of_1000(&self) -> Option<u64> {
        (self.answered.saturating_mul(1_000)).checked_div(self.answered.saturating_add(self.failed))
    }

    #[must_use]
    pub fn speed(&self) -> Speed {
        Speed {
            first_token_ms: self.first_token_ms.checked_div(self.begun),
            tokens_per_1000s: self.tokens.saturating_mul(1_000_000).checked_div(self.writing_ms),
        }
    }
}

#[derive(Debug, Default)]
struct Minute {
    number: u64,
    sums: Measured,
    /// How many answers took how long to begin, and were how fast, by steps.
    begun: BTreeMap<u16, u64>,
    speeds: BTreeMap<u16, u64>,
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

impl Took {
    fn measured(self) -> Measured {
        Measured {
            answered: 1,
            failed: 0,
            begun: u64::from(self.first_token_ms.is_some()),
            first_token_ms: self.first_token_ms.unwrap_or(0),
            tokens: self.tokens,
            writing_ms: if self.tokens > 0 { self.writing_ms.max(1) } else { 0 },
        }
    }
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
        Health(Arc::new(Memory { started: now, seen: Mutex::default() }))
    }

    /// An endpoint did not answer as it should.
    pub fn failed(&self, endpoint: EndpointId, now: Instant) {
        self.with(endpoint, |seen| {
            seen.failed_at = Some(now);
            seen.fresh.failed += 1;
            seen.count(Counted::Failed, 0);
        });
    }

    /// An endpoint answered.
    pub fn answered(&self, endpoint: EndpointId, now: Instant, took: Took) {
        let number = self.minute(now);
        self.with(endpoint, |seen| {
            seen.failed_at = None;
            seen.fresh.add(took.measured());
            seen.count(Counted::Answered, 0);
            let begun = took.first_token_ms.map(step);
            let speed = (took.tokens > 0).then(|| step(took.tokens.saturating_mul(1_000_000) / took.writing_ms.max(1)));
            for (of, step) in [(Counted::FirstToken, begun), (Counted::Speed, speed)] {
                if let Some(step) = step {
                    seen.count(of, step);
                }
            }
            let slot = usize::try_from(number % WINDOW_MINUTES).unwrap_or(0);
            if let Some(minute) = seen.minutes.get_mut(slot) {
                if minute.number != number {
                    *minute = Minute { number, ..Minute::default() };
                }
                minute.sums.add(took.measured());
                for (counts, step) in [(&mut minute.begun, begun), (&mut minute.speeds, speed)] {
                    if let Some(step) = step {
                        *counts.entry(step).or_default() += 1;
                    }
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
        let seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = Measured::default();
        for minute in seen.get(&endpoint)?.recent(newest) {
            sums.add(minute.sums);
        }
        Some(sums.speed()).filter(|speed| *speed != Speed::default())
    }

    /// Whether enough of the answers in the window began in time and were written fast enough, as far as is known: who was
    /// not measured is not slow. To within a sixteenth, as all counts.
    #[must_use]
    pub fn is_fast_enough(
        &self,
        endpoint: EndpointId,
        now: Instant,
        min_throughput: &[Cutoff],
        max_latency: &[Cutoff],
    ) -> bool {
        let newest = self.minute(now);
        let all = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = all.get(&endpoint) else { return true };
        let enough = |cutoff: &Cutoff, counts: fn(&Minute) -> &BTreeMap<u16, u64>, good: fn(u16, u16) -> bool| {
            let counted = || seen.recent(newest).flat_map(counts);
            let all: u64 = counted().map(|(_, calls)| calls).sum();
            let well = counted().filter(|(seen, _)| good(**seen, step(cutoff.at)));
            well.map(|(_, calls)| calls).sum::<u64>() * 100 >= all * cutoff.of_100
        };
        min_throughput.iter().all(|cutoff| enough(cutoff, |minute| &minute.speeds, |seen, wanted| seen >= wanted))
            && max_latency.iter().all(|cutoff| enough(cutoff, |minute| &minute.begun, |seen, wanted| seen <= wanted))
    }

    /// Whether there is anything to take.
    #[must_use]
    pub fn has_fresh(&self) -> bool {
        let seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.values().any(|seen| !seen.counts.is_empty())
    }

    /// Takes what was measured since the last time, for whoever writes it down; endpoints in a fixed order.
    #[must_use]
    pub fn take_fresh(&self) -> Vec<Fresh> {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = seen.iter_mut().map(|(endpoint, seen)| {
            let counts = std::mem::take(&mut seen.counts).into_iter();
            let counts = counts.map(|((of, step), calls)| Count { of, step, calls }).collect();
            Fresh { endpoint: *endpoint, sums: std::mem::take(&mut seen.fresh), counts }
        });
        let mut taken: Vec<_> = taken.filter(|fresh| !fresh.counts.is_empty()).collect();
        taken.sort_unstable_by_key(|fresh| fresh.endpoint);
        taken
    }

    /// Gives back what could not be written down.
    pub fn put_back(&self, taken: &[Fresh]) {
        for fresh in taken {
            self.with(fresh.endpoint, |seen| {
                seen.fresh.add(fresh.sums);
                for count in &fresh.counts {
                    *seen.counts.entry((count.of, count.step)).or_default() += count.calls;
                }
            });
        }
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.0.started).as_secs() / 60
    }

    fn with(&self, endpoint: EndpointId, change: impl FnOnce(&mut Seen)) {
        change(self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(endpoint).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_numbers_end_at_the_greatest_one() {
        let (now, endpoint) = (Instant::now(), EndpointId(uuid::Uuid::nil()));
        let health = Health::new(now);
        for _ in 0..2 {
            health.answered(endpoint, now, Took { first_token_ms: None, writing_ms: 1, tokens: u64::MAX });
        }
        let taken = health.take_fresh();
        health.answered(endpoint, now, Took { first_token_ms: None, writing_ms: 1, tokens: 1 });
        health.put_back(&taken);
        let tokens: Vec<u64> = health.take_fresh().iter().map(|fresh| fresh.sums.tokens).collect();
        assert_eq!(tokens, [u64::MAX]);
        assert!(health.speed(endpoint, now).is_some());
    }

    #[test]
    fn what_was_measured_is_taken_once_and_can_be_given_back() {
        let (now, endpoint) = (Instant::now(), EndpointId(uuid::Uuid::nil()));
        let health = Health::new(now);
        health.failed(endpoint, now);
        health.answered(endpoint, now, Took { first_token_ms: Some(200), writing_ms: 500, tokens: 20 });
        health.answered(endpoint, now, Took { first_token_ms: None, writing_ms: 700, tokens: 0 });
        assert!(health.has_fresh());
        let taken = health.take_fresh();
        let expected = Measured { answered: 2, failed: 1, begun: 1, first_token_ms: 200, tokens: 20, writing_ms: 500 };
        let counts = [
            Count { of: Counted::Answered, step: 0, calls: 2 },
            Count { of: Counted::Failed, step: 0, calls: 1 },
            Count { of: Counted::FirstToken, step: step(200), calls: 1 },
            Count { of: Counted::Speed, step: step(40_000), calls: 1 },
        ];
        assert_eq!(taken, [Fresh { endpoint, sums: expected, counts: counts.to_vec() }]);
        assert_eq!(expected.answered_of_1000(), Some(666));
        assert_eq!(expected.speed(), Speed { first_token_ms: Some(200), tokens_per_1000s: Some(40_000) });
        assert_eq!((health.take_fresh(), health.has_fresh()), (Vec::new(), false));
        health.put_back(&taken);
        assert_eq!(health.take_fresh(), taken);
        assert_eq!(Measured::default().answered_of_1000(), None, "nothing is not none of a thousand");
    }
}
