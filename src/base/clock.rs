//! Time as an argument, so that tests can stand at any moment.

use chrono::{DateTime, Utc};

/// The process's clock. The ledger's windows follow the database's clock instead.
#[derive(Clone, Debug, Default)]
pub struct Clock;

impl Clock {
    #[must_use]
    pub fn system() -> Clock {
        Clock
    }

    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
