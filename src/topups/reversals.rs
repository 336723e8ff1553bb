//! Money that goes back or is contested. Every transfer here is the opposite of one that came before, and is posted
//! once for each refund, and once for each time that a dispute takes the money or gives it back.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::auto;
use super::book::{by_program, clearing, settle_state};
use super::payment::{DisputeSeen, DisputeState, Payment, RefundSeen, RefundState};
use super::returned::{self, Contested, News};
use super::store::{self, DisputeRow, NewRefund, RefundRow};
use super::topup::TopUp;
use crate::audit::{self, Action};
use crate::base::Usd;
use crate::base::ids::{DisputeId, PersonId, RefundId};
use crate::ledger::{self, Code, HouseAccount, Posting};

/// Books what the processor says of refunds and disputes of a locked, credited purchase. What is sent back of a payment
/// that came in more than once is spread over the purchases that it became.
pub async fn book(conn: &mut PgConnection, topup: &mut TopUp, payment: &Payment) -> anyhow::Result<()> {
    if !payment.refunds.is_empty() {
        let mut more = store::lock_more_of(conn, topup.org, topup.id).await?;
        for seen in &payment.refunds {
            refund(conn, topup, &mut more, seen).await?;
        }
        for one in &mut more {
            settle_state(conn, one).await?;
        }
    }
    for seen in &payment.disputes {
        dispute(conn, topup, seen).await?;
    }
    Ok(())
}

async fn refund(
    conn: &mut PgConnection,
    topup: &mut TopUp,
    more: &mut [TopUp],
    seen: &RefundSeen,
) -> anyhow::Result<()> {
    let mut known = false;
    for one in std::iter::once(&mut *topup).chain(more.iter_mut()) {
        if let Some(row) = store::lock_refund(conn, one, seen).await? {
            known = true;
            settle(conn, one, &row, seen.state, Some(&seen.reference), "").await?;
        }
    }
    // One that failed and is new took nothing from anybody.
    if known || seen.state == RefundState::Failed {
        return Ok(());
    }
    let kept: Vec<Usd> = std::iter::once(&*topup).chain(more.iter()).map(TopUp::kept).collect();
    let parts = spread(&kept, seen.amount);
    let mut id = seen.ours;
    for (one, part) in std::iter::once(topup).chain(more.iter_mut()).zip(parts) {
        if part.is_positive() {
            let id = id.take().unwrap_or_else(RefundId::fresh);
            let row = take(conn, one, id, part, "processor", None).await?;
            settle(conn, one, &row, seen.state, Some(&seen.reference), "").await?;
        }
    }
    Ok(())
}

