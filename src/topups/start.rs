//! Starting a purchase.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::fees::{Method, Quote};
use super::processors::{NewCustomer, Order, Processor, ProcessorError, Processors};
use super::store::{self, NewTopUp};
use super::topup::TopUp;
use crate::audit::{self, Action, Target};
use crate::base::ids::TopUpId;
use crate::orgs::{self, Acting, OrgError, Permission};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The id was used for another amount, method or organization.
    #[error("this form was used for another purchase")]
    Differs,
    #[error("This organization is frozen, so nothing can be bought for it. Nothing was charged.")]
    Frozen,
    /// It will be deleted, or the role was taken away meanwhile.
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What somebody wants to buy, and how.
#[derive(Clone, Copy, Debug)]
pub struct Purchase<'a> {
    /// From the form: the same id again is the same purchase.
    pub id: TopUpId,
    pub method: &'a Method,
    pub quote: Quote,
    /// Keep the way to pay for auto top-up.
    pub save: bool,
}

/// Writes the purchase, opens its checkout, and returns it with the address to pay at.
/// The same id again returns the same purchase. Nobody pays for what could never be spent: where the organization is
/// frozen or ends, no processor is asked.
///
/// # Errors
/// See [`StartError`]. After `Processor(Unknown)` the purchase is pending; starting it again is safe.
pub async fn start(
    pool: &PgPool,
    processors: &Processors,
    acting: &Acting<'_>,
    purchase: Purchase<'_>,
) -> Result<TopUp, StartError> {
    let Purchase { id, method, quote, save } = purchase;
    let org = acting.org;
    let mut tx = pool.begin().await?;
    acting.lock_staying(&mut tx, Permission::HandleCredits).await?;
    if !orgs::is_open(&mut tx, org).await? {
        return Err(StartError::Frozen);
    }
    let new = NewTopUp { org, id, method, quote, origin: "person", by: Some(acting.person.id) };
    if store::insert(&mut tx, &new).await? {
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
    if topup.checkout_url.is_some() || topup.state().is_credited() {
        return Ok(topup);
    }
    let by = processors.get(&topup.processor)?;
    let customer = customer(pool, by, acting).await?;
    let return_url = processors.topup_url(&topup);
    let checkout = by.checkout(&Order { topup: &topup, customer, save, return_url }).await?;
    let mut conn = pool.acquire().await?;
    store::set_checkout(&mut conn, org, id, &checkout).await?;
    // Of two that send the form at once, both go to the page that was written first.
    let topup = store::find(&mut conn, org, id).await?.ok_or(StartError::Differs)?;
    drop(conn);
    if topup.processor_ref.as_ref() != Some(&checkout.reference) && topup.checkout_url.is_some() {
        by.withdraw(&checkout.reference).await;
        return Ok(topup);
    }
    Ok(TopUp { checkout_url: topup.checkout_url.clone().or(Some(checkout.url)), ..topup })
}

/// The organization's name at a processor, made there on first use.
pub(super) async fn customer(
    pool: &PgPool,
    by: &dyn Processor,
    acting: &Acting<'_>,
) -> Result<Option<String>, StartError> {
    let mut conn = pool.acquire().await?;
    if let Some(known) = store::customer(&mut conn, acting.org, by.name()).await? {
        return Ok(Some(known));
    }
    drop(conn);
    let new = NewCustomer { org: acting.org, name: acting.person.name.clone(), email: acting.person.email.clone() };
    let Some(made) = by.customer(&new).await? else { return Ok(None) };
    let mut conn = pool.acquire().await?;
    store::set_customer(&mut conn, acting.org, by.name(), &made).await?;
    Ok(store::customer(&mut conn, acting.org, by.name()).await?)
}
