//! Messages on their way to the shop: tried a few times, in the order or disorder that the switches say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Deliveries that wait. The oldest are given up above this.
const MAX_WAITING: usize = 5000;
/// Waits before the second and each further try, in milliseconds; afterwards an event is given up. The companies try for
/// hours or days; half a minute covers a restart of the shop, and a person in development does not want more.
const RETRY_MS: [i64; 7] = [200, 500, 1000, 2000, 4000, 8000, 16_000];
/// For how long one that is being delivered is not due again, in milliseconds.
const LENT_MS: i64 = 60_000;
/// How long the shop may take to answer one.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// An event that waits to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub event: String,
    pub tries: usize,
    pub due_ms: i64,
}

/// Events that wait, in the order in which they happened.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Queue(Vec<Waiting>);

impl Queue {
    pub fn add(&mut self, event: String, due_ms: i64) {
        if self.0.len() >= MAX_WAITING {
            self.0.remove(0);
        }
        self.0.push(Waiting { event, tries: 0, due_ms });
    }

    /// What is due, in order. It stays here until it is taken, so that a crash loses nothing; meanwhile it is not due.
    pub fn lend_due(&mut self, now_ms: i64) -> Vec<Waiting> {
        let mut due = Vec::new();
        for one in self.0.iter_mut().filter(|one| one.due_ms <= now_ms) {
            due.push(one.clone());
            one.due_ms = now_ms + LENT_MS;
        }
        due
    }

    /// Everything that waits, due or not.
    pub fn all(&self) -> Vec<String> {
        self.0.iter().map(|one| one.event.clone()).collect()
    }

    /// The shop took it, or somebody delivers it by hand.
    pub fn remove(&mut self, event: &str) {
        self.0.retain(|one| one.event != event);
    }

    /// The shop did not take it. False when it is given up.
    pub fn again(&mut self, event: &str, now_ms: i64) -> bool {
        let Some(one) = self.0.iter_mut().find(|one| one.event == event) else { return true };
        let Some(wait) = RETRY_MS.get(one.tries) else {
            self.remove(event);
            return false;
        };
        one.tries += 1;
        one.due_ms = now_ms + wait;
        true
    }

    pub fn next_due_ms(&self) -> Option<i64> {
        self.0.iter().map(|one| one.due_ms).min()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_given_up_after_its_last_try() {
        let mut queue = Queue::default();
        queue.add("evt_1".to_owned(), 0);
        let mut now = 0;
        for _ in RETRY_MS {
            assert_eq!(queue.lend_due(now).len(), 1);
            assert_eq!(queue.lend_due(now), [], "lent already");
            assert!(queue.again("evt_1", now));
            now = queue.next_due_ms().expect("another try");
        }
        assert!(!queue.again("evt_1", now));
        assert_eq!(queue.len(), 0);
    }
}
