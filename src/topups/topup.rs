//! A purchase and its states.

use chrono::{DateTime, Utc};

use super::processors::PaymentState;
use crate::base::Usd;
use crate::base::ids::{OrgId, TopUpId};

/// `pending → paid | failed | expired`; `paid → refunded | disputed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Pending,
    Paid,
    Failed,
    Expired,
    Refunded,
    Disputed,
}

impl State {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Paid => "paid",
            State::Failed => "failed",
            State::Expired => "expired",
            State::Refunded => "refunded",
            State::Disputed => "disputed",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<State> {
        [State::Pending, State::Paid, State::Failed, State::Expired, State::Refunded, State::Disputed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// Where the processor's word leads from here; `None` when it changes nothing.
    /// A payment that failed and then succeeded after all is paid: money that came in is credited.
    #[must_use]
    pub fn after(self, payment: PaymentState) -> Option<State> {
        match (self, payment) {
            (State::Pending | State::Failed | State::Expired, PaymentState::Paid) => Some(State::Paid),
            (State::Pending, PaymentState::Declined) => Some(State::Failed),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct TopUp {
    pub org: OrgId,
    pub id: TopUpId,
    pub method: String,
    pub processor: String,
    pub credits: Usd,
    pub fee: Usd,
    pub total: Usd,
    pub state: String,
    pub failure: String,
    pub processor_ref: Option<String>,
    pub checkout_url: Option<String>,
    pub payer: Option<String>,
    pub created_at: DateTime<Utc>,
    pub paid_at: Option<DateTime<Utc>>,
}

impl TopUp {
    #[must_use]
    pub fn state(&self) -> State {
        State::parse(&self.state).unwrap_or(State::Pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paid_stays_paid_whatever_arrives_late() {
        assert_eq!(State::Pending.after(PaymentState::Paid), Some(State::Paid));
        assert_eq!(State::Failed.after(PaymentState::Paid), Some(State::Paid));
        for late in [PaymentState::Open, PaymentState::Processing, PaymentState::Paid, PaymentState::Declined] {
            assert_eq!(State::Paid.after(late), None);
            assert_eq!(State::Refunded.after(late), None);
        }
        assert_eq!(State::Pending.after(PaymentState::Processing), None);
    }
}
