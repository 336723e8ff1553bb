//! Stripe's objects in our words.

use std::collections::HashMap;

use chrono::DateTime;
use stripe_shared::{
    ApiErrorsCode, Charge, CheckoutSession, CheckoutSessionStatus, Dispute, DisputeStatus, PaymentIntent,
    PaymentIntentSetupFutureUsage, PaymentIntentStatus, PaymentMethod, Refund, SetupIntentStatus,
};
use stripe_types::Currency;

use super::{REFUND, TOPUP};
use crate::base::Usd;
use crate::base::ids::TopUpId;
use crate::topups::payment::{DisputeSeen, DisputeState, Payment, PaymentState, RefundSeen, RefundState, SavedMethod};
use crate::topups::processors::SetupState;

/// The purchase that an object names.
pub fn topup_of(metadata: &HashMap<String, String>) -> Option<TopUpId> {
    metadata.get(TOPUP)?.parse().ok()
}

fn unfit(currency: &Currency, livemode: bool, live: bool) -> Option<String> {
    if *currency != Currency::USD {
        return Some(format!("it is in {currency}, not in US dollars"));
    }
    (livemode != live).then(|| "it belongs to Stripe's other mode".to_owned())
}

/// A checkout, with its payment expanded once there is one.
pub fn session(session: &CheckoutSession, live: bool) -> Payment {
    let topup = session.metadata.as_ref().and_then(topup_of);
    let over = session.status == Some(CheckoutSessionStatus::Complete);
    let paid = session.payment_intent.as_ref().and_then(|intent| intent.as_object());
    let mut payment = match paid {
        Some(found) => intent(found, live),
        None => Payment {
            payment_ref: session.payment_intent.as_ref().map(|intent| intent.id().to_string()),
            unfit: session.currency.as_ref().and_then(|currency| unfit(currency, session.livemode, live)),
            created_at: DateTime::from_timestamp(session.created, 0),
            ..Payment::open(String::new(), topup)
        },
    };
    payment.reference = session.id.to_string();
    payment.topup = topup;
    payment.state = match payment.state {
        // Somebody whose card was declined may try another one while the checkout is open.
        PaymentState::Failed { .. }
        | PaymentState::Cancelled
        | PaymentState::NeedsAction { .. }
        | PaymentState::WantsPayer
            if !over =>
        {
            PaymentState::Open
        }
        state => state,
    };
    if session.status == Some(CheckoutSessionStatus::Expired) && payment.state != PaymentState::Paid {
        payment.state = PaymentState::Expired;
    }
    payment
}

/// A payment by itself, with its last charge expanded.
pub fn intent(intent: &PaymentIntent, live: bool) -> Payment {
    let id = intent.id.to_string();
    let charge = intent.latest_charge.as_ref().and_then(|charge| charge.as_object());
    let state = state(intent);
    let paid = state == PaymentState::Paid;
    Payment {
        payment_ref: Some(id.clone()),
        received: if paid { Usd::from_cents(intent.amount_received) } else { Usd::ZERO },
        state,
        unfit: unfit(&intent.currency, intent.livemode, live),
        saved: if paid { saved(intent, charge) } else { None },
        processor_fee: charge.filter(|_| paid).and_then(charge_fee),
        created_at: DateTime::from_timestamp(intent.created, 0),
        ..Payment::open(id, topup_of(&intent.metadata))
    }
}

fn state(intent: &PaymentIntent) -> PaymentState {
    match &intent.status {
        PaymentIntentStatus::Succeeded => PaymentState::Paid,
        PaymentIntentStatus::Processing => PaymentState::Processing,
        PaymentIntentStatus::Canceled => PaymentState::Cancelled,
        PaymentIntentStatus::RequiresAction => match next_url(intent) {
            Some(url) => PaymentState::NeedsAction { url },
            None => PaymentState::Open,
        },
        // Not the end: whoever charged it goes on to confirm it with its payer. Their message may be read before they do.
        PaymentIntentStatus::RequiresPaymentMethod if wants_payer(intent) => PaymentState::WantsPayer,
        PaymentIntentStatus::RequiresPaymentMethod => match reason(intent) {
            Some(reason) => PaymentState::Failed { reason },
            None => PaymentState::Open,
        },
        _ => PaymentState::Open,
    }
}

fn next_url(intent: &PaymentIntent) -> Option<String> {
    intent.next_action.as_ref()?.redirect_to_url.as_ref()?.url.clone()
}

/// Why it was declined, for people.
pub fn reason(intent: &PaymentIntent) -> Option<String> {
    let error = intent.last_payment_error.as_ref()?;
    Some(error.message.clone().unwrap_or_else(|| "The payment was declined.".to_owned()))
}

/// What Stripe took of a charge; nothing known until it is on the balance.
fn charge_fee(charge: &Charge) -> Option<Usd> {
    let moved = charge.balance_transaction.as_ref()?.as_object()?;
    Some(Usd::from_cents(moved.fee))
}

/// What Stripe took for a dispute, less what it gave back of that.
pub fn dispute_fee(dispute: &Dispute) -> Usd {
    dispute.balance_transactions.iter().map(|moved| Usd::from_cents(moved.fee)).sum()
}

