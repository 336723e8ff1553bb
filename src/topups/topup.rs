//! A purchase and its states.

use chrono::{DateTime, Utc};
use rust_decimal::RoundingStrategy;

use super::payment::PaymentState;
use crate::base::Usd;
use crate::base::ids::{OrgId, TopUpId};

/// `pending → paid | failed | expired`; `paid → refunded | disputed`, and from there back as refunds and disputes end.
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

    /// Whether its money has come in, whatever became of it later.
    #[must_use]
    pub const fn is_credited(self) -> bool {
        matches!(self, State::Paid | State::Refunded | State::Disputed)
    }

    /// Where the processor's word leads from here; `None` when it changes nothing.
    /// A payment that failed and then succeeded after all is paid: money that came in is credited.
    #[must_use]
    pub fn after(self, payment: &PaymentState) -> Option<State> {
        match (self, payment) {
            (State::Pending | State::Failed | State::Expired, PaymentState::Paid) => Some(State::Paid),
            (State::Pending, PaymentState::Failed { .. } | PaymentState::Cancelled) => Some(State::Failed),
            (State::Pending, PaymentState::Expired) => Some(State::Expired),
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
    /// The total that was asked for, where something else came in.
    pub asked: Option<Usd>,
    /// The credits that were to be bought for that. `None` for purchases of before they were kept.
    pub asked_credits: Option<Usd>,
    /// What was seen of a payment that is not credited yet.
    pub seen: Usd,
    /// The purchase for which this came in later, as another payment.
    pub more_of: Option<TopUpId>,
    pub state: String,
    pub failure: String,
    pub processor_ref: Option<String>,
    pub payment_ref: Option<String>,
    pub checkout_url: Option<String>,
    /// `person`, or `auto` for auto top-up.
    pub origin: String,
    /// What went back of credits and fee together, and what is contested now.
    pub refunded: Usd,
    pub disputed: Usd,
    /// What the processor kept for itself, where it said so; information, not in the books.
    pub processor_fee: Option<Usd>,
    pub receipt_number: Option<i64>,
    pub payer: Option<String>,
    pub created_at: DateTime<Utc>,
    pub paid_at: Option<DateTime<Utc>>,
}

/// What is taken back of a purchase at this moment: by refunds that did not fail, and by disputes that hold the money.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Taken {
    pub credits: Usd,
    pub fee: Usd,
}

impl TopUp {
    #[must_use]
    pub fn state(&self) -> State {
        State::parse(&self.state).unwrap_or(State::Pending)
    }

    #[must_use]
    pub fn is_auto(&self) -> bool {
        self.origin == "auto"
    }

    /// What is neither refunded nor contested of what came in.
    #[must_use]
    pub fn kept(&self) -> Usd {
        (self.total - self.refunded - self.disputed).max(Usd::ZERO)
    }

    /// What cannot go back of the credits beside `returned` and what went back before: spent, held by running calls, or
    /// moved to another organization. What went back in all and this are what came in.
    #[must_use]
    pub fn gone(&self, returned: Usd) -> Usd {
        self.total - self.fee - self.refunded - returned
    }

    /// The state that follows from what was taken back, for a purchase whose money came in.
    #[must_use]
    pub fn credited_state(&self) -> State {
        if self.disputed.is_positive() {
            State::Disputed
        } else if self.refunded >= self.credits {
            State::Refunded
        } else {
            State::Paid
        }
    }

    /// What a sum buys at the rate of this purchase, rounded down to the cent. Whoever paid a cent gets at least that. The rate
    /// is that of what was asked for: what came in instead may be cents, of which rounding leaves no fee or no credits.
    #[must_use]
    pub fn credits_for(&self, received: Usd) -> Usd {
        let (credits, total) = match (self.asked_credits, self.asked) {
            (Some(credits), Some(total)) => (credits, total),
            _ => (self.credits, self.total),
        };
        let exact = received.amount() * credits.amount() / total.amount();
        let credits = Usd::new(exact.round_dp_with_strategy(2, RoundingStrategy::ToZero));
        credits.max(Usd::from_hundredths(1).min(received))
    }

    /// Why this is not simply what was asked for; the page, the receipt and its mail say the same. Empty where it is.
    #[must_use]
    pub fn oddity(&self) -> String {
        match (self.asked, self.more_of) {
            (_, Some(first)) => format!(
                "Another {} came in for payment {first} after that one was credited. It is credited at the same rate.",
                self.total.display(),
            ),
            (Some(asked), None) => format!(
                "{} came in instead of {}. The credits follow what came in, at the same rate.",
                self.total.display(),
                asked.display(),
            ),
            (None, None) => String::new(),
        }
    }

