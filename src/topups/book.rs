//! Booking a payment: the only way in which a processor's word moves money. What the processor tells is compared with
//! what the books hold, and the difference is posted, so booking the same word again, or an older one after a newer
//! one, changes nothing.

use std::fmt;

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::payment::{Payment, PaymentState};
use super::processors::Processor;
use super::topup::{State, TopUp};
use super::warned::RefundWarned;
use super::{auto, billing, methods, reversals, store};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::TopUpId;
use crate::base::{Origin, Usd};
use crate::hooks;
use crate::ledger::{self, Code, HouseAccount, Posting};
use crate::orgs;

/// What booking came to, for the log and the inbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No purchase of ours belongs to it.
    Foreign,
    /// It says what was known.
    Nothing,
    Changed(State),
    /// Money came in that must not be credited by itself; the text says why.
    Refused(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Foreign => f.write_str("no purchase of ours"),
            Outcome::Nothing => f.write_str("changes nothing"),
            Outcome::Changed(state) => f.write_str(state.as_str()),
            Outcome::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

/// Books one payment in the caller's transaction.
///
/// # Errors
/// Database errors, and postings that contradict earlier ones; the caller rolls back.
pub async fn payment(conn: &mut PgConnection, by: &dyn Processor, payment: &Payment) -> anyhow::Result<Outcome> {
    let Some(mut topup) = store::lock_of_payment(conn, by.name(), payment).await? else {
        return Ok(Outcome::Foreign);
    };
    if let Some(why) = unfit(by, &topup, payment) {
        tracing::error!(topup = %topup.id, why, "a payment does not fit its purchase; nothing was credited");
        return Ok(Outcome::Refused(why));
    }
    hooks::hold(conn, topup.org).await?;
    let before = topup.state();
    store::note_payment(conn, &topup, payment).await?;
    if payment.seen != topup.seen && !before.is_credited() {
        store::set_seen(conn, &topup, payment.seen).await?;
    }
    if topup.is_auto() {
        auto::wants_payer(conn, &topup, payment).await?;
    }
    if let Some(next) = before.after(&payment.state) {
        advance(conn, &mut topup, next, payment).await?;
        if by.payers_choose() {
            store::go_on_asking(conn, &topup).await?;
        }
    }
    let more = match topup.state().is_credited() && by.payers_choose() {
        true => credit_more(conn, &topup, payment).await?,
        false => false,
    };
    if topup.state().is_credited() {
        reversals::book(conn, &mut topup, payment).await?;
        settle_state(conn, &mut topup).await?;
        if let Some(fee) = payment.processor_fee.filter(|fee| topup.processor_fee != Some(*fee)) {
            store::set_processor_fee(conn, &topup, fee).await?;
        }
    }
    if let Some(kind) = payment.fraud_warning.as_ref().filter(|_| topup.state().is_credited()) {
        warn_of_fraud(conn, &topup, kind).await?;
    }
    if let Some(saved) = payment.saved.as_ref().filter(|_| topup.state().is_credited()) {
        methods::keep(conn, topup.org, by.name(), saved).await?;
    }
    Ok(if topup.state() == before && !more { Outcome::Nothing } else { Outcome::Changed(topup.state()) })
}

/// The payer's bank reports fraud: a dispute often follows, and a refund before it costs less. Who decides is the
/// operator, by a setting or by hand, so the log and a counter tell of it, once.
async fn warn_of_fraud(conn: &mut PgConnection, topup: &TopUp, kind: &str) -> anyhow::Result<()> {
    if store::set_fraud_warned(conn, topup).await? {
        auto::contested(conn, topup.org, topup.id).await?;
        RefundWarned { org: topup.org, topup: topup.id }.enqueue(conn).await?;
        metrics::counter!("farebox_fraud_warnings_total", "processor" => topup.processor.clone()).increment(1);
        tracing::warn!(topup = %topup.id, kind, "a payment was reported as fraud; consider a refund");
        let entry = by_program(topup, Action::FraudWarned);
        audit::record(conn, entry.change(Value::Null, json!({ "kind": kind }))).await?;
    }
    Ok(())
}

/// Brings the state of a credited purchase in line with what was taken back of it.
pub async fn settle_state(conn: &mut PgConnection, topup: &mut TopUp) -> Result<(), sqlx::Error> {
    let next = topup.credited_state();
    if next != topup.state() {
        store::set_state(conn, topup, next, "").await?;
        next.as_str().clone_into(&mut topup.state);
    }
    Ok(())
}

fn unfit(by: &dyn Processor, topup: &TopUp, payment: &Payment) -> Option<String> {
    if let Some(why) = &payment.unfit {
        return Some(why.clone());
    }
    if payment.topup.is_some_and(|id| id != topup.id) {
        return Some("it names another purchase".to_owned());
    }
    if topup.payment_ref.is_some() && payment.payment_ref.is_some() && topup.payment_ref != payment.payment_ref {
        return Some("the purchase was paid by another payment".to_owned());
    }
    let other_checkout = topup.processor_ref.as_ref().is_some_and(|known| *known != payment.reference);
    if other_checkout && payment.payment_ref.is_none() {
        return Some("the purchase has another checkout".to_owned());
    }
    let credited = topup.state().is_credited();
    let differs = payment.state == PaymentState::Paid && payment.received != topup.total && !credited;
    let accepted = by.payers_choose() && topup.credits_for(payment.received).is_positive();
    (differs && !accepted).then(|| format!("paid {} instead of {}", payment.received.exact(), topup.total.exact()))
}

/// An entry about a purchase that no person made.
pub fn by_program(topup: &TopUp, action: Action) -> Entry {
    let target = Target::new("topup", topup.id, "");
    Entry::new(Chain::Org(topup.org), Actor::System, action, &Origin::here()).on(target)
}

async fn advance(conn: &mut PgConnection, topup: &mut TopUp, next: State, payment: &Payment) -> anyhow::Result<()> {
    if next == State::Paid {
        adjust(conn, topup, payment.received).await?;
        credit(conn, topup).await?;
    }
    let failure = match &payment.state {
        PaymentState::Failed { reason } => reason.clone(),
        PaymentState::Cancelled => {
            let given_up = store::given_up(conn, topup.org, topup.id).await?;
            given_up.unwrap_or_else(|| "The payment was cancelled.".to_owned())
        }
        _ => String::new(),
    };
    store::set_state(conn, topup, next, &failure).await?;
    topup.state = next.as_str().to_owned();
    if topup.is_auto() {
        auto::ended(conn, topup, next, &failure).await?;
    }
    if next == State::Paid {
        acknowledge(conn, topup).await?;
    }
    Ok(())
}

/// The receipt of what came in, and its entry in the log. What came in for an organization that is gone is credited as well,
/// for that is where the money belongs, and nobody can spend it: an operator decides whether it goes back.
async fn acknowledge(conn: &mut PgConnection, topup: &TopUp) -> anyhow::Result<()> {
    if orgs::is_gone(conn, topup.org).await? {
        metrics::counter!("farebox_payments_for_deleted_total").increment(1);
        tracing::warn!(topup = %topup.id, org = %topup.org, "a payment came in for an organization that is deleted; consider a refund");
    }
    billing::issue(conn, topup).await?;
    let after = json!({ "credits": topup.credits.exact(), "total": topup.total.exact(), "method": topup.method });
    let entry = by_program(topup, Action::TopupPaid);
    Ok(audit::record(conn, entry.change(Value::Null, after)).await?)
}

/// What came in beyond what a locked purchase was credited for becomes a purchase of its own, at the same rate. A receipt
/// that was written and mailed never changes, so each of the two has its own. False when nothing more came in.
async fn credit_more(conn: &mut PgConnection, topup: &TopUp, payment: &Payment) -> anyhow::Result<bool> {
    let known: Usd = store::more_of(conn, topup.org, topup.id).await?.iter().map(|more| more.total).sum();
    let extra = payment.received - topup.total - known;
    if payment.state != PaymentState::Paid || !extra.is_positive() {
        return Ok(false);
    }
    let credits = topup.credits_for(extra);
    let mut more = TopUp {
        id: TopUpId::fresh(),
        credits,
        fee: extra - credits,
        total: extra,
        asked: None,
        asked_credits: None,
        more_of: Some(topup.id),
        state: State::Pending.as_str().to_owned(),
        receipt_number: None,
        ..topup.clone()
    };
    store::insert_more(conn, &more).await?;
    credit(conn, &more).await?;
    store::set_state(conn, &more, State::Paid, "").await?;
    State::Paid.as_str().clone_into(&mut more.state);
    acknowledge(conn, &more).await?;
    Ok(true)
}

/// Where payers send amounts themselves, what came is what counts.
async fn adjust(conn: &mut PgConnection, topup: &mut TopUp, received: Usd) -> anyhow::Result<()> {
    if received == topup.total {
        return Ok(());
    }
    let credits = topup.credits_for(received);
    (topup.asked, topup.asked_credits) = (Some(topup.total), Some(topup.credits));
    (topup.credits, topup.fee, topup.total) = (credits, received - credits, received);
    store::set_amounts(conn, topup).await?;
    Ok(())
}

async fn credit(conn: &mut PgConnection, topup: &TopUp) -> anyhow::Result<()> {
    let parts = [
        (Code::TopUp, ledger::credit_account(topup.org), topup.credits),
        (Code::TopUpFee, HouseAccount::FeeRevenue.id(), topup.fee),
    ];
    for (code, credit, amount) in parts.into_iter().filter(|(.., amount)| amount.is_positive()) {
        let posting = Posting {
            code,
            reference: topup.id.to_string(),
            debit: clearing(topup)?,
            credit,
            amount,
            org: Some(topup.org),
            memo: topup.method.clone(),
        };
        ledger::post(conn, posting).await?;
    }
    Ok(())
}

/// The clearing account of a purchase's processor.
pub fn clearing(topup: &TopUp) -> anyhow::Result<crate::base::ids::AccountId> {
    ledger::processor_account(&topup.processor)
        .ok_or_else(|| anyhow::anyhow!("the books have no account for {}", topup.processor))
}
