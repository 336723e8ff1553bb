//! Holds that may stand although nobody heard that they were granted: the answer was lost, or came when nobody waited for it
//! any more. Their calls were refused, so they are looked for and released, instead of keeping credits until their time has
//! passed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::runtime::Handle;

use super::settle::{self, Ended, Ending};
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId};

/// Calls remembered in one process. The holds of further ones are left to the sweeper.
const MAX_REMEMBERED: usize = 16_384;
/// When they are looked for: after they were given up, and after each look that did not find them. A statement that is on its way
/// when nobody waits for it any more is begun when the database comes to it, and ends 2.5 seconds later at the latest
/// (`db/pool.rs`).
const LOOKS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(25), Duration::from_secs(90)];
/// How often somebody asks whether one is due.
const EVERY: Duration = Duration::from_secs(5);
/// However often looking failed, they are forgotten then: the sweeper has them by default.
const MAX_AGE: Duration = Duration::from_mins(20);
/// Holds released in one transaction.
const MAX_AT_ONCE: usize = 256;
/// Transactions of one turn.
const MAX_ROUNDS: usize = MAX_REMEMBERED / MAX_AT_ONCE;
/// A release that takes longer is given up and tried again.
const MAX_WAIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
struct Suspect {
    org: OrgId,
    call: CallId,
    refused_at: Instant,
    /// When it was given up, or looked for and not found.
    since: Instant,
    /// How often it was not found.
    looks: usize,
}

impl Suspect {
    fn is_due(&self, now: Instant) -> bool {
        LOOKS.get(self.looks).is_some_and(|after| now.saturating_duration_since(self.since) >= *after)
    }

    fn missed(self, now: Instant) -> Suspect {
        Suspect { since: now, looks: self.looks + 1, ..self }
    }

    fn is_wanted(&self, now: Instant) -> bool {
        self.looks < LOOKS.len() && now.saturating_duration_since(self.refused_at) < MAX_AGE
    }
}

/// Somebody who asked for a hold and has no answer yet. If they leave, also in the moment in which one comes, nobody heard it.
pub struct Asking<'a> {
    unheard: &'a Unheard,
    call: Option<(OrgId, CallId)>,
}

impl Asking<'_> {
    pub fn heard(mut self) {
        self.call = None;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.unheard.add([call]);
        }
    }
}

/// What is to be looked for.
#[derive(Clone, Default)]
pub struct Unheard {
    /// By their calls, for who asked and whoever asked the database for them both give up.
    suspects: Arc<Mutex<HashMap<CallId, Suspect>>>,
}

impl Unheard {
    /// Looks for what is added, as long as the runtime lives.
    pub fn start(handle: &Handle, pool: PgPool) -> Unheard {
        let unheard = Unheard::default();
        let all = unheard.clone();
        handle.spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                all.look(&pool).await;
            }
        });
        unheard
    }

    /// These calls were refused, or nobody waits for them any more, and may have a hold.
    pub fn add(&self, calls: impl IntoIterator<Item = (OrgId, CallId)>) {
        let since = Instant::now();
        let suspect = |(org, call)| Suspect { org, call, refused_at: since, since, looks: 0 };
        self.remember(calls.into_iter().map(suspect));
    }

    /// Remembers a call unless it is answered.
    pub fn asking(&self, org: OrgId, call: CallId) -> Asking<'_> {
        Asking { unheard: self, call: Some((org, call)) }
    }

    fn take_due(&self, now: Instant) -> Vec<Suspect> {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        suspects.retain(|_, suspect| {
            let take = due.len() < MAX_AT_ONCE && suspect.is_due(now);
            if take {
                due.push(*suspect);
            }
            !take
        });
        due
    }

    fn put_back(&self, again: impl Iterator<Item = Suspect>, now: Instant) {
        self.remember(again.filter(|suspect| suspect.is_wanted(now)));
    }

    fn remember(&self, more: impl Iterator<Item = Suspect>) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        for suspect in more {
            if suspects.len() < MAX_REMEMBERED {
                suspects.entry(suspect.call).or_insert(suspect);
            }
        }
    }

    async fn look(&self, pool: &PgPool) {
        for _ in 0..MAX_ROUNDS {
            let due = self.take_due(Instant::now());
            if due.is_empty() {
                return;
            }
            let calls: Vec<_> = due.iter().map(|suspect| (suspect.org, suspect.call)).collect();
            let found = match tokio::time::timeout(MAX_WAIT, release(pool, calls)).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => {
                    tracing::warn!(%error, calls = due.len(), "holds that nobody heard of are looked for again later");
                    return self.put_back(due.into_iter(), Instant::now());
                }
                Err(_) => {
                    tracing::warn!(calls = due.len(), "looking for holds that nobody heard of took too long");
                    return self.put_back(due.into_iter(), Instant::now());
                }
            };
            let released = found.iter().filter(|found| **found).count();
            if released > 0 {
                tracing::warn!(released, "holds whose admission was not heard of were released");
            }
            let missing = due.into_iter().zip(found).filter(|(_, found)| !found).map(|(suspect, _)| suspect);
            let now = Instant::now();
            self.put_back(missing.map(|suspect| suspect.missed(now)), now);
        }
    }
}