    /// How a sum that goes back is split into credits and fee: what is left of the credits first, then what is left of the
    /// fee. By what is taken now, so that parts add up to the same whatever their order and whatever came back between
    /// them. What went back beyond all that came in, as by a dispute beside a refund, is with the payer, so it is taken
    /// from the credits; no more of a fee is given back than was earned.
    #[must_use]
    pub fn split(&self, amount: Usd, taken: Taken) -> (Usd, Usd) {
        let credits = amount.min((self.credits - taken.credits).max(Usd::ZERO));
        let fee = (amount - credits).min((self.fee - taken.fee).max(Usd::ZERO));
        (amount - fee, fee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paid_stays_paid_whatever_arrives_late() {
        let failed = PaymentState::Failed { reason: String::new() };
        assert_eq!(State::Pending.after(&PaymentState::Paid), Some(State::Paid));
        assert_eq!(State::Failed.after(&PaymentState::Paid), Some(State::Paid));
        assert_eq!(State::Expired.after(&PaymentState::Paid), Some(State::Paid));
        let ends = [PaymentState::Paid, PaymentState::Expired, PaymentState::Cancelled, failed];
        for late in [PaymentState::Open, PaymentState::Processing].into_iter().chain(ends) {
            assert_eq!(State::Paid.after(&late), None);
            assert_eq!(State::Refunded.after(&late), None);
            assert_eq!(State::Disputed.after(&late), None);
        }
        assert_eq!(State::Pending.after(&PaymentState::Processing), None);
    }

    fn paid(refunded: u32) -> TopUp {
        TopUp {
            org: OrgId::fresh(),
            id: TopUpId::fresh(),
            method: "card".into(),
            processor: "stripe".into(),
            credits: Usd::from_whole(20),
            fee: Usd::from_hundredths(110),
            total: Usd::from_hundredths(2110),
            asked: None,
            asked_credits: None,
            seen: Usd::ZERO,
            more_of: None,
            state: "paid".into(),
            failure: String::new(),
            processor_ref: None,
            payment_ref: None,
            checkout_url: None,
            origin: "person".into(),
            refunded: Usd::from_hundredths(refunded),
            disputed: Usd::ZERO,
            processor_fee: None,
            receipt_number: None,
            payer: None,
            created_at: DateTime::default(),
            paid_at: None,
        }
    }

    #[test]
    fn what_goes_back_takes_credits_first_and_the_fee_last() {
        let cents = Usd::from_hundredths;
        for ((credits, fee), amount, split) in [
            ((0, 0), 2_110, (2_000, 110)),
            ((0, 0), 500, (500, 0)),
            ((1_900, 0), 210, (100, 110)),
            ((2_000, 0), 110, (0, 110)),
            // The first part failed after the fee had gone: only credits are left.
            ((1_500, 110), 500, (500, 0)),
            // A dispute about all of it, beside a refund: no more of the fee than was earned.
            ((500, 0), 2_110, (2_000, 110)),
            ((2_000, 110), 2_110, (2_110, 0)),
        ] {
            let taken = Taken { credits: cents(credits), fee: cents(fee) };
            let (of_credits, of_fee) = split;
            assert_eq!(paid(0).split(cents(amount), taken), (cents(of_credits), cents(of_fee)), "{taken:?} {amount}");
        }
        assert_eq!(paid(2000).credited_state(), State::Refunded);
        assert_eq!(paid(1999).credited_state(), State::Paid);
    }

    #[test]
    fn what_goes_back_and_what_does_not_are_what_came_in() {
        let cents = Usd::from_hundredths;
        for (before, returned, gone) in [(0, 2_000, 0), (0, 1_476, 524), (500, 1_000, 500)] {
            let topup = paid(before);
            assert_eq!(topup.gone(cents(returned)), cents(gone), "{before} {returned}");
            let kept = topup.fee + cents(before) + topup.gone(cents(returned));
            assert_eq!(topup.total - kept, cents(returned), "{before} {returned}");
        }
    }

    #[test]
    fn what_comes_in_buys_credits_at_the_rate_of_the_purchase() {
        let cents = Usd::from_hundredths;
        let bitcoin = TopUp { credits: cents(10_000), fee: cents(526), total: cents(10_526), ..paid(0) };
        for (received, credits) in [(10_526, 10_000), (5_000, 4_750), (11_000, 10_450), (1, 1), (2, 1), (0, 0)] {
            assert_eq!(bitcoin.credits_for(cents(received)), cents(credits), "{received}");
        }
        assert_eq!(bitcoin.oddity(), "");
        let part = TopUp { asked: Some(bitcoin.total), total: cents(5_000), ..bitcoin.clone() };
        assert!(part.oddity().starts_with("$50.00 came in instead of $105.26."), "{}", part.oddity());
        let cent = TopUp {
            asked_credits: Some(bitcoin.credits),
            credits: cents(1),
            fee: Usd::ZERO,
            total: cents(1),
            ..part.clone()
        };
        assert_eq!(
            cent.credits_for(cents(10_525)),
            cents(9_999),
            "at the rate that was asked for, not that of the cent"
        );
        let more = TopUp { more_of: Some(bitcoin.id), ..part };
        assert!(more.oddity().starts_with("Another $50.00 came in"), "{}", more.oddity());
    }
}
