//! What became of a payment, in words for its page.

use super::topup::{State, TopUp};

/// Headline and explanation; `sent` where payers send the money themselves.
#[must_use]
pub fn told(topup: &TopUp, sent: bool) -> (String, String) {
    if sent { of_sent(topup) } else { of_any(topup) }
}

fn of_any(topup: &TopUp) -> (String, String) {
    let (headline, explanation) = match topup.state() {
        // Whoever reads this comes from the payment page, as a rule having paid.
        State::Pending if topup.checkout_url.is_some() => (
            "Waiting for the payment".to_owned(),
            "If you have paid, there is nothing left to do: the payment processor is asked whether it came in, and the credits arrive when it says so. \
            If you have not, the payment page is still there. You can leave this page; nothing is lost."
                .to_owned(),
        ),
        State::Pending => (
            "Waiting for the payment".to_owned(),
            "The credits arrive when the payment is confirmed. You can leave this page; nothing is lost.".to_owned(),
        ),
        State::Paid if topup.refunded.is_positive() => (
            format!("{} added, {} returned", topup.credits.display(), topup.refunded.display()),
            "A part of the payment went back. The rest can be spent.".to_owned(),
        ),
        State::Paid => (
            format!("{} added", topup.credits.display()),
            "The payment is confirmed and the credits can be spent now.".to_owned(),
        ),
        State::Failed => {
            ("The payment failed".to_owned(), format!("{} No credits were added. You can try again.", topup.failure))
        }
        State::Expired => ("The payment expired".to_owned(), "Nothing was paid and no credits were added.".to_owned()),
        State::Refunded => ("Refunded".to_owned(), "The credits were taken back and the payment returned.".to_owned()),
        State::Disputed => (
            "Disputed".to_owned(),
            "The payer's bank contests this payment, so its credits were taken back. They return if the bank decides for it.".to_owned(),
        ),
    };
    (headline, explanation)
}

/// The same where payers send the money themselves: it may come in parts, late, or be more or less than was asked.
fn of_sent(topup: &TopUp) -> (String, String) {
    let (headline, explanation) = match topup.state() {
        State::Pending if topup.seen >= topup.total => (
            "The payment has been seen".to_owned(),
            "The credits arrive when the network has confirmed it, which can take an hour. You can leave this page; nothing is lost.".to_owned(),
        ),
        State::Pending if topup.seen.is_positive() => (
            format!("{} of {} has been seen", topup.seen.display(), topup.total.display()),
            "Send the rest while the payment page is open. If its time runs out, what came in is credited at the same rate.".to_owned(),
        ),
        State::Pending => (
            "Waiting for the payment".to_owned(),
            "Send the whole total in one payment. The credits arrive when the network has confirmed it. You can leave this page; nothing is lost.".to_owned(),
        ),
        State::Expired => (
            "The payment expired".to_owned(),
            "Nothing came in before its time ran out, and no credits were added. Should money arrive late, its credits are added by themselves.".to_owned(),
        ),
        State::Paid if !topup.oddity().is_empty() && !topup.refunded.is_positive() => {
            (format!("{} added", topup.credits.display()), topup.oddity())
        }
        _ => of_any(topup),
    };
    (headline, explanation)
}
