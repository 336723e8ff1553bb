//! Holds: the first phase of a metered call.

use crate::base::Usd;
use crate::base::ids::{CallId, MeterId, OrgId};

/// A window of a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    Total,
    Day,
    Week,
    Month,
}

impl Window {
    /// The word that clients of this kind of API know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Window::Total => "total",
            Window::Day => "daily",
            Window::Week => "weekly",
            Window::Month => "monthly",
        }
    }
}

/// A wish to hold money for a call.
#[derive(Clone, Debug)]
pub struct Want {
    pub call: CallId,
    pub org: OrgId,
    /// Every meter that the call goes through.
    pub meters: Vec<MeterId>,
    /// The upper bound of the call's price.
    pub most: Usd,
    /// The least that makes sense to hold; equal to `most` when the caller fixed the length.
    pub least: Usd,
    /// What a provider may take from the organization's own account for it. Nobody's credit is held for that, but limits
    /// that count such calls count it.
    pub byok: Byok,
    /// What the sweeper should know if the process dies; opaque to the ledger.
    pub memo: String,
}

/// The bound of what a provider takes itself; zero for calls on the operator's accounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Byok {
    pub most: Usd,
    pub least: Usd,
}

/// A hold that stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Granted {
    pub amount: Usd,
    /// What a provider may take itself.
    pub byok: Usd,
}

/// Why nothing was held.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The organization cannot afford `least`.
    #[error("insufficient credits")]
    Credits { available: Usd },
    /// A refund or dispute took the balance below zero: no call runs, free ones neither.
    #[error("the balance is below zero")]
    Overdrawn { posted: Usd },
    /// A meter's limit leaves less than `least`.
    #[error("a limit is reached")]
    Limit { meter: MeterId, window: Window, left: Usd },
    /// The organization or a meter does not exist (any more).
    #[error("unknown account or meter")]
    Unknown,
    /// The database did not answer in time, or too many calls are waiting.
    #[error("the ledger is unavailable")]
    Unavailable,
}

/// An open hold whose time has passed.
#[derive(Clone, Debug)]
pub struct ExpiredHold {
    pub call: CallId,
    pub org: OrgId,
    pub amount: Usd,
    pub memo: String,
}
