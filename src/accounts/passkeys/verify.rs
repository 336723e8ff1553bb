//! A passkey answers.

use chrono::TimeDelta;
use sqlx::PgConnection;
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, PasskeyAuthentication, PublicKeyCredential,
};

use super::super::factor::Factors;
use super::super::sign_in::SignInError;
use super::super::store as accounts_store;
use super::challenge::{self, Asked, Purpose};
use super::store::{self, StoredPasskey};
use crate::base::ids::PersonId;
use crate::base::origin::subscriber;

/// Questions for one network address ...
const MAX_ASKED: i64 = 200;
/// ... within this time.
const ASKED_WITHIN: TimeDelta = TimeDelta::minutes(15);

fn refused(error: &dyn std::fmt::Display) -> SignInError {
    tracing::info!(%error, "a passkey was refused");
    SignInError::WrongPasskey
}

fn internal(error: impl std::fmt::Display) -> SignInError {
    SignInError::Internal(anyhow::anyhow!("a passkey cannot be asked: {error}"))
}

/// What the browser needs to sign somebody in who has not said who they are.
///
/// # Errors
/// `NoPasskeys` where there are none; `TooMany` from one network; database errors.
pub async fn start_sign_in(conn: &mut PgConnection, factors: &Factors, ip: &str) -> Result<Asked, SignInError> {
    let webauthn = factors.webauthn.as_ref().ok_or(SignInError::NoPasskeys)?;
    // Whoever asks has shown nothing yet, and each question is a row.
    let subject = format!("passkey-start:{}", subscriber(ip));
    if accounts_store::count_failures(conn, &subject, ASKED_WITHIN).await? >= MAX_ASKED {
        return Err(SignInError::TooMany);
    }
    accounts_store::insert_failures(conn, &[subject]).await?;
    let (options, state) = webauthn.start_discoverable_authentication().map_err(internal)?;
    let options = serde_json::to_value(&options).map_err(internal)?;
    Ok(challenge::ask(conn, Purpose::SignIn, None, &state, &options).await?)
}

/// Whose passkey answered. The caller gives a transaction, and commits it in any case: a challenge is used up also by a
/// wrong answer.
///
/// # Errors
/// `TooLate` when the challenge ran out or was used; `WrongPasskey`.
pub async fn identify(
    tx: &mut PgConnection,
    factors: &Factors,
    token: &str,
    answer: &str,
) -> Result<PersonId, SignInError> {
    let webauthn = factors.webauthn.as_ref().ok_or(SignInError::NoPasskeys)?;
    let state: Option<DiscoverableAuthentication> = challenge::answered(tx, Purpose::SignIn, None, token).await?;
    let state = state.ok_or(SignInError::TooLate)?;
    let answer: PublicKeyCredential = serde_json::from_str(answer).map_err(|error| refused(&error))?;
    let (person, credential) = webauthn.identify_discoverable_authentication(&answer).map_err(|e| refused(&e))?;
    let person = PersonId(person);
    let stored = store::by_credential(tx, person, credential).await?;
    let stored = stored.ok_or_else(|| refused(&"nobody has this passkey"))?;
    let key = &stored.credential;
    let result = webauthn.finish_discoverable_authentication_v2(&answer, state, key).map_err(|e| refused(&e))?;
    used(tx, stored, &result).await?;
    Ok(person)
}

/// What the browser needs to ask one of somebody's passkeys.
///
/// # Errors
/// `NoPasskeys` when they have none; database errors.
pub async fn start_known(
    conn: &mut PgConnection,
    factors: &Factors,
    purpose: Purpose,
    person: PersonId,
) -> Result<Asked, SignInError> {
    let webauthn = factors.webauthn.as_ref().ok_or(SignInError::NoPasskeys)?;
    let keys: Vec<_> = store::credentials(conn, person).await?.into_iter().map(|key| key.credential).collect();
    if keys.is_empty() {
        return Err(SignInError::NoPasskeys);
    }
    let (options, state) = webauthn.start_passkey_authentication(&keys).map_err(internal)?;
    let options = serde_json::to_value(&options).map_err(internal)?;
    Ok(challenge::ask(conn, purpose, Some(person), &state, &options).await?)
}

/// Checks that one of somebody's passkeys answered. The caller gives a transaction, and commits it in any case.
///
/// # Errors
/// `TooLate` when the challenge ran out or was used; `WrongPasskey`.
pub async fn verify_known(
    tx: &mut PgConnection,
    factors: &Factors,
    purpose: Purpose,
    person: PersonId,
    token: &str,
    answer: &str,
) -> Result<(), SignInError> {
    let webauthn = factors.webauthn.as_ref().ok_or(SignInError::NoPasskeys)?;
    let state: Option<PasskeyAuthentication> = challenge::answered(tx, purpose, Some(person), token).await?;
    let state = state.ok_or(SignInError::TooLate)?;
    let answer: PublicKeyCredential = serde_json::from_str(answer).map_err(|error| refused(&error))?;
    let result = webauthn.finish_passkey_authentication(&answer, &state).map_err(|e| refused(&e))?;
    // It may have been removed while its device was asked.
    let stored = store::by_credential(tx, person, result.cred_id()).await?;
    let stored = stored.ok_or_else(|| refused(&"this passkey was removed"))?;
    used(tx, stored, &result).await
}

async fn used(
    tx: &mut PgConnection,
    mut stored: StoredPasskey,
    result: &AuthenticationResult,
) -> Result<(), SignInError> {
    if !result.user_verified() {
        return Err(refused(&"the device did not check who uses it"));
    }
    stored.credential.update_credential(result);
    Ok(store::used(tx, stored.id, &stored.credential).await?)
}
