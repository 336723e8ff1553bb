//! Adding and removing passkeys.

use sqlx::PgConnection;
use webauthn_rs::prelude::{CredentialID, PasskeyRegistration, RegisterPublicKeyCredential};

use super::super::factor::Factors;
use super::super::mails::{self, Links};
use super::super::person::Person;
use super::super::store as accounts_store;
use super::challenge::{self, Asked, Purpose};
use super::passkey::{MAX_PASSKEYS, clean_name};
use super::store;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Origin;
use crate::base::ids::PasskeyId;

#[derive(Debug, thiserror::Error)]
pub enum AddError {
    #[error("Passkeys need a domain name, and this instance is reached by a bare address.")]
    NotHere,
    #[error("This took longer than five minutes, or was sent twice. Nothing was added: try again.")]
    TooLate,
    #[error("The passkey could not be checked, so nothing was added. Try again, or use another device.")]
    Refused,
    #[error("This passkey is added already.")]
    Known,
    #[error("An account has twenty passkeys at most. Remove one that you do not use first.")]
    TooMany,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// What the browser needs to make a passkey.
///
/// # Errors
/// `NotHere` and `TooMany`; database errors.
pub async fn start_adding(conn: &mut PgConnection, factors: &Factors, person: &Person) -> Result<Asked, AddError> {
    let webauthn = factors.webauthn.as_ref().ok_or(AddError::NotHere)?;
    let known = store::credentials(conn, person.id).await?;
    if known.len() >= MAX_PASSKEYS {
        return Err(AddError::TooMany);
    }
    let known: Vec<CredentialID> = known.iter().map(|key| key.credential.cred_id().clone()).collect();
    let (options, state) = webauthn
        .start_passkey_registration(person.id.0, &person.email, &person.name, Some(known))
        .map_err(|error| anyhow::anyhow!("a passkey cannot be asked for: {error}"))?;
    let mut options = serde_json::to_value(&options).map_err(anyhow::Error::new)?;
    // The device has to keep it, so that it can sign in before anybody has said who they are.
    if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection") {
        selection["residentKey"] = "required".into();
        selection["requireResidentKey"] = true.into();
    }
    Ok(challenge::ask(conn, Purpose::Add, Some(person.id), &state, &options).await?)
}

/// Adds the passkey that the browser made. The caller gives a transaction, and commits it in any case: a challenge is
/// used up also by a wrong answer.
///
/// # Errors
/// See [`AddError`].
pub async fn add(
    tx: &mut PgConnection,
    factors: &Factors,
    links: &Links,
    person: &Person,
    (token, answer, name): (&str, &str, &str),
    origin: &Origin,
) -> Result<PasskeyId, AddError> {
    let webauthn = factors.webauthn.as_ref().ok_or(AddError::NotHere)?;
    accounts_store::lock_person(tx, person.id).await?;
    let state: Option<PasskeyRegistration> = challenge::answered(tx, Purpose::Add, Some(person.id), token).await?;
    let state = state.ok_or(AddError::TooLate)?;
    // Again, because others may have been added since this one was begun.
    if store::count(tx, person.id).await? >= MAX_PASSKEYS as i64 {
        return Err(AddError::TooMany);
    }
    let answer: RegisterPublicKeyCredential = serde_json::from_str(answer).map_err(|_| AddError::Refused)?;
    let passkey = webauthn.finish_passkey_registration(&answer, &state).map_err(|error| {
        tracing::info!(%error, "a new passkey was refused");
        AddError::Refused
    })?;
    let (id, name) = (PasskeyId::fresh(), clean_name(name));
    if !store::insert(tx, id, person.id, &passkey, &name).await? {
        return Err(AddError::Known);
    }
    mails::passkey_changed(tx, links, person, &name, true, origin).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::PasskeyAdded, origin);
    audit::record(tx, entry.named(&person.name).on(Target::new("passkey", id, name))).await?;
    Ok(id)
}

/// Removes a passkey and tells its owner. False when they have no such one. The caller gives a transaction.
///
/// # Errors
/// Database errors, and a mail that cannot be written.
pub async fn remove(
    tx: &mut PgConnection,
    links: &Links,
    person: &Person,
    id: PasskeyId,
    origin: &Origin,
) -> anyhow::Result<bool> {
    let Some(name) = store::delete(tx, person.id, id).await? else { return Ok(false) };
    mails::passkey_changed(tx, links, person, &name, false, origin).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::PasskeyRemoved, origin);
    audit::record(tx, entry.named(&person.name).on(Target::new("passkey", id, name))).await?;
    Ok(true)
}
