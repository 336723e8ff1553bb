//! Ways to pay that may be charged again: kept by the processor, listed, chosen and removed by their organization.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::payment::SavedMethod;
use super::processors::{ProcessorError, Processors};
use super::store::{self, MethodRow};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Origin;
use crate::base::ids::{OrgId, PaymentMethodId};
use crate::orgs::Acting;

#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    #[error("Auto top-up charges this payment method. Choose another one there first, or switch it off.")]
    InUse,
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Writes down a way to pay that a payment left at its processor. The first one is the default.
pub async fn keep(
    conn: &mut PgConnection,
    org: OrgId,
    processor: &str,
    saved: &SavedMethod,
) -> Result<(), sqlx::Error> {
    let id = PaymentMethodId::fresh();
    if store::insert_method(conn, org, id, processor, saved).await? {
        let entry = Entry::new(Chain::Org(org), Actor::System, Action::PaymentMethodSaved, &Origin::here())
            .on(Target::new("payment_method", id, &saved.label));
        audit::record(conn, entry.change(Value::Null, json!({ "method": saved.method }))).await?;
    }
    Ok(())
}

/// Makes a way to pay the one that is offered first.
///
/// # Errors
/// Database errors only.
pub async fn choose_default(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    method: &MethodRow,
) -> Result<(), sqlx::Error> {
    store::set_default_method(conn, acting.org, method.id).await?;
    let target = Target::new("payment_method", method.id, &method.label);
    audit::record(conn, acting.entry(Action::PaymentMethodDefault).on(target)).await
}

/// Forgets a way to pay, at the processor first: what is gone here must not be chargeable there. One that auto top-up
/// charges is kept: with it the rule would end unnoticed, and calls with the last credit.
///
/// # Errors
/// See [`MethodError`]. Nothing is removed then.
pub async fn remove(
    pool: &PgPool,
    processors: &Processors,
    acting: &Acting<'_>,
    method: &MethodRow,
) -> Result<(), MethodError> {
    let mut conn = pool.acquire().await?;
    if store::is_charged_by_rule(&mut conn, acting.org, method.id).await? {
        return Err(MethodError::InUse);
    }
    // No connection is held while the processor is asked.
    drop(conn);
    processors.get(&method.processor)?.forget(&method.processor_ref).await?;
    let mut tx = pool.begin().await?;
    if store::remove_method(&mut tx, acting.org, method.id).await? {
        let target = Target::new("payment_method", method.id, &method.label);
        audit::record(&mut tx, acting.entry(Action::PaymentMethodRemoved).on(target)).await?;
    }
    tx.commit().await?;
    Ok(())
}
