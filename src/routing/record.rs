//! What became of the calls that endpoints were asked, for whoever wants to see it: uptime and speed as seen here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Took;
use crate::catalog::EndpointId;

/// Minutes and hours that are looked back on.
const MINUTES: usize = 30;
const HOURS: usize = 24;
/// Answers of one minute whose speed is kept; more of them would say the same.
const MAX_SAMPLES: usize = 60;

/// How an endpoint did, as far as this process asked it. Shares are of a thousand calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    pub well_5m: Option<u32>,
    pub well_30m: Option<u32>,
    pub well_day: Option<u32>,
    /// Milliseconds to the first token.
    pub first_token_ms: Option<Percentiles>,
    /// Tokens in a thousand seconds.
    pub tokens_per_1000s: Option<Percentiles>,
}

/// Half of the answers were below the first, and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Percentiles {
    pub p50: u64,
    pub p75: u64,
    pub p90: u64,
    pub p99: u64,
}

#[derive(Debug)]
pub(super) struct Record {
    started: Instant,
    seen: Mutex<HashMap<EndpointId, Seen>>,
}

#[derive(Debug)]
struct Seen {
    minutes: [Slot; MINUTES],
    hours: [Slot; HOURS],
}

/// One minute or hour, and which one.
#[derive(Clone, Debug, Default)]
struct Slot {
    number: u64,
    answered: u32,
    failed: u32,
    first_token_ms: Vec<u64>,
    tokens_per_1000s: Vec<u64>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { minutes: std::array::from_fn(|_| Slot::default()), hours: std::array::from_fn(|_| Slot::default()) }
    }
}

impl Record {
    pub(super) fn new(started: Instant) -> Record {
        Record { started, seen: Mutex::default() }
    }

    pub(super) fn failed(&self, endpoint: EndpointId, now: Instant) {
        self.note(endpoint, now, None);
    }

    pub(super) fn answered(&self, endpoint: EndpointId, now: Instant, took: Took) {
        self.note(endpoint, now, Some(took));
    }

    fn note(&self, endpoint: EndpointId, now: Instant, took: Option<Took>) {
        let (minute, hour) = self.numbers(now);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(endpoint).or_default();
        for slot in [current(&mut seen.minutes, minute), current(&mut seen.hours, hour)].into_iter().flatten() {
            match took {
                None => slot.failed = slot.failed.saturating_add(1),
                Some(_) => slot.answered = slot.answered.saturating_add(1),
            }
        }
        let (Some(took), Some(slot)) = (took, current(&mut seen.minutes, minute)) else { return };
        if let Some(first) = took.first_token_ms {
            keep(&mut slot.first_token_ms, first);
        }
        if took.tokens > 0 {
            keep(&mut slot.tokens_per_1000s, took.tokens.saturating_mul(1_000_000) / took.writing_ms.max(1));
        }
    }

    pub(super) fn of(&self, endpoint: EndpointId, now: Instant) -> Recent {
        let (minute, hour) = self.numbers(now);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = seen.get(&endpoint) else { return Recent::default() };
        let recent = |slots: &'_ [Slot], number: u64, back: u64| -> Vec<Slot> {
            slots.iter().filter(|slot| slot.number > 0 && slot.number + back > number).cloned().collect()
        };
        let half_an_hour = recent(&seen.minutes, minute, 30);
        let samples = |of: fn(&Slot) -> &Vec<u64>| half_an_hour.iter().flat_map(of).copied().collect();
        Recent {
            well_5m: share(&recent(&seen.minutes, minute, 5)),
            well_30m: share(&half_an_hour),
            well_day: share(&recent(&seen.hours, hour, 24)),
            first_token_ms: percentiles(samples(|slot| &slot.first_token_ms)),
            tokens_per_1000s: percentiles(samples(|slot| &slot.tokens_per_1000s)),
        }
    }

    /// The minute and the hour, counted from one, so that zero is none.
    fn numbers(&self, now: Instant) -> (u64, u64) {
        let seconds = now.saturating_duration_since(self.started).as_secs();
        (1 + seconds / Duration::from_secs(60).as_secs(), 1 + seconds / Duration::from_secs(3_600).as_secs())
    }
}

/// The slot of a number, emptied if it was that of an earlier one.
fn current<const N: usize>(slots: &mut [Slot; N], number: u64) -> Option<&mut Slot> {
    let place = usize::try_from(number % u64::try_from(N).ok()?).ok()?;
    let slot = slots.get_mut(place)?;
    if slot.number != number {
        *slot = Slot { number, ..Slot::default() };
    }
    Some(slot)
}

fn keep(samples: &mut Vec<u64>, sample: u64) {
    if samples.len() < MAX_SAMPLES {
        samples.push(sample);
    }
}

/// Of a thousand calls, those that were answered.
fn share(slots: &[Slot]) -> Option<u32> {
    let answered: u64 = slots.iter().map(|slot| u64::from(slot.answered)).sum();
    let failed: u64 = slots.iter().map(|slot| u64::from(slot.failed)).sum();
    let share = (answered * 1_000).checked_div(answered + failed)?;
    u32::try_from(share).ok()
}

fn percentiles(mut samples: Vec<u64>) -> Option<Percentiles> {
    samples.sort_unstable();
    let at = |percent: usize| samples.get((samples.len() * percent / 100).min(samples.len().checked_sub(1)?)).copied();
    Some(Percentiles { p50: at(50)?, p75: at(75)?, p90: at(90)?, p99: at(99)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::CallId;

    #[test]
    fn shares_and_percentiles_are_of_their_windows() {
        let start = Instant::now();
        let (record, one) = (Record::new(start), EndpointId(CallId::fresh().0));
        let after = |minutes: u64| start + Duration::from_secs(minutes * 60);
        assert_eq!(record.of(one, start), Recent::default());
        for ms in 1..=40_u64 {
            let took = Took { first_token_ms: Some(ms * 10), writing_ms: 1_000, tokens: ms };
            record.answered(one, after(0), took);
        }
        for _ in 0..10 {
            record.failed(one, after(10));
        }
        let now = record.of(one, after(12));
        assert_eq!((now.well_5m, now.well_30m, now.well_day), (Some(0), Some(800), Some(800)));
        assert_eq!(now.first_token_ms, Some(Percentiles { p50: 210, p75: 310, p90: 370, p99: 400 }));
        assert_eq!(now.tokens_per_1000s.map(|speed| speed.p50), Some(21_000));
        let later = record.of(one, after(45));
        assert_eq!(
            (later.well_5m, later.well_30m, later.well_day, later.first_token_ms),
            (None, None, Some(800), None)
        );
        record.failed(one, after(26 * 60));
        assert_eq!(record.of(one, after(26 * 60)).well_day, Some(0), "a day later only what came since");
    }
}
