//! What the janitor does about automatic purchases that stay open.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::limits::{CONFIRM_WITHIN, SEND_AGAIN_WITHIN};
use crate::orgs;
use crate::topups::payment::{Payment, PaymentState};
use crate::topups::processors::{Charge, Processor, Processors};
use crate::topups::store;
use crate::topups::topup::TopUp;

/// Sends a charge again that nobody took to its end: the process died before it asked the processor, or before it had the
/// payer asked, or a request was lost. With the same number and the same method it is the same charge. `None` when it is
/// too late for that, when the rule was switched off, and while the organization is frozen or ends.
///
/// # Errors
/// Database errors, and the processor's: whatever it says now is not the last word, so nothing fails by it.
pub async fn charge_again(
    pool: &PgPool,
    processors: &Processors,
    topup: &TopUp,
    now: DateTime<Utc>,
) -> anyhow::Result<Option<Payment>> {
    if now - topup.created_at > SEND_AGAIN_WITHIN {
        return Ok(None);
    }
    let mut conn = pool.acquire().await?;
    if !orgs::is_open(&mut conn, topup.org).await? {
        return Ok(None);
    }
    let method = store::attempted_method(&mut conn, topup.org, topup.id).await?;
    let customer = store::customer(&mut conn, topup.org, &topup.processor).await?;
    drop(conn);
    let (Some(method), Some(customer)) = (method, customer) else { return Ok(None) };
    let by = processors.get(&topup.processor)?;
    let return_url = processors.topup_url(topup);
    Ok(Some(by.charge(&Charge { topup, customer, method, return_url }).await?))
}

/// How long a charge may stay as it is, until it is given up.
fn patience(state: &PaymentState) -> Option<TimeDelta> {
    match state {
        PaymentState::NeedsAction { .. } | PaymentState::Open => Some(CONFIRM_WITHIN),
        // Its payer could not be asked for as long as it may be sent again.
        PaymentState::WantsPayer => Some(SEND_AGAIN_WITHIN),
        PaymentState::Processing
        | PaymentState::Paid
        | PaymentState::Failed { .. }
        | PaymentState::Cancelled
        | PaymentState::Expired => None,
    }
}

/// Whether nobody confirmed a charge in time.
#[must_use]
pub fn is_abandoned(topup: &TopUp, payment: &Payment, now: DateTime<Utc>) -> bool {
    topup.is_auto() && patience(&payment.state).is_some_and(|patience| now - topup.created_at > patience)
}

/// Gives a charge up that nobody confirmed, and asks what became of it: it may have been paid at the last moment.
///
/// # Errors
/// Database errors, and the processor's.
pub async fn abandon(
    pool: &PgPool,
    by: &dyn Processor,
    topup: &TopUp,
    payment: &Payment,
) -> anyhow::Result<Option<Payment>> {
    let hours = patience(&payment.state).unwrap_or(CONFIRM_WITHIN).num_hours();
    let reason = match payment.state {
        PaymentState::WantsPayer => {
            "The bank wanted it confirmed, and nobody could be asked. It was cancelled.".to_owned()
        }
        _ => format!("Nobody confirmed it within {hours} hours, so it was cancelled."),
    };
    // First, because the processor's message that it is cancelled may be booked before its answer is.
    let mut conn = pool.acquire().await?;
    store::give_up(&mut conn, topup.org, topup.id, &reason).await?;
    drop(conn);
    let reference = payment.payment_ref.as_ref().unwrap_or(&payment.reference);
    by.cancel(reference).await?;
    Ok(by.fetch(reference).await?)
}
