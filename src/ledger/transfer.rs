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
    pub const ALL: [Code; 12] = [
        Code::TopUp,
        Code::TopUpFee,
        Code::Grant,
        Code::Redeem,
        Code::Usage,
        Code::Refund,
        Code::RefundFailed,
        Code::Dispute,
        Code::DisputeWon,
        Code::Move,
        Code::Overrun,
        Code::Correction,
    ];

    /// Reads a stored reason. `None` for one that a later version wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// What accountants call it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Code::TopUp => "Purchase",
            Code::TopUpFee => "Fee of a purchase",
            Code::Grant => "Grant",
            Code::Redeem => "Redeemed code",
            Code::Usage => "Calls",
            Code::Refund => "Refund",
            Code::RefundFailed => "Failed refund, put back",
            Code::Dispute => "Dispute",
            Code::DisputeWon => "Dispute won",
            Code::Move => "Moved between organizations",
            Code::Overrun => "Cost beyond the hold",
            Code::Correction => "Correction",
        }
    }

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
