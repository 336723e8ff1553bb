//! Starting a purchase.

use sqlx::PgPool;

use super::fees::Method;
use super::fees::Quote;
use super::processors::{ProcessorError, Processors};
use super::store;
use super::topup::TopUp;
use crate::base::ids::{OrgId, PersonId, TopUpId};

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
    org: OrgId,
    payer: PersonId,
    id: TopUpId,
    method: &Method,
    quote: Quote,
) -> Result<TopUp, StartError> {
    let mut conn = pool.acquire().await?;
    store::insert(&mut conn, org, id, payer, method, quote).await?;
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
