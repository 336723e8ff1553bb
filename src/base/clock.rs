//! Time as an argument, so that tests can stand at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// The process's clock. The ledger's windows follow the database's clock instead.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    shift_seconds: Arc<AtomicI64>,
}

impl Clock {
    #[must_use]
    pub fn system() -> Clock {
        Clock::default()
    }

    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn now(&self) -> DateTime<Utc> {
        let shift = TimeDelta::seconds(self.shift_seconds.load(Ordering::Relaxed));
        Utc::now() + shift
    }

    /// Moves this clock, and every clone of it, for tests of expiry.
    pub fn advance(&self, by: TimeDelta) {
        self.shift_seconds.fetch_add(by.num_seconds(), Ordering::Relaxed);
    }
}
