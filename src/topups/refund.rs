//! Sending money back because a person asks for it. The credits are taken first, in a transaction of their own; then
//! the processor is asked; what it never answered is asked again by the janitor, with the same id.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::payment::RefundState;
use super::processors::{Processor, ProcessorError, Processors, RefundOrder, Returns};
use super::store::{self, RefundRow};
use super::topup::{State, TopUp};
use super::{book, reversals};
use crate::audit::{self, Action, Entry, Target};
use crate::base::Usd;
use crate::base::ids::{OrgId, PersonId, RefundId, TopUpId};
use crate::db::moment;
use crate::hooks;
use crate::ledger;

/// How long the payer may take unused credits back.
pub const OWNER_MAY_WITHIN: Duration = Duration::hours(24);
/// Transaction ids of all networks are shorter.
const MAX_REFERENCE: usize = 200;

/// Who sends money back.
#[derive(Clone, Debug)]
pub enum By {
    /// The payer's organization: unused credits, within a day, the fee is kept.
    Owner(PersonId),
    /// Whoever runs the instance: any part of what came in, any time.
    Operator,
}

#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    #[error("There is no such payment.")]
    NotFound,
    #[error("Only a payment that came in can be refunded.")]
    NotPaid,
    #[error("Credits can be returned within 24 hours of the payment. Ask whoever runs this instance.")]
    TooLate,
    #[error("All of its credits are used, held by running calls, or were returned before.")]
    NothingLeft,
    #[error("At most {} of this payment is left to refund.", .0.display())]
    TooMuch(Usd),
    #[error("This form refunded {} before; open the page again.", .0.display())]
    Differs(Usd),
    #[error("The amount must be whole cents, above zero.")]
    Amount,
    #[error("This way to pay cannot be refunded from here.")]
    Unsupported,
    #[error("Farebox cannot send this back. Send it by hand, then write it down with `--sent <transaction>`.")]
    ByHand,
    #[error("Farebox sends this back itself; without `--sent` it does.")]
    NotByHand,
    #[error("A refund under this reference is written down already.")]
    Known,
    #[error("The reference must be what the sent money is found by, of at most 200 characters.")]
    Reference,
    /// The processor refused; the credits are back.
    #[error("The payment processor refused the refund: {0} Your credits were put back.")]
    Refused(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// What can be returned to its payer now: unused credits of a recent payment whose method can.
#[must_use]
pub fn refundable(topup: &TopUp, available: Usd, processors: &Processors, now: DateTime<Utc>) -> Usd {
    let can = processors.get(&topup.processor).is_ok_and(|by| by.returns() == Returns::Asked);
    let recent = topup.paid_at.is_some_and(|at| now - at <= OWNER_MAY_WITHIN);
    if topup.state() != State::Paid || !can || !recent {
        return Usd::ZERO;
    }
    let unused = (topup.credits - topup.refunded).min(available).max(Usd::ZERO);
    Usd::new(unused.amount().round_dp_with_strategy(2, rust_decimal::RoundingStrategy::ToZero))
}

/// Takes the credits, asks the processor, and writes down how it ended. `amount` of `None` is all that can be.
///
/// # Errors
/// See [`RefundError`]. An answer that never came is no error: the refund is pending.
pub async fn refund(
    pool: &PgPool,
    processors: &Processors,
    (org, topup): (OrgId, TopUpId),
    amount: Option<Usd>,
    by: By,
    entry: Entry,
) -> Result<RefundState, RefundError> {
    refund_once(pool, processors, (org, topup, RefundId::fresh()), amount, by, entry).await
}

/// As [`refund`], under a number that its asker chose: the same number again takes nothing again, and says how it stands.
///
/// # Errors
/// As [`refund`]; `Differs` where the same number asked for another amount before.
pub async fn refund_once(
    pool: &PgPool,
    processors: &Processors,
    (org, topup, id): (OrgId, TopUpId, RefundId),
    amount: Option<Usd>,
    by: By,
    entry: Entry,
) -> Result<RefundState, RefundError> {
    let mut tx = pool.begin().await?;
    let mut topup = store::lock(&mut tx, org, topup).await?.ok_or(RefundError::NotFound)?;
    if let Some(earlier) = store::refund_row(&mut tx, org, id).await? {
        if amount.is_some_and(|amount| amount != earlier.amount) {
            return Err(RefundError::Differs(earlier.amount));
        }
        return Ok(match earlier.state.as_str() {
            "succeeded" => RefundState::Succeeded,
            "failed" => RefundState::Failed,
            _ => RefundState::Pending,
        });
    }
    let processor = processors.get(&topup.processor).map_err(|_| RefundError::Unsupported)?;
    let amount = allowed(&mut tx, &topup, processors, amount, &by).await?;
    let (origin, person) = match by {
        By::Owner(person) => ("owner", Some(person)),
        By::Operator => ("operator", None),
    };
    let row = reversals::take(&mut tx, &mut topup, id, amount, origin, person).await?;
    let entry = Entry { action: Action::RefundAsked, ..entry }.on(Target::new("topup", topup.id, ""));
    audit::record(&mut tx, entry.change(Value::Null, json!({ "amount": amount.exact() }))).await?;
    tx.commit().await?;
    ask(pool, processor, &topup, &row).await
}

async fn allowed(
    conn: &mut PgConnection,
    topup: &TopUp,
    processors: &Processors,
    amount: Option<Usd>,
    by: &By,
) -> Result<Usd, RefundError> {
    let processor = processors.get(&topup.processor).map_err(|_| RefundError::Unsupported)?;
    match (processor.returns(), by) {
        // What came in later belongs to a payment that only its first purchase names.
        (Returns::Asked | Returns::AskedByOperator, _) if topup.more_of.is_some() => {
            return Err(RefundError::Unsupported);
        }
        (Returns::Asked, _) | (Returns::AskedByOperator, By::Operator) => {}
        (Returns::ByHand, By::Operator) => return Err(RefundError::ByHand),
        _ => return Err(RefundError::Unsupported),
    }
    let most = match by {
        By::Operator => return of_what_is_left(topup, amount),
        By::Owner(_) if !topup.state().is_credited() => return Err(RefundError::NotPaid),
        By::Owner(_) => {
            let available = ledger::lock_credit(conn, topup.org).await?.map_or(Usd::ZERO, |credit| credit.available());
            let now = moment(conn).await?;
            if topup.paid_at.is_none_or(|at| now - at > OWNER_MAY_WITHIN) {
                return Err(RefundError::TooLate);
            }
            refundable(topup, available, processors, now)
        }
    };
    within(most, amount)
}

/// Writes down what an operator sent back by hand, found by this reference, such as a transaction's id. Credits are taken
/// as for every refund. The same reference again is refused.
///
/// # Errors
/// See [`RefundError`]; nothing is changed then.
pub async fn record_sent(
    pool: &PgPool,
    processors: &Processors,
    (org, topup): (OrgId, TopUpId),
    amount: Option<Usd>,
    reference: &str,
    entry: Entry,
) -> Result<(), RefundError> {
    let reference = reference.trim();
    if reference.is_empty() || reference.len() > MAX_REFERENCE || reference.chars().any(char::is_control) {
        return Err(RefundError::Reference);
    }
    let mut tx = pool.begin().await?;
    let mut topup = store::lock(&mut tx, org, topup).await?.ok_or(RefundError::NotFound)?;
    let processor = processors.get(&topup.processor).map_err(|_| RefundError::Unsupported)?;
    if processor.returns() != Returns::ByHand {
        return Err(RefundError::NotByHand);
    }
    // Two who write the same reference down, for two purchases, must not both find it unknown.
    store::lock_refund_reference(&mut tx, &topup.processor, reference).await?;
    if store::refund_is_known(&mut tx, &topup.processor, reference).await? {
        return Err(RefundError::Known);
    }
    let amount = of_what_is_left(&topup, amount)?;
    hooks::hold(&mut tx, org).await?;
    let row = reversals::take(&mut tx, &mut topup, RefundId::fresh(), amount, "operator", None).await?;
    reversals::settle(&mut tx, &mut topup, &row, RefundState::Succeeded, Some(reference), "").await?;
    book::settle_state(&mut tx, &mut topup).await?;
    let entry = Entry { action: Action::RefundAsked, ..entry }.on(Target::new("topup", topup.id, ""));
    let after = json!({ "amount": amount.exact(), "reference": reference });
    audit::record(&mut tx, entry.change(Value::Null, after)).await?;
    tx.commit().await?;
    Ok(())
}

fn of_what_is_left(topup: &TopUp, amount: Option<Usd>) -> Result<Usd, RefundError> {
    if !topup.state().is_credited() {
        return Err(RefundError::NotPaid);
    }
    within(topup.kept(), amount)
}

fn within(most: Usd, amount: Option<Usd>) -> Result<Usd, RefundError> {
    let amount = amount.unwrap_or(most);
    if !most.is_positive() {
        return Err(RefundError::NothingLeft);
    }
    if !amount.is_positive() || amount.whole_cents().is_none() {
        return Err(RefundError::Amount);
    }
    if amount > most {
        return Err(RefundError::TooMuch(most));
    }
    Ok(amount)
}

/// Asks the processor for a refund that is written down. Asking again with the same id is safe.
///
/// # Errors
/// `Refused` when it certainly did not happen; the credits are back then. Database errors.
pub async fn ask(
    pool: &PgPool,
    processor: &dyn Processor,
    topup: &TopUp,
    row: &RefundRow,
) -> Result<RefundState, RefundError> {
    let payment = topup.payment_ref.clone().or_else(|| topup.processor_ref.clone()).ok_or(RefundError::Unsupported)?;
    let order = RefundOrder { id: row.id, payment, amount: row.amount };
    let answer = processor.refund(&order).await;
    let (state, reference, failure) = match &answer {
        Ok(seen) => (seen.state, Some(seen.reference.as_str()), ""),
        Err(ProcessorError::Unknown(why)) => {
            tracing::warn!(refund = %row.id, why, "a refund was not answered; it will be asked for again");
            return Ok(RefundState::Pending);
        }
        Err(ProcessorError::Refused(why)) => (RefundState::Failed, None, why.as_str()),
        Err(ProcessorError::Unsupported | ProcessorError::Missing(_)) => (RefundState::Failed, None, "not supported"),
    };
    let mut tx = pool.begin().await?;
    let mut locked = store::lock(&mut tx, topup.org, topup.id).await?.ok_or(RefundError::NotFound)?;
    let current = store::refund_row(&mut tx, topup.org, row.id).await?.ok_or(RefundError::NotFound)?;
    hooks::hold(&mut tx, topup.org).await?;
    reversals::settle(&mut tx, &mut locked, &current, state, reference, failure).await?;
    book::settle_state(&mut tx, &mut locked).await?;
    tx.commit().await?;
    match answer {
        Err(_) => Err(RefundError::Refused(failure.to_owned())),
        Ok(_) => Ok(state),
    }
}
