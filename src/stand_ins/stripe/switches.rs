//! The days when a processor misbehaves: what a test, or a person, turns on.

use serde::{Deserialize, Serialize};

/// What shall go wrong. Numbers count down as they are used; zero is a good day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// So many charges are declined.
    pub decline: u32,
    /// How: `generic_decline`, `insufficient_funds`, `lost_card`, ...
    pub decline_code: String,
    /// So many payments ask for the card holder: off-session ones fail, others go to the bank's page.
    pub authenticate: u32,
    /// So many requests do their work and are answered too late.
    pub late: u32,
    /// How late, in milliseconds.
    pub late_by_ms: u64,
    /// So many requests do their work, but the answer is 500. Sent again with the same key they get the real one.
    pub fail_after_work: u32,
    /// So many requests get 500 and nothing happens.
    pub fail_before_work: u32,
    /// So many requests get 429 and nothing happens.
    pub rate_limit: u32,
    /// Each request waits so long before its work, in milliseconds.
    pub delay_ms: u64,
    /// Which requests `late`, `fail_*`, `rate_limit` and `delay_ms` are for: the beginning of method and path, such
    /// as `POST /v1/refunds`. Empty for all that change something.
    pub requests: String,
    /// Events are kept back until somebody delivers them by hand, or this is off again.
    pub hold_events: bool,
    /// How often each event is delivered.
    pub copies: u32,
    /// Events that are due together arrive with the newest first.
    pub newest_first: bool,
    /// Events wait so long before they are delivered, in milliseconds; what happens meanwhile is due together.
    pub event_delay_ms: u64,
}

impl Default for Switches {
    fn default() -> Switches {
        Switches {
            decline: 0,
            decline_code: "generic_decline".to_owned(),
            authenticate: 0,
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

impl Switches {
    /// Whether the faults are for this request.
    pub fn concern(&self, method: &str, path: &str) -> bool {
        if self.requests.is_empty() { method != "GET" } else { format!("{method} {path}").starts_with(&self.requests) }
    }

    /// What happens to this request; uses up one of what was set.
    pub fn fault(&mut self, method: &str, path: &str) -> Fault {
        if !self.concern(method, path) {
            return Fault::None;
        }
        let order = [
            (&mut self.rate_limit, Fault::RateLimit),
            (&mut self.fail_before_work, Fault::FailBeforeWork),
            (&mut self.fail_after_work, Fault::FailAfterWork),
            (&mut self.late, Fault::Late),
        ];
        order.into_iter().find_map(|(count, fault)| use_one(count).then_some(fault)).unwrap_or(Fault::None)
    }

    pub fn declines(&mut self) -> bool {
        use_one(&mut self.decline)
    }

    pub fn authenticates(&mut self) -> bool {
        use_one(&mut self.authenticate)
    }
}

fn use_one(count: &mut u32) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}
