//! What a comparison came to.

use chrono::{DateTime, Utc};

use crate::base::Usd;
use crate::base::ids::{RunId, TopUpId};

/// What was not the same on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FindingKind {
    /// Paid there and not credited here: credited now.
    Credited,
    /// Refunds or disputes that were not known here: booked now.
    Booked,
    /// Money there that names a purchase of ours and must not be credited.
    Refused,
    /// Credited here, and the processor knows no such payment.
    NoPayment,
    /// Credited here, and the processor says that it is not paid.
    NotPaid,
    /// Both know the payment, and not the same amounts.
    Differs,
}

impl FindingKind {
    const ALL: [FindingKind; 6] = [
        FindingKind::Credited,
        FindingKind::Booked,
        FindingKind::Refused,
        FindingKind::NoPayment,
        FindingKind::NotPaid,
        FindingKind::Differs,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            FindingKind::Credited => "credited",
            FindingKind::Booked => "booked",
            FindingKind::Refused => "refused",
            FindingKind::NoPayment => "no_payment",
            FindingKind::NotPaid => "not_paid",
            FindingKind::Differs => "differs",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<FindingKind> {
        FindingKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether somebody has to look into it; the others are mended already.
    #[must_use]
    pub const fn needs_person(self) -> bool {
        !matches!(self, FindingKind::Credited | FindingKind::Booked)
    }
}

/// One thing that was not the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub kind: FindingKind,
    pub topup: Option<TopUpId>,
    /// What the processor calls the payment.
    pub reference: String,
    pub detail: String,
}

/// A comparison with one processor.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: RunId,
    pub processor: String,
    pub since: DateTime<Utc>,
    /// `running`, `complete` or `incomplete`.
    pub state: String,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it is incomplete.
    pub failure: String,
    /// Payments that the processor listed, and those of them that name no purchase of ours.
    pub payments: i32,
    pub foreign_payments: i32,
    /// Of the foreign ones, those that carry an id of our kind: of another instance, or of a row that was lost.
    pub missing: i32,
    /// Purchases that both sides were asked about.
    pub compared: i32,
    /// What the processor says that it holds of them, and what the books say.
    pub told: Usd,
    pub booked: Usd,
    /// What it kept of them for itself, where it says so: in neither of the two.
    pub fees: Usd,
    /// Findings that somebody has to look into.
    pub open: i64,
}

impl Run {
    /// What the processor holds beyond what the books say, to the cent.
    #[must_use]
    pub fn difference(&self) -> Usd {
        self.told - self.booked
    }

    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == "complete"
    }
}
