//! Why money moved.

use crate::base::ids::{AccountId, OrgId};

/// The reason of a transfer; `ARCHITECTURE.md` has the table of what each debits and credits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    TopUp,
    TopUpFee,
    Grant,
    Redeem,
    Usage,
    Refund,
    /// A refund that did not arrive: the money is with the processor again.
    RefundFailed,
    Dispute,
    DisputeWon,
    Move,
    Overrun,
    Correction,
}

impl Code {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::TopUp => "topup",
            Code::TopUpFee => "topup_fee",
            Code::Grant => "grant",
            Code::Redeem => "redeem",
            Code::Usage => "usage",
            Code::Refund => "refund",
            Code::RefundFailed => "refund_failed",
            Code::Dispute => "dispute",
            Code::DisputeWon => "dispute_won",
            Code::Move => "move",
            Code::Overrun => "overrun",
            Code::Correction => "correction",
        }
    }

    /// Only these may take an organization's balance below zero.
    #[must_use]
    pub const fn may_overdraw(self) -> bool {
        matches!(self, Code::Refund | Code::Dispute | Code::Correction)
    }
}

/// An organization's credit account has the organization's own number.
#[must_use]
pub fn credit_account(org: OrgId) -> AccountId {
    AccountId(org.0)
}
