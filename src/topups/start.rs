//! Starting a purchase.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::fees::Method;
use super::fees::Quote;
use super::processors::{ProcessorError, Processors};
use super::store;
use super::topup::TopUp;
use crate::audit::{self, Action, Target};
use crate::base::ids::TopUpId;
use crate::orgs::Acting;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The id was used for another amount, method or organization.
    #[error("this form was used for another purchase")]
    Differs,
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Writes the purchase, opens its checkout, and returns it with the address to pay at.
/// The same id again returns the same purchase.
///
/// # Errors
/// See [`StartError`]. After `Processor(Unknown)` the purchase is pending; starting it again is safe.
pub async fn start(
    pool: &PgPool,
    processors: &Processors,
    acting: &Acting<'_>,
    id: TopUpId,
    method: &Method,
    quote: Quote,
) -> Result<TopUp, StartError> {
    let org = acting.org;
    let mut tx = pool.begin().await?;
    if store::insert(&mut tx, org, id, acting.person.id, method, quote).await? {
        let after = json!({ "credits": quote.credits.exact(), "total": quote.total.exact(), "method": method.slug });
        let entry = acting.entry(Action::TopupStarted).on(Target::new("topup", id, ""));
        audit::record(&mut tx, entry.change(Value::Null, after)).await?;
    }
    tx.commit().await?;
    let mut conn = pool.acquire().await?;
    let topup = store::find(&mut conn, org, id).await?.ok_or(StartError::Differs)?;
    if topup.credits != quote.credits || topup.method != method.slug {
        return Err(StartError::Differs);
    }
    // No connection is held while the processor is asked.
    drop(conn);
    if topup.checkout_url.is_some() {
        return Ok(topup);
    }
    let checkout = processors.checkout(&topup).await?;
    let mut conn = pool.acquire().await?;
    store::set_checkout(&mut conn, org, id, &checkout).await?;
    Ok(TopUp { processor_ref: Some(checkout.reference), checkout_url: Some(checkout.url), ..topup })
}
