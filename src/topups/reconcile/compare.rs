//! One payment, as its processor tells it and as it stands in the books.

use sqlx::PgConnection;

use super::finding::{Finding, FindingKind};
use crate::base::Usd;
use crate::base::ids::TopUpId;
use crate::ledger::{self, Code};
use crate::topups::book::{self, Outcome};
use crate::topups::payment::{Payment, PaymentState, RefundState};
use crate::topups::processors::{Processor, Returns};
use crate::topups::reversals::dispute_reference;
use crate::topups::store;
use crate::topups::topup::TopUp;

/// What a comparison of one payment came to.
#[derive(Debug, Default)]
pub struct Compared {
    /// `None` for a payment of no purchase of ours.
    pub topup: Option<TopUpId>,
    /// What the processor holds of it, and what the books say.
    pub told: Usd,
    pub booked: Usd,
    /// What the processor kept for itself.
    pub fees: Usd,
    pub findings: Vec<Finding>,
}

/// Books what one payment tells that is not in the books, and compares what both then say. Runs in the caller's
/// transaction, which is rolled back on an error.
///
/// # Errors
/// Database errors, and postings that contradict earlier ones.
pub async fn payment(conn: &mut PgConnection, by: &dyn Processor, payment: &Payment) -> anyhow::Result<Compared> {
    let Some(before) = store::lock_of_payment(conn, by.name(), payment).await? else { return Ok(Compared::default()) };
    if payment.state != PaymentState::Paid {
        return unpaid(conn, payment, &before).await;
    }
    let had = store::more_of(conn, before.org, before.id).await?;
    let outcome = book::payment(conn, by, payment).await?;
    let Some(after) = store::lock(conn, before.org, before.id).await? else { return Ok(Compared::default()) };
    if let Outcome::Refused(why) = outcome {
        let told = if payment.unfit.is_some() { Usd::ZERO } else { held_there(payment) };
        let finding = finding(FindingKind::Refused, &after, payment, why);
        // Its purchase is compared with the payment that it was paid by.
        return Ok(Compared { topup: None, told, findings: vec![finding], ..Compared::default() });
    }
    let more = store::more_of(conn, after.org, after.id).await?;
    let went_back = |first: &TopUp, more: &[TopUp]| {
        let all = || std::iter::once(first).chain(more);
        (all().map(|one| one.refunded).sum::<Usd>(), all().map(|one| one.disputed).sum::<Usd>())
    };
    let (went, goes) = (went_back(&before, &had), went_back(&after, &more));
    let mut findings = Vec::new();
    if after.state().is_credited() && !before.state().is_credited() {
        let detail = format!("{} credited. {}", after.credits.display(), after.oddity());
        let detail = detail.trim_end().trim_end_matches('.').to_owned();
        findings.push(finding(FindingKind::Credited, &after, payment, detail));
    } else if went != goes {
        let said = |(refunded, disputed): (Usd, Usd)| {
            format!("{} refunded, {} disputed", refunded.display(), disputed.display())
        };
        let detail = format!("{} instead of {}", said(goes), said(went));
        findings.push(finding(FindingKind::Booked, &after, payment, detail));
    }
    let mut booked = held_here(conn, &after).await?;
    // Money that is on its way back left the books when it was asked for, and is with the processor until it is sent.
    let mut told = held_there(payment) - gone(conn, by, &after, payment).await?;
    for one in &more {
        booked += held_here(conn, one).await?;
        told -= gone(conn, by, one, payment).await?;
    }
    if more.len() > had.len() {
        let sum: Usd = more.iter().skip(had.len()).map(|one| one.credits).sum();
        let detail = format!("{} credited for what came in later", sum.display());
        findings.push(finding(FindingKind::Credited, &after, payment, detail));
    }
    if told != booked {
        let detail = format!("the processor holds {}, the books say {}", told.display_exact(), booked.display_exact());
        findings.push(finding(FindingKind::Differs, &after, payment, detail));
    }
    let fees = after.processor_fee.unwrap_or_default();
    Ok(Compared { topup: Some(after.id), told, booked, fees, findings })
}

