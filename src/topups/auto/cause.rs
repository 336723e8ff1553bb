//! What makes auto top-up try.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::base::ids::TopUpId;

/// What makes auto top-up try, once each. Its text is stored with the attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The balance fell below the threshold; the number of that crossing.
    Crossing(i64),
    /// The rule was set while the balance was below already; the rule's version.
    Set(i64),
    /// An attempt succeeded, and may not have been enough.
    After(TopUpId),
    /// An attempt failed, and some time has passed.
    Retry(TopUpId),
    /// A cap was reached, and a new day has begun.
    Day(NaiveDate),
    /// The organization may be charged again, having been frozen or about to end; the moment, in microseconds.
    Opened(i64),
}

impl Cause {
    /// Whether it has to wait until a failed attempt may be repeated.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Cause::Retry(_) | Cause::Day(_) | Cause::Opened(_))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Crossing(number) => write!(f, "crossing:{number}"),
            Cause::Set(version) => write!(f, "set:{version}"),
            Cause::After(topup) => write!(f, "after:{topup}"),
            Cause::Retry(topup) => write!(f, "retry:{topup}"),
            Cause::Day(day) => write!(f, "day:{day}"),
            Cause::Opened(moment) => write!(f, "opened:{moment}"),
        }
    }
}
