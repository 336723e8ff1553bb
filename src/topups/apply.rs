//! Applying a processor's message: the only way in which a purchase becomes credits.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::processors::{Payment, PaymentState, Processors};
use super::store;
use super::topup::{State, TopUp};
use crate::jobs::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::ledger::{self, Code, HouseAccount, Posting};

/// The job that applies one stored message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApplyEvent {
    pub processor: String,
    pub id: String,
}

impl TaskHandler for ApplyEvent {
    const IDENTIFIER: &'static str = "apply_processor_event";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let processors = context.get_ext::<Processors>().ok_or("no processors")?;
        let applied = apply(pool, processors, &self.processor, &self.id).await;
        applied.map_err(|error| {
            tracing::error!(processor = self.processor, event = self.id, %error, "a payment message was not applied yet");
            error.to_string()
        })
    }
}

/// Fetches the payment anew, and moves the purchase and the money in one transaction.
/// Applying a message again changes nothing.
async fn apply(pool: &PgPool, processors: &Processors, processor: &str, id: &str) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    let Some(object_ref) = store::pending_event(&mut conn, processor, id).await? else { return Ok(()) };
    // The message only says that something happened; the processor says what. No connection waits for it.
    drop(conn);
    let payment = processors.fetch(processor, &object_ref).await?;
    let mut tx = pool.begin().await?;
    let outcome = match payment {
        None => "the processor does not know this payment".to_owned(),
        Some(payment) => match store::lock_by_ref(&mut tx, processor, &object_ref).await? {
            None => "no purchase of ours".to_owned(),
            Some(topup) => apply_payment(&mut tx, &topup, &payment).await?,
        },
    };
    store::mark_applied(&mut tx, processor, id, &outcome).await?;
    tx.commit().await?;
    Ok(())
}

async fn apply_payment(conn: &mut sqlx::PgConnection, topup: &TopUp, payment: &Payment) -> anyhow::Result<String> {
    if payment.state == PaymentState::Paid && payment.total != topup.total {
        tracing::error!(topup = %topup.id, "a payment has another total than its purchase; nothing was credited");
        return Ok(format!("refused: paid {} instead of {}", payment.total, topup.total));
    }
    let Some(next) = topup.state().after(payment.state) else { return Ok("changes nothing".to_owned()) };
    if next == State::Paid {
        credit(conn, topup).await?;
    }
    let failure = if next == State::Failed { "The payment was declined." } else { "" };
    store::set_state(conn, topup, next, failure).await?;
    Ok(next.as_str().to_owned())
}

async fn credit(conn: &mut sqlx::PgConnection, topup: &TopUp) -> anyhow::Result<()> {
    let processor = ledger::processor_account(&topup.processor)
        .ok_or_else(|| anyhow::anyhow!("the books have no account for {}", topup.processor))?;
    let credits = Posting {
        code: Code::TopUp,
        reference: topup.id.to_string(),
        debit: processor,
        credit: ledger::credit_account(topup.org),
        amount: topup.credits,
        org: Some(topup.org),
        memo: topup.method.clone(),
    };
    ledger::post(conn, credits).await?;
    if topup.fee.is_positive() {
        let fee = Posting {
            code: Code::TopUpFee,
            reference: topup.id.to_string(),
            debit: processor,
            credit: HouseAccount::FeeRevenue.id(),
            amount: topup.fee,
            org: Some(topup.org),
            memo: topup.method.clone(),
        };
        ledger::post(conn, fee).await?;
    }
    Ok(())
}