/// A payment that is not paid is a finding only where its purchase was credited for it: an earlier try that failed is
/// none.
async fn unpaid(conn: &mut PgConnection, payment: &Payment, topup: &TopUp) -> anyhow::Result<Compared> {
    let same = match (&payment.payment_ref, &topup.payment_ref) {
        (Some(one), Some(other)) => one == other,
        _ => topup.processor_ref.as_ref() == Some(&payment.reference),
    };
    if !same || !topup.state().is_credited() {
        return Ok(Compared::default());
    }
    let booked = held_here(conn, topup).await?;
    let detail = format!("the books say {}", booked.display_exact());
    let findings = vec![finding(FindingKind::NotPaid, topup, payment, detail)];
    Ok(Compared { topup: Some(topup.id), booked, findings, ..Compared::default() })
}

/// A purchase that was credited and that its processor does not know.
///
/// # Errors
/// Database errors only.
pub async fn unknown(conn: &mut PgConnection, topup: &TopUp) -> Result<Compared, sqlx::Error> {
    let booked = held_here(conn, topup).await?;
    let finding = Finding {
        kind: FindingKind::NoPayment,
        topup: Some(topup.id),
        reference: topup.payment_ref.clone().or_else(|| topup.processor_ref.clone()).unwrap_or_default(),
        detail: format!("the books say {}", booked.display_exact()),
    };
    Ok(Compared { topup: Some(topup.id), booked, findings: vec![finding], ..Compared::default() })
}

fn finding(kind: FindingKind, topup: &TopUp, payment: &Payment, detail: String) -> Finding {
    let reference = payment.payment_ref.clone().unwrap_or_else(|| payment.reference.clone());
    Finding { kind, topup: Some(topup.id), reference, detail }
}

/// What came in, less what went back and what is taken until a dispute is decided.
fn held_there(payment: &Payment) -> Usd {
    let refunds = payment.refunds.iter().filter(|refund| refund.state != RefundState::Failed);
    let disputes = payment.disputes.iter().filter(|dispute| dispute.state.takes());
    let back: Usd = refunds.map(|refund| refund.amount).chain(disputes.map(|dispute| dispute.amount)).sum();
    payment.received - back
}

/// Refunds that are asked for here and that the processor has not heard of, and those that an operator sent by hand,
/// of which it never hears.
async fn gone(
    conn: &mut PgConnection,
    by: &dyn Processor,
    topup: &TopUp,
    payment: &Payment,
) -> Result<Usd, sqlx::Error> {
    let refunds = store::refunds(conn, topup.org, topup.id).await?;
    let heard = |id| payment.refunds.iter().any(|seen| seen.ours == Some(id));
    let by_hand = by.returns() == Returns::ByHand;
    let unheard = refunds.iter().filter(|refund| match refund.state.as_str() {
        // One that was made there is told by it, whatever it is called here.
        "pending" => refund.origin != "processor" && !heard(refund.id),
        "succeeded" => by_hand,
        _ => false,
    });
    Ok(unheard.map(|refund| refund.amount).sum())
}

/// The share of one purchase in the balance of its processor's clearing account.
async fn held_here(conn: &mut PgConnection, topup: &TopUp) -> Result<Usd, sqlx::Error> {
    let Ok(account) = book::clearing(topup) else { return Ok(Usd::ZERO) };
    let references = references(conn, topup).await?;
    ledger::net_of(conn, account, &references).await
}

/// Code and reference of every transfer that a purchase can have.
///
/// # Errors
/// Database errors only.
pub async fn references(conn: &mut PgConnection, topup: &TopUp) -> Result<Vec<(Code, String)>, sqlx::Error> {
    let mut all = vec![(Code::TopUp, topup.id.to_string()), (Code::TopUpFee, topup.id.to_string())];
    let mut add = |codes: [Code; 2], id: String| {
        for code in codes {
            all.push((code, id.clone()));
            all.push((code, format!("{id}:fee")));
        }
    };
    for refund in store::refunds(conn, topup.org, topup.id).await? {
        add([Code::Refund, Code::RefundFailed], refund.id.to_string());
    }
    for dispute in store::disputes(conn, topup.org, topup.id).await? {
        for turn in 1..=dispute.turn.max(1) {
            add([Code::Dispute, Code::DisputeWon], dispute_reference(dispute.id, turn));
        }
    }
    Ok(all)
}
