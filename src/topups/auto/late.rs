//! What the janitor does about automatic purchases that stay open.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::limits::{CONFIRM_WITHIN, SEND_AGAIN_WITHIN};
use crate::topups::payment::{Payment, PaymentState};
use crate::topups::processors::{Charge, Processor, Processors};
use crate::topups::store;
use crate::topups::topup::TopUp;

/// Sends a charge again of which the processor has not heard: the process died before it asked, or the request was lost.
/// With the same number and the same method it is the same charge. `None` when it is too late for that, or the rule was
/// switched off.
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
    let method = store::attempted_method(&mut conn, topup.org, topup.id).await?;
    let customer = store::customer(&mut conn, topup.org, &topup.processor).await?;
    drop(conn);
    let (Some(method), Some(customer)) = (method, customer) else { return Ok(None) };
    let by = processors.get(&topup.processor)?;
    let return_url = processors.topup_url(topup);
    Ok(Some(by.charge(&Charge { topup, customer, method, return_url }).await?))
}

/// Whether nobody confirmed a charge in time.
#[must_use]
pub fn is_abandoned(topup: &TopUp, payment: &Payment, now: DateTime<Utc>) -> bool {
    let waits = matches!(payment.state, PaymentState::NeedsAction { .. } | PaymentState::Open);
    topup.is_auto() && waits && now - topup.created_at > CONFIRM_WITHIN
}

/// Gives a charge up that nobody confirmed, and asks what became of it: it may have been paid at the last moment.
///
/// # Errors
/// The processor's.
pub async fn abandon(by: &dyn Processor, payment: Payment) -> anyhow::Result<Option<Payment>> {
    let reference = payment.payment_ref.as_ref().unwrap_or(&payment.reference);
    by.cancel(reference).await?;
    let after = by.fetch(reference).await?;
    Ok(after.map(|after| match after.state {
        PaymentState::Failed { .. } => {
            let hours = CONFIRM_WITHIN.num_hours();
            let reason = format!("Nobody confirmed it within {hours} hours, so it was cancelled.");
            Payment { state: PaymentState::Failed { reason }, ..after }
        }
        _ => after,
    }))
}