/// A sum over purchases of which so much is kept, one after the other. What is more than all of them is with the first.
fn spread(kept: &[Usd], amount: Usd) -> Vec<Usd> {
    let mut left = amount;
    let mut parts: Vec<Usd> = kept
        .iter()
        .map(|kept| {
            let part = left.min(*kept);
            left -= part;
            part
        })
        .collect();
    if let Some(first) = parts.first_mut() {
        *first += left;
    }
    parts
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
    let (credits, fee) = topup.split(amount, store::taken(conn, topup).await?);
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

/// Whether what is seen of a dispute is newer than its row. One that has ended changes only when its money has moved
/// again since, as when a bank decides anew, and an open one never by an answer from before its money moved last; anything
/// else is an old answer that comes late.
fn is_news(known: Option<&DisputeRow>, seen: &DisputeSeen) -> bool {
    let Some(row) = known else { return seen.state != DisputeState::Closed };
    match row.state.as_str() {
        same if same == seen.state.as_str() => false,
        "won" | "lost" | "closed" => seen.state != DisputeState::Inquiry && seen.moves > row.moves,
        "open" => seen.state != DisputeState::Inquiry && seen.moves >= row.moves,
        _ => true,
    }
}

/// Under what the transfers of a dispute stand, and what is told of them: each time that it takes the money has its own.
pub fn dispute_reference(id: DisputeId, turn: i32) -> String {
    if turn > 1 { format!("{id}:{turn}") } else { id.to_string() }
}

async fn dispute(conn: &mut PgConnection, topup: &mut TopUp, seen: &DisputeSeen) -> anyhow::Result<()> {
    let known = store::lock_dispute(conn, &topup.processor, &seen.reference).await?;
    if !is_news(known.as_ref(), seen) {
        if let Some(row) = known.filter(|row| seen.moves > row.moves) {
            store::set_moves(conn, topup, &row, seen.moves).await?;
        }
        return Ok(());
    }
    let before = known.as_ref().map(|row| row.state.clone());
    let (text, takes) = (seen.state.as_str(), seen.state.takes());
    let mut row = match known {
        Some(row) => row,
        None => {
            let (credits, fee, state) = (Usd::ZERO, Usd::ZERO, String::new());
            let row = DisputeRow { id: DisputeId::fresh(), credits, fee, state, moves: 0, turn: 1 };
            store::insert_dispute(conn, topup, &row, seen).await?;
            row
        }
    };
    let taken = matches!(row.state.as_str(), "open" | "lost");
    if takes && !taken {
        let ended = matches!(row.state.as_str(), "won" | "closed");
        row.turn = row.turn.max(1) + i32::from(ended);
        (row.credits, row.fee) = topup.split(seen.amount, store::taken(conn, topup).await?);
    }
    let reference = dispute_reference(row.id, row.turn);
    if takes && !taken {
        post(conn, topup, Code::Dispute, &reference, row.credits, row.fee).await?;
        auto::contested(conn, topup.org, topup.id).await?;
        topup.disputed += seen.amount;
    }
    if taken && !takes {
        post(conn, topup, Code::DisputeWon, &reference, row.credits, row.fee).await?;
        topup.disputed -= row.credits + row.fee;
    }
    store::set_taken_back(conn, topup).await?;
    text.clone_into(&mut row.state);
    row.moves = row.moves.max(seen.moves);
    store::set_dispute(conn, topup, &row).await?;
    let after = json!({ "amount": seen.amount.exact(), "state": text, "reason": seen.reason });
    let entry = by_program(topup, Action::DisputeChanged);
    audit::record(conn, entry.change(before.map_or(Value::Null, Value::String), after)).await?;
    let (credits, fee) = (row.credits, row.fee);
    let about = Contested { id: row.id, reference: &reference, seen, credits, fee, taken_before: taken };
    match seen.state {
        // Nothing was taken, and nothing is asked of anybody here.
        DisputeState::Inquiry => Ok(()),
        DisputeState::Closed if !taken => Ok(()),
        DisputeState::Open => returned::tell(conn, topup, News::Opened(about)).await,
        DisputeState::Won | DisputeState::Closed => returned::tell(conn, topup, News::Won(about)).await,
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

#[cfg(test)]
mod tests {
    use DisputeState::{Closed, Inquiry, Lost, Open, Won};

    use super::*;

    #[test]
    fn what_goes_back_is_spread_over_what_is_kept_and_the_rest_is_with_the_first() {
        let cents = |list: &[i64]| list.iter().copied().map(Usd::from_cents).collect::<Vec<_>>();
        for (kept, amount, parts) in [
            (&[2_105, 1_000][..], 500, &[500, 0][..]),
            (&[2_105, 1_000], 3_105, &[2_105, 1_000]),
            (&[0, 1_000, 700], 1_200, &[0, 1_000, 200]),
            (&[2_105, 1_000], 3_200, &[2_200, 1_000]),
            (&[2_110], 2_600, &[2_600]),
        ] {
            assert_eq!(spread(&cents(kept), Usd::from_cents(amount)), cents(parts), "{kept:?} {amount}");
        }
    }

    #[test]
    fn a_dispute_that_ended_changes_only_when_its_money_moved_again() {
        let row = |state: &str, moves| DisputeRow {
            id: DisputeId::fresh(),
            credits: Usd::ZERO,
            fee: Usd::ZERO,
            state: state.to_owned(),
            moves,
            turn: 1,
        };
        let seen = |state, moves| DisputeSeen {
            reference: "dp_1".to_owned(),
            amount: Usd::from_cents(2_110),
            state,
            reason: String::new(),
            moves,
        };
        for (before, state, moves, news) in [
            (None, Open, 1, true),
            (None, Inquiry, 0, true),
            (None, Closed, 0, false),
            (Some(("inquiry", 0)), Closed, 0, true),
            (Some(("inquiry", 0)), Open, 1, true),
            (Some(("open", 1)), Inquiry, 0, false),
            (Some(("open", 1)), Won, 1, true),
            (Some(("open", 1)), Closed, 0, false),
            (Some(("open", 3)), Won, 2, false),
            (Some(("won", 2)), Won, 2, false),
            (Some(("won", 2)), Open, 1, false),
            (Some(("won", 2)), Lost, 2, false),
            (Some(("won", 2)), Lost, 3, true),
            (Some(("lost", 1)), Won, 1, false),
            (Some(("lost", 1)), Won, 2, true),
            (Some(("closed", 0)), Inquiry, 0, false),
            (Some(("closed", 0)), Open, 1, true),
        ] {
            let before = before.map(|(state, moves)| row(state, moves));
            assert_eq!(is_news(before.as_ref(), &seen(state, moves)), news, "{before:?} {state:?} {moves}");
        }
    }
}