/// Releases the holds that are there, and says of each call whether it had one.
pub async fn release(
    pool: &PgPool,
    calls: impl IntoIterator<Item = (OrgId, CallId)>,
) -> Result<Vec<bool>, sqlx::Error> {
    // What was held, the hold itself says.
    let endings: Vec<Ending> = calls.into_iter().map(|(org, call)| Ending::release(org, call, Usd::ZERO)).collect();
    let mut tx = pool.begin().await?;
    let ended = settle::settle(&mut tx, &endings).await?;
    tx.commit().await?;
    Ok(ended.into_iter().map(|ended| ended != Ended::Gone).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(count: usize) -> impl Iterator<Item = (OrgId, CallId)> {
        std::iter::repeat_with(|| (OrgId::fresh(), CallId::fresh())).take(count)
    }

    #[test]
    fn each_is_looked_for_three_times_and_then_forgotten() {
        let unheard = Unheard::default();
        unheard.add(calls(2));
        let mut now = Instant::now();
        assert!(unheard.take_due(now).is_empty(), "the database may not have come to it yet");
        for after in LOOKS {
            // Late, as after a stall; the next look is as long after this one all the same.
            now += after * 2;
            let due = unheard.take_due(now);
            assert_eq!(due.len(), 2);
            assert!(unheard.take_due(now).is_empty(), "nobody else looks for them meanwhile");
            unheard.put_back(due.into_iter().map(|suspect| suspect.missed(now)), now);
            assert!(unheard.take_due(now).is_empty());
        }
        assert_eq!(unheard.suspects.lock().expect("no panic").len(), 0);
    }

    #[test]
    fn who_leaves_without_an_answer_is_remembered() {
        let unheard = Unheard::default();
        let (org, call) = (OrgId::fresh(), CallId::fresh());
        unheard.asking(org, CallId::fresh()).heard();
        drop(unheard.asking(org, call));
        // So does the batch that it was in.
        unheard.add([(org, call)]);
        let due = unheard.take_due(Instant::now() + LOOKS[0]);
        assert_eq!(due.iter().map(|suspect| (suspect.org, suspect.call)).collect::<Vec<_>>(), [(org, call)]);
    }

    #[test]
    fn what_cannot_be_looked_for_is_tried_again_until_the_sweeper_has_it() {
        let unheard = Unheard::default();
        unheard.add(calls(1));
        let now = Instant::now();
        let due = unheard.take_due(now + LOOKS[0]);
        unheard.put_back(due.into_iter(), now + LOOKS[0]);
        let due = unheard.take_due(now + LOOKS[0] + EVERY);
        assert_eq!(due.len(), 1, "a look that failed is none");
        unheard.put_back(due.into_iter(), now + MAX_AGE);
        assert_eq!(unheard.suspects.lock().expect("no panic").len(), 0);
    }

    #[test]
    fn no_more_are_remembered_or_released_at_once_than_is_said() {
        let unheard = Unheard::default();
        unheard.add(calls(MAX_REMEMBERED - 1));
        unheard.add(calls(3));
        assert_eq!(unheard.suspects.lock().expect("no panic").len(), MAX_REMEMBERED);
        let now = Instant::now() + LOOKS[0];
        let due = unheard.take_due(now);
        assert_eq!(due.len(), MAX_AT_ONCE);
        unheard.add(calls(1));
        unheard.put_back(due.into_iter(), now);
        assert_eq!(unheard.suspects.lock().expect("no panic").len(), MAX_REMEMBERED);
    }
}
