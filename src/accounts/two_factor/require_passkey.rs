//! Switching two-factor sign-in on with passkeys alone.

use sqlx::PgConnection;

use super::super::mails::{self, Links};
use super::super::person::Person;
use super::super::{passkeys, store as people};
use super::enrol::{ConfirmError, put_codes};
use super::recovery_code::RecoveryCodes;
use super::store;
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::PersonId;

/// From now on the password also needs one of the person's passkeys, or a recovery code. The caller gives a transaction.
///
/// # Errors
/// `NothingBegun` where it is on already, or there is no passkey.
pub async fn require_passkey(
    tx: &mut PgConnection,
    links: &Links,
    person: &Person,
    origin: &Origin,
) -> Result<RecoveryCodes, ConfirmError> {
    // Of two requests, or one that removes the last passkey meanwhile, one waits.
    people::lock_person(tx, person.id).await?;
    if store::is_on(tx, person.id).await? || !passkeys::has_any(tx, person.id).await? {
        return Err(ConfirmError::NothingBegun);
    }
    store::put_second(tx, person.id).await?;
    let codes = put_codes(tx, person.id).await?;
    mails::two_factor_changed(tx, links, person, true, origin).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::TwoFactorOn, origin);
    audit::record(tx, entry.named(&person.name)).await?;
    Ok(codes)
}

/// Whether taking one passkey away would leave the second factor without any. Locks the person.
///
/// # Errors
/// Database errors only.
pub async fn is_last_factor(tx: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    people::lock_person(tx, person).await?;
    let alone = store::lock_second(tx, person).await? && !store::has_app(tx, person).await?;
    Ok(alone && passkeys::count(tx, person).await? <= 1)
}
