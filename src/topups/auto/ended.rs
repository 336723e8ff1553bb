//! What follows from how an attempt ended, in the transaction that wrote the end down.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::attempt::TryAutoTopup;
use super::cause::Cause;
use super::limits::{CONTESTED, MAX_DECLINES, RETRY_AFTER_SECONDS};
use super::rule::Rule;
use super::tell::About;
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::{OrgId, TopUpId};
use crate::ledger::{self, WatchKind};
use crate::topups::payment::{Payment, PaymentState};
use crate::topups::store;
use crate::topups::topup::{State, TopUp};

/// An automatic purchase changed to this state: whether to go on, to try again later, or to stop.
///
/// # Errors
/// Database errors only.
pub async fn ended(conn: &mut PgConnection, topup: &TopUp, state: State, reason: &str) -> anyhow::Result<()> {
    let org = topup.org;
    // The credit first, as everywhere; a payment that came in has locked it already.
    ledger::lock_credit(conn, org).await?;
    let Some(rule) = store::lock_rule(conn, org).await? else { return Ok(()) };
    match state {
        State::Paid => {
            store::note_success(conn, org).await?;
            if rule.enabled {
                TryAutoTopup { org, cause: Cause::After(topup.id) }.enqueue(conn, 0).await?;
            }
        }
        State::Failed => declined(conn, &rule, topup.id, reason).await?,
        // Nobody declined anything: the processor never heard of it.
        State::Expired => retry_later(conn, &rule, topup.id, rule.declines).await?,
        State::Pending | State::Refunded | State::Disputed => {}
    }
    Ok(())
}

/// One more decline of a locked rule: tries again later, or gives up.
pub async fn declined(conn: &mut PgConnection, rule: &Rule, attempt: TopUpId, reason: &str) -> anyhow::Result<()> {
    let declines = rule.declines + 1;
    if declines < MAX_DECLINES || !rule.enabled {
        About::Failed { attempt, in_a_row: declines, reason: reason.to_owned() }.enqueue(conn, rule.org).await?;
        return Ok(retry_later(conn, rule, attempt, declines).await?);
    }
    stop(conn, rule, attempt, reason, json!({ "enabled": false, "declines": declines, "reason": reason })).await
}

/// A payment of the organization is contested, or its bank reports fraud: the rule is switched off, so that what is taken back
/// does not buy the same again with the same card.
///
/// # Errors
/// Database errors only.
pub async fn contested(conn: &mut PgConnection, org: OrgId, payment: TopUpId) -> anyhow::Result<()> {
    ledger::lock_credit(conn, org).await?;
    let Some(rule) = store::lock_rule(conn, org).await?.filter(|rule| rule.enabled) else { return Ok(()) };
    stop(conn, &rule, payment, CONTESTED, json!({ "enabled": false, "reason": CONTESTED })).await
}

async fn stop(
    conn: &mut PgConnection,
    rule: &Rule,
    attempt: TopUpId,
    reason: &str,
    after: Value,
) -> anyhow::Result<()> {
    ledger::clear_watch(conn, rule.org, WatchKind::AutoTopup).await?;
    store::stop_rule(conn, rule.org, reason).await?;
    About::Stopped { attempt }.enqueue(conn, rule.org).await?;
    let entry = Entry::new(Chain::Org(rule.org), Actor::System, Action::AutoTopupStopped, &Origin::here());
    Ok(audit::record(conn, entry.change(rule.shown(), after)).await?)
}

async fn retry_later(conn: &mut PgConnection, rule: &Rule, attempt: TopUpId, declines: i32) -> Result<(), sqlx::Error> {
    if !rule.enabled {
        return Ok(());
    }
    store::note_failure(conn, rule.org, declines, RETRY_AFTER_SECONDS).await?;
    TryAutoTopup { org: rule.org, cause: Cause::Retry(attempt) }.enqueue(conn, RETRY_AFTER_SECONDS).await
}

/// Tells, once, that a bank wants its customer to confirm an automatic charge. `topup` is as it was before.
///
/// # Errors
/// Database errors only.
pub async fn wants_payer(conn: &mut PgConnection, topup: &TopUp, payment: &Payment) -> Result<(), sqlx::Error> {
    let asks = matches!(payment.state, PaymentState::NeedsAction { .. });
    if asks && topup.state() == State::Pending && topup.checkout_url.is_none() {
        About::Confirm { attempt: topup.id }.enqueue(conn, topup.org).await?;
    }
    Ok(())
}
