//! Switching two-factor sign-in off.

use sqlx::PgConnection;

use super::super::mails::{self, Links};
use super::super::person::Person;
use super::store;
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;

/// Forgets the app, that passkeys are the second factor, and the recovery codes, and tells the owner. False when it was off. The caller gives a transaction.
///
/// # Errors
/// Database errors, and a mail that cannot be written.
pub async fn switch_off(
    tx: &mut PgConnection,
    links: &Links,
    person: &Person,
    origin: &Origin,
) -> anyhow::Result<bool> {
    let (app, passkeys) = (store::delete_app(tx, person.id).await?, store::delete_second(tx, person.id).await?);
    if !app && !passkeys {
        return Ok(false);
    }
    store::replace_codes(tx, person.id, &[]).await?;
    mails::two_factor_changed(tx, links, person, false, origin).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::TwoFactorOff, origin);
    audit::record(tx, entry.named(&person.name)).await?;
    Ok(true)
}
