//! A payment as its processor tells it. Whatever made us ask, the answer is the whole state of one payment, so that
//! it does not matter in which order messages arrive, or whether some never do.

use chrono::{DateTime, Utc};

use crate::base::Usd;
use crate::base::ids::{RefundId, TopUpId};

/// What a processor says of a payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PaymentState {
    /// Nobody has paid yet, but may.
    Open,
    /// Paid, not yet confirmed.
    Processing,
    /// Its bank wants to see its payer, who has not been asked yet. Nobody can confirm it before they are.
    WantsPayer,
    /// Waits for its payer to confirm it at this address.
    NeedsAction { url: String },
    /// The money is there.
    Paid,
    /// It failed and will not succeed; the reason is for people.
    Failed { reason: String },
    /// It was called off before anybody paid, by us or at the processor.
    Cancelled,
    /// Nobody paid in time.
    Expired,
}

/// A payment, fetched anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment {
    /// What it was opened as: a checkout, an invoice, a charge.
    pub reference: String,
    /// The payment itself, where it has another name.
    pub payment_ref: Option<String>,
    /// The purchase that we named when it was opened.
    pub topup: Option<TopUpId>,
    pub state: PaymentState,
    /// What came in; zero unless paid.
    pub received: Usd,
    /// What has been seen so far, confirmed or not, where payers send amounts themselves.
    pub seen: Usd,
    /// Why this can never be credited: another currency, another mode, another account.
    pub unfit: Option<String>,
    pub refunds: Vec<RefundSeen>,
    pub disputes: Vec<DisputeSeen>,
    /// The way to pay that it left behind to be charged again.
    pub saved: Option<SavedMethod>,
    /// The kind of fraud that the payer's bank reports, where it does.
    pub fraud_warning: Option<String>,
    /// What the processor took of it for itself, disputes included, where it says so.
    pub processor_fee: Option<Usd>,
    pub created_at: Option<DateTime<Utc>>,
}

impl Payment {
    /// An open payment of a purchase, for processors to fill in.
    #[must_use]
    pub fn open(reference: String, topup: Option<TopUpId>) -> Payment {
        Payment {
            reference,
            payment_ref: None,
            topup,
            state: PaymentState::Open,
            received: Usd::ZERO,
            seen: Usd::ZERO,
            unfit: None,
            refunds: Vec::new(),
            disputes: Vec::new(),
            saved: None,
            fraud_warning: None,
            processor_fee: None,
            created_at: None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefundState {
    Pending,
    Succeeded,
    Failed,
}

/// Money of a payment that goes or went back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefundSeen {
    pub reference: String,
    /// Which of our refunds it is; `None` when it was made at the processor.
    pub ours: Option<RefundId>,
    pub amount: Usd,
    pub state: RefundState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DisputeState {
    /// The payer's bank asks; no money has moved.
    Inquiry,
    /// The money is taken until it is decided.
    Open,
    Won,
    Lost,
    /// It is over, and no money is taken for it: an inquiry that came to nothing.
    Closed,
}

impl DisputeState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DisputeState::Inquiry => "inquiry",
            DisputeState::Open => "open",
            DisputeState::Won => "won",
            DisputeState::Lost => "lost",
            DisputeState::Closed => "closed",
        }
    }

    /// Whether the money is with the payer, for now or for good.
    #[must_use]
    pub const fn takes(self) -> bool {
        matches!(self, DisputeState::Open | DisputeState::Lost)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DisputeSeen {
    pub reference: String,
    pub amount: Usd,
    pub state: DisputeState,
    pub reason: String,
    /// How often its money has moved, here or back. It only grows, so of two answers the one with more is the newer.
    pub moves: i32,
}

/// A way to pay that a processor keeps for an organization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedMethod {
    pub reference: String,
    /// The method of the fee schedule.
    pub method: String,
    /// How its owner recognizes it, such as `Visa ending in 4242`.
    pub label: String,
    /// `12/29`, or empty.
    pub expires: String,
}
