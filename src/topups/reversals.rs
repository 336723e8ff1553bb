//! Money that goes back or is contested. Every transfer here is the opposite of one that came before, and is posted
//! once for each refund and each dispute.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::book::{by_program, clearing};
use super::payment::{DisputeSeen, DisputeState, Payment, RefundSeen, RefundState};
use super::returned::{self, Contested, News};
use super::store::{self, DisputeRow, NewRefund, RefundRow};
use super::topup::TopUp;
use crate::audit::{self, Action};
use crate::base::Usd;
use crate::base::ids::{DisputeId, PersonId, RefundId};
use crate::ledger::{self, Code, HouseAccount, Posting};

/// Books what the processor says of refunds and disputes of a locked, credited purchase.
pub async fn book(conn: &mut PgConnection, topup: &mut TopUp, payment: &Payment) -> anyhow::Result<()> {
    for seen in &payment.refunds {
        refund(conn, topup, seen).await?;
    }
    for seen in &payment.disputes {
        dispute(conn, topup, seen).await?;
    }
    Ok(())
}

async fn refund(conn: &mut PgConnection, topup: &mut TopUp, seen: &RefundSeen) -> anyhow::Result<()> {
    let known = store::lock_refund(conn, topup, seen).await?;
    let row = match known {
        Some(row) => row,
        // It took nothing from anybody.
        None if seen.state == RefundState::Failed => return Ok(()),
        None => take(conn, topup, seen.ours.unwrap_or_else(RefundId::fresh), seen.amount, "processor", None).await?,
    };
    settle(conn, topup, &row, seen.state, Some(&seen.reference), "").await
}

/// Takes what goes back out of the credits and the fee, and writes the refund down as pending.
pub async fn take(
    conn: &mut PgConnection,
    topup: &mut TopUp,
    id: RefundId,
    amount: Usd,
    origin: &'static str,
    by: Option<PersonId>,
) -> anyhow::Result<RefundRow> {
    let (credits, fee) = topup.split(amount);
    post(conn, topup, Code::Refund, &id.to_string(), credits, fee).await?;
    topup.refunded += amount;
    store::set_taken_back(conn, topup).await?;
    let new = NewRefund { id, amount, credits, fee, origin, by };
    store::insert_refund(conn, topup, &new).await?;
    Ok(RefundRow { id, amount, credits, fee, state: "pending".to_owned(), origin: origin.to_owned() })
}

/// Writes down how a refund ended. One that failed gives back what was taken; what ended stays so.
pub async fn settle(
    conn: &mut PgConnection,
    topup: &mut TopUp,
    row: &RefundRow,
    state: RefundState,
    reference: Option<&str>,
    failure: &str,
) -> anyhow::Result<()> {
    let text = match state {
        RefundState::Pending => "pending",
        RefundState::Succeeded => "succeeded",
        RefundState::Failed => "failed",
    };
    // A bank may send a refund back days after it seemed to have arrived; nothing else changes what ended.
    let moves = matches!((row.state.as_str(), text), ("pending", _) | ("succeeded", "failed"));
    if !moves {
        return Ok(());
    }
    store::set_refund(conn, topup, row.id, text, reference, failure).await?;
    if row.state == text {
        return Ok(());
    }
    if state == RefundState::Failed {
        post(conn, topup, Code::RefundFailed, &row.id.to_string(), row.credits, row.fee).await?;
        topup.refunded -= row.amount;
        store::set_taken_back(conn, topup).await?;
    }
    let after = json!({ "amount": row.amount.exact(), "state": text });
    audit::record(conn, by_program(topup, Action::RefundEnded).change(Value::Null, after)).await?;
    match state {
        RefundState::Pending => Ok(()),
        RefundState::Succeeded => returned::tell(conn, topup, News::Refunded(row)).await,
        RefundState::Failed => returned::tell(conn, topup, News::RefundFailed(row, failure)).await,
    }
}

async fn dispute(conn: &mut PgConnection, topup: &mut TopUp, seen: &DisputeSeen) -> anyhow::Result<()> {
    let known = store::lock_dispute(conn, &topup.processor, &seen.reference).await?;
    let before = known.as_ref().map(|row| row.state.clone());
    let text = match seen.state {
        DisputeState::Inquiry => "inquiry",
        DisputeState::Open => "open",
        DisputeState::Won => "won",
        DisputeState::Lost => "lost",
    };
    if before.as_deref() == Some(text) || matches!(before.as_deref(), Some("won" | "lost")) {
        return Ok(());
    }
    if before.as_deref() == Some("open") && text == "inquiry" {
        return Ok(());
    }
    let row = match known {
        Some(row) => row,
        None => {
            let row = DisputeRow { id: DisputeId::fresh(), credits: Usd::ZERO, fee: Usd::ZERO, state: String::new() };
            store::insert_dispute(conn, topup, &row, seen).await?;
            row
        }
    };
    let taken = row.state == "open";
    let takes = matches!(seen.state, DisputeState::Open | DisputeState::Lost);
    let (mut credits, mut fee) = (row.credits, row.fee);
    let reference = row.id.to_string();
    if takes && !taken {
        (credits, fee) = topup.split(seen.amount);
        post(conn, topup, Code::Dispute, &reference, credits, fee).await?;
        topup.disputed += seen.amount;
    }
    if taken && seen.state == DisputeState::Won {
        post(conn, topup, Code::DisputeWon, &reference, credits, fee).await?;
        topup.disputed -= credits + fee;
    }
    store::set_taken_back(conn, topup).await?;
    store::set_dispute(conn, topup, &DisputeRow { id: row.id, credits, fee, state: text.to_owned() }).await?;
    let after = json!({ "amount": seen.amount.exact(), "state": text, "reason": seen.reason });
    let entry = by_program(topup, Action::DisputeChanged);
    audit::record(conn, entry.change(before.map_or(Value::Null, Value::String), after)).await?;
    let about = Contested { id: row.id, seen, credits, fee, taken_before: taken };
    match seen.state {
        // Nothing was taken, and nothing is asked of anybody here.
        DisputeState::Inquiry => Ok(()),
        DisputeState::Open => returned::tell(conn, topup, News::Opened(about)).await,
        DisputeState::Won => returned::tell(conn, topup, News::Won(about)).await,
        DisputeState::Lost => returned::tell(conn, topup, News::Lost(about)).await,
    }
}

/// Moves credits and fee between their accounts and the processor's, each as a transfer of its own. A refund and a
/// dispute go to the processor, even below zero, for the money is gone either way; what ends them comes back.
async fn post(
    conn: &mut PgConnection,
    topup: &TopUp,
    code: Code,
    reference: &str,
    credits: Usd,
    fee: Usd,
) -> anyhow::Result<()> {
    let clearing = clearing(topup)?;
    let comes_back = matches!(code, Code::RefundFailed | Code::DisputeWon);
    let parts = [
        (reference.to_owned(), ledger::credit_account(topup.org), credits),
        (format!("{reference}:fee"), HouseAccount::FeeRevenue.id(), fee),
    ];
    for (reference, ours, amount) in parts.into_iter().filter(|(.., amount)| amount.is_positive()) {
        let (debit, credit) = if comes_back { (clearing, ours) } else { (ours, clearing) };
        let org = Some(topup.org);
        let posting = Posting { code, reference, debit, credit, amount, org, memo: topup.id.to_string() };
        ledger::post(conn, posting).await?;
    }
    Ok(())
}
