//! The days when a processor misbehaves: what a test, or a person, turns on.

use serde::{Deserialize, Serialize};

/// What shall go wrong. Numbers count down as they are used; zero is a good day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// So many requests do their work and are answered too late.
    pub late: u32,
    /// How late, in milliseconds.
    pub late_by_ms: u64,
    /// So many requests do their work, but the answer is 500.
    pub fail_after_work: u32,
    /// So many requests get 500 and nothing happens.
    pub fail_before_work: u32,
    /// So many requests get 429 and nothing happens.
    pub rate_limit: u32,
    /// Each request waits so long before its work, in milliseconds.
    pub delay_ms: u64,
    /// Which requests the faults are for: the beginning of method and path, such as `POST /api/v1/checkouts`. Empty for
    /// all that change something.
    pub requests: String,
    /// Messages are kept back until somebody delivers them by hand, or this is off again.
    pub hold_events: bool,
    /// How often each message is delivered.
    pub copies: u32,
    /// Messages that are due together arrive with the newest first.
    pub newest_first: bool,
    /// Messages wait so long before they are delivered, in milliseconds; what happens meanwhile is due together.
    pub event_delay_ms: u64,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            late: 0,
            late_by_ms: 30_000,
            fail_after_work: 0,
            fail_before_work: 0,
            rate_limit: 0,
            delay_ms: 0,
            requests: String::new(),
            hold_events: false,
            copies: 1,
            newest_first: false,
            event_delay_ms: 0,
        }
    }
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Late,
    FailAfterWork,
    FailBeforeWork,
    RateLimit,
}

impl Faults {
    /// Whether the faults are for this request.
    pub fn concern(&self, method: &str, path: &str) -> bool {
        if self.requests.is_empty() { method != "GET" } else { format!("{method} {path}").starts_with(&self.requests) }
    }

    /// What happens to this request; uses up one of what was set.
    pub fn next(&mut self, method: &str, path: &str) -> Fault {
        if !self.concern(method, path) {
            return Fault::None;
        }
        let order = [
            (&mut self.rate_limit, Fault::RateLimit),
            (&mut self.fail_before_work, Fault::FailBeforeWork),
            (&mut self.fail_after_work, Fault::FailAfterWork),
            (&mut self.late, Fault::Late),
        ];
        for (count, fault) in order {
            if *count > 0 {
                *count -= 1;
                return fault;
            }
        }
        Fault::None
    }
}
