//! The janitor asks processors for what their messages did not tell: payments and refunds that are still open. Unknown
//! is not failed, so nothing is decided here without the processor's word.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::book::Outcome;
use super::payment::PaymentState;
use super::processors::{Processor, Processors};
use super::saved::{self, Setup};
use super::store::{self, OpenRefund};
use super::topup::{State, TopUp};
use super::{auto, book, inbox, refund};
use crate::db::moment;

/// How often the janitor looks for what is due.
const EVERY: Duration = Duration::from_secs(5);
/// How often it drops old messages.
const TIDY_EVERY: Duration = Duration::from_hours(1);
/// What one round takes on; more wait for the next.
const BATCH: i64 = 50;
/// Questions under way at the same time.
const AT_ONCE: usize = 8;
/// A purchase that no processor ever heard of is given up after this. It can still be paid later, should it appear.
const UNHEARD_OF: TimeDelta = TimeDelta::hours(2);
/// A purchase that is still open after this ends, whatever its processor says: no way to pay takes longer. It is asked for
/// once more before.
const ASKED_FOR: TimeDelta = TimeDelta::days(31);

/// Runs until `stop`, in every process: rows are shared out by locks.
pub async fn run(pool: PgPool, processors: Processors, stop: CancellationToken) {
    let mut tidy_at = Instant::now();
    loop {
        if Instant::now() >= tidy_at {
            tidy_at = Instant::now() + TIDY_EVERY;
            match inbox::tidy(&pool).await {
                Ok(0) => {}
                Ok(dropped) => tracing::info!(dropped, "old payment messages were dropped"),
                Err(error) => tracing::warn!(%error, "old payment messages were not dropped; trying again in an hour"),
            }
        }
        if let Err(error) = round(&pool, &processors).await {
            tracing::warn!(%error, "open payments were not looked through; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Asks for everything that is due, once. Each row is put off before it is asked for, so that a processor that hangs
/// or a process that dies delays one row and loses none.
///
/// # Errors
/// Database errors only.
pub async fn round(pool: &PgPool, processors: &Processors) -> Result<usize, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let topups = store::due_topups(&mut conn, BATCH).await?;
    let refunds = store::due_refunds(&mut conn, BATCH).await?;
    let setups = store::due_setups(&mut conn, BATCH).await?;
    drop(conn);
    let asked = topups.len() + refunds.len() + setups.len();
    // Side by side, so that a processor that hangs does not keep the others' payments waiting.
    let each = stream::iter(topups).for_each_concurrent(AT_ONCE, |topup| async move {
        if let Err(error) = ask_topup(pool, processors, &topup).await {
            tracing::warn!(topup = %topup.id, %error, "a payment was not learned of; it will be asked for again");
        }
    });
    each.await;
    let each = stream::iter(refunds).for_each_concurrent(AT_ONCE, |open| async move {
        if let Err(error) = ask_refund(pool, processors, &open).await {
            tracing::warn!(refund = %open.row.id, %error, "a refund was not learned of; it will be asked for again");
        }
    });
    each.await;
    let each = stream::iter(setups).for_each_concurrent(AT_ONCE, |setup| async move {
        if let Err(error) = ask_setup(pool, processors, &setup).await {
            tracing::warn!(setup = %setup.id, %error, "a payment method was not learned of; it will be asked for again");
        }
    });
    each.await;
    Ok(asked)
}

async fn ask_setup(pool: &PgPool, processors: &Processors, setup: &Setup) -> anyhow::Result<()> {
    saved::ask(pool, processors.get(&setup.processor)?, setup).await
}

async fn ask_topup(pool: &PgPool, processors: &Processors, topup: &TopUp) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    let now = moment(&mut conn).await?;
    let customer = store::customer(&mut conn, topup.org, &topup.processor).await?;
    drop(conn);
    let age = now - topup.created_at;
    let by = match processors.get(&topup.processor) {
        Ok(by) => by,
        Err(_) if age > ASKED_FOR => {
            return end(pool, topup, State::Expired, "Its payment processor is not set up here any more.").await;
        }
        Err(error) => return Err(error.into()),
    };
    let payment = match &topup.processor_ref {
        Some(reference) => by.fetch(reference).await?,
        None => by.find(topup, customer.as_deref()).await?,
    };
    let payment = match payment {
        Some(payment) if auto::is_abandoned(topup, &payment, now) => auto::abandon(pool, by, topup, &payment).await?,
        None if topup.is_auto() => auto::charge_again(pool, processors, topup, now).await?,
        Some(payment) if topup.is_auto() && payment.state == PaymentState::WantsPayer => {
            auto::charge_again(pool, processors, topup, now).await?.or(Some(payment))
        }
        told => told,
    };
    let Some(payment) = payment else {
        // While the request could still be on its way, that it is not known means little.
        return match age > UNHEARD_OF {
            true => end(pool, topup, State::Expired, "The payment processor knows nothing of it.").await,
            false => Ok(()),
        };
    };
    let mut tx = pool.begin().await?;
    let outcome = book::payment(&mut tx, by, &payment).await?;
    tx.commit().await?;
    tracing::debug!(topup = %topup.id, %outcome, "a payment was asked for");
    // An automatic one that is open keeps every other from being made, so it does not wait for a month.
    let refused_for = if topup.is_auto() { auto::CONFIRM_WITHIN } else { ASKED_FOR };
    match outcome {
        Outcome::Refused(_) if age > refused_for => {
            end(pool, topup, State::Failed, "What the payment processor tells does not fit this purchase.").await
        }
        _ if age > ASKED_FOR => end(pool, topup, State::Expired, "Nothing came in within a month.").await,
        _ => Ok(()),
    }
}

/// Ends a purchase that is still open and of which nothing more is expected. Should the right money appear all the same,
/// it is credited.
async fn end(pool: &PgPool, topup: &TopUp, state: State, reason: &str) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let Some(locked) = store::lock(&mut tx, topup.org, topup.id).await? else { return Ok(()) };
    if locked.state() == State::Pending {
        store::set_state(&mut tx, &locked, state, reason).await?;
        if locked.is_auto() {
            auto::ended(&mut tx, &locked, state, reason).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn ask_refund(pool: &PgPool, processors: &Processors, open: &OpenRefund) -> anyhow::Result<()> {
    let by: &dyn Processor = processors.get(&open.topup.processor)?;
    let first = match open.topup.more_of {
        // What came in later is part of the payment that its first purchase names.
        Some(first) => store::find(&mut *pool.acquire().await?, open.topup.org, first).await?,
        None => Some(open.topup.clone()),
    };
    let reference = first.and_then(|first| first.payment_ref.or(first.processor_ref));
    if let Some(reference) = &reference {
        // Perhaps it is known there, under our id.
        if let Some(payment) = by.fetch(reference).await? {
            let mut tx = pool.begin().await?;
            book::payment(&mut tx, by, &payment).await?;
            let row = store::refund_row(&mut tx, open.topup.org, open.row.id).await?;
            tx.commit().await?;
            let seen = payment.refunds.iter().any(|seen| seen.ours == Some(open.row.id));
            if seen || row.is_none_or(|row| row.state != "pending") {
                return Ok(());
            }
        }
    }
    if open.row.origin == "processor" {
        // It was made there and is on its way there: asked for again, it would be another one.
        return Ok(());
    }
    match refund::ask(pool, by, &open.topup, &open.row).await {
        Ok(_) | Err(refund::RefundError::Refused(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