/// How the page on which a way to pay is kept ended.
pub fn setup(session: &CheckoutSession, live: bool) -> SetupState {
    if session.livemode != live || session.status == Some(CheckoutSessionStatus::Expired) {
        return SetupState::Over;
    }
    let intent = session.setup_intent.as_ref().and_then(|intent| intent.as_object());
    let Some(intent) = intent else { return SetupState::Open };
    match intent.status {
        SetupIntentStatus::Succeeded => {
            let method = intent.payment_method.as_ref().and_then(|method| method.as_object());
            method.and_then(kept).map_or(SetupState::Over, SetupState::Kept)
        }
        SetupIntentStatus::Canceled => SetupState::Over,
        _ => SetupState::Open,
    }
}

fn kept(method: &PaymentMethod) -> Option<SavedMethod> {
    let reference = method.id.to_string();
    if let Some(card) = &method.card {
        return Some(card_named(reference, Some(&card.brand), Some(&card.last4), (card.exp_month, card.exp_year)));
    }
    if let Some(bank) = &method.us_bank_account {
        return Some(bank_named(reference, bank.bank_name.as_deref(), bank.last4.as_deref()));
    }
    if let Some(cash) = &method.cashapp {
        return Some(cash_named(reference, cash.cashtag.as_deref()));
    }
    method.amazon_pay.as_ref().map(|_| amazon_named(reference))
}

fn named(reference: String, method: &str, label: String, expires: String) -> SavedMethod {
    SavedMethod { reference, method: method.to_owned(), label, expires }
}

fn ending(name: &str, last4: Option<&str>) -> String {
    last4.map_or_else(|| name.to_owned(), |last4| format!("{name} ending in {last4}"))
}

fn card_named(reference: String, brand: Option<&str>, last4: Option<&str>, (month, year): (i64, i64)) -> SavedMethod {
    let brand = brand.map_or_else(|| "Card".to_owned(), capitalized);
    named(reference, "card", ending(&brand, last4), format!("{month:02}/{:02}", year % 100))
}

fn bank_named(reference: String, bank: Option<&str>, last4: Option<&str>) -> SavedMethod {
    named(reference, "us_bank_account", ending(bank.unwrap_or("Bank account"), last4), String::new())
}

fn cash_named(reference: String, tag: Option<&str>) -> SavedMethod {
    let label = format!("Cash App {}", tag.unwrap_or_default());
    named(reference, "cashapp", label.trim().to_owned(), String::new())
}

fn amazon_named(reference: String) -> SavedMethod {
    named(reference, "amazon_pay", "Amazon Pay".to_owned(), String::new())
}

/// Whether the bank wants to see the payer before it pays.
fn wants_payer(intent: &PaymentIntent) -> bool {
    let error = intent.last_payment_error.as_ref();
    error.is_some_and(|error| error.code == Some(ApiErrorsCode::AuthenticationRequired))
}

fn saved(intent: &PaymentIntent, charge: Option<&Charge>) -> Option<SavedMethod> {
    if intent.setup_future_usage != Some(PaymentIntentSetupFutureUsage::OffSession) {
        return None;
    }
    let reference = intent.payment_method.as_ref()?.id().to_string();
    let details = charge?.payment_method_details.as_ref()?;
    if let Some(card) = &details.card {
        let expires = (card.exp_month, card.exp_year);
        return Some(card_named(reference, card.brand.as_deref(), card.last4.as_deref(), expires));
    }
    if let Some(bank) = &details.us_bank_account {
        return Some(bank_named(reference, bank.bank_name.as_deref(), bank.last4.as_deref()));
    }
    if let Some(cash) = &details.cashapp {
        return Some(cash_named(reference, cash.cashtag.as_deref()));
    }
    details.amazon_pay.as_ref().map(|_| amazon_named(reference))
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub fn refund(refund: &Refund) -> RefundSeen {
    RefundSeen {
        reference: refund.id.to_string(),
        ours: refund.metadata.as_ref().and_then(|metadata| metadata.get(REFUND)?.parse().ok()),
        amount: Usd::from_cents(refund.amount),
        state: match refund.status.as_deref() {
            Some("succeeded") => RefundState::Succeeded,
            Some("failed" | "canceled") => RefundState::Failed,
            _ => RefundState::Pending,
        },
    }
}

/// `None` for a status that we do not know.
pub fn dispute(dispute: &Dispute) -> Option<DisputeSeen> {
    let moved = &dispute.balance_transactions;
    let state = match &dispute.status {
        DisputeStatus::Won => DisputeState::Won,
        DisputeStatus::Lost => DisputeState::Lost,
        DisputeStatus::NeedsResponse | DisputeStatus::UnderReview => DisputeState::Open,
        DisputeStatus::WarningNeedsResponse | DisputeStatus::WarningUnderReview => DisputeState::Inquiry,
        // One that was settled before it became a dispute may have taken the money all the same.
        DisputeStatus::Prevented | DisputeStatus::WarningClosed => {
            let net: i64 = moved.iter().map(|moved| moved.amount).sum();
            if net < 0 { DisputeState::Lost } else { DisputeState::Closed }
        }
        _ => return None,
    };
    Some(DisputeSeen {
        reference: dispute.id.to_string(),
        amount: Usd::from_cents(dispute.amount),
        state,
        reason: dispute.reason.replace('_', " "),
        moves: i32::try_from(moved.len()).unwrap_or(i32::MAX),
    })
}
