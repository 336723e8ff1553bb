//! Switching two-factor sign-in on.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::factor::Factors;
use super::super::mails::{self, Links};
use super::super::person::Person;
use super::qr::{self, Picture};
use super::recovery_code::{self, RecoveryCodes};
use super::store;
use super::totp::{self, AppSecret};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::PersonId;
use crate::base::seal::{SealError, Sealed};

/// An app that was not confirmed for so long is forgotten.
const BEGUN_LASTS_MINUTES: i32 = 30;

#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error("This code is not right. Codes change every 30 seconds: enter the one that the app shows now.")]
    WrongCode,
    /// Nothing was begun, or too long ago, or it is on already.
    #[error("there is nothing to confirm")]
    NothingBegun,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// What an app needs to know, once. Not `Debug`: it is a secret.
pub struct Enrolment {
    /// For typing it in.
    pub secret: String,
    pub picture: Picture,
}

fn purpose(person: PersonId) -> String {
    format!("authenticator app of {person}")
}

/// The secret of an app.
pub fn open(factors: &Factors, person: PersonId, sealed: &Sealed) -> anyhow::Result<AppSecret> {
    let text = factors.sealer.open(&purpose(person), sealed)?;
    AppSecret::from_hex(&text).ok_or_else(|| anyhow::anyhow!("the secret of an app is damaged"))
}

/// Makes the secret for a new app. Nothing changes for signing in until [`confirm`]. Does nothing where it is on.
///
/// # Errors
/// Database errors, and failures of sealing.
pub async fn begin(conn: &mut PgConnection, factors: &Factors, person: PersonId) -> anyhow::Result<()> {
    let sealed = factors.sealer.seal(&purpose(person), &AppSecret::fresh().to_hex())?;
    store::put_app(conn, person, &sealed).await?;
    Ok(())
}

/// What to show for an app that was begun; `None` when there is none.
///
/// # Errors
/// Database errors, and a secret that does not open.
pub async fn enrolment(
    conn: &mut PgConnection,
    factors: &Factors,
    person: &Person,
) -> anyhow::Result<Option<Enrolment>> {
    let Some(app) = store::unconfirmed_app(conn, person.id, BEGUN_LASTS_MINUTES).await? else { return Ok(None) };
    let secret = open(factors, person.id, &app)?;
    let picture = qr::draw(secret.to_url(&factors.instance, &person.email)?.expose())?;
    Ok(Some(Enrolment { secret: secret.to_text()?, picture }))
}

/// Switches two-factor sign-in on, when the code shows that the app has the secret. The caller gives a transaction.
///
/// # Errors
/// See [`ConfirmError`].
pub async fn confirm(
    tx: &mut PgConnection,
    factors: &Factors,
    links: &Links,
    person: &Person,
    code: &str,
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<RecoveryCodes, ConfirmError> {
    let app = store::unconfirmed_app(tx, person.id, BEGUN_LASTS_MINUTES).await?.ok_or(ConfirmError::NothingBegun)?;
    let secret = open(factors, person.id, &app)?;
    let digits = totp::digits(code).ok_or(ConfirmError::WrongCode)?;
    let step = secret.step_of(&digits, now)?.ok_or(ConfirmError::WrongCode)?;
    if !store::confirm_app(tx, person.id, step).await? {
        return Err(ConfirmError::NothingBegun);
    }
    let codes = put_codes(tx, person.id).await?;
    mails::two_factor_changed(tx, links, person, true, origin).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::TwoFactorOn, origin);
    audit::record(tx, entry.named(&person.name)).await?;
    Ok(codes)
}

/// Puts a fresh set of recovery codes in the place of the last. The caller gives a transaction.
///
/// # Errors
/// `NothingBegun` where two-factor sign-in is off.
pub async fn new_recovery_codes(
    tx: &mut PgConnection,
    person: &Person,
    origin: &Origin,
) -> Result<RecoveryCodes, ConfirmError> {
    if store::lock_app(tx, person.id).await?.is_none() && !store::lock_second(tx, person.id).await? {
        return Err(ConfirmError::NothingBegun);
    }
    let codes = put_codes(tx, person.id).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::RecoveryCodesMade, origin);
    audit::record(tx, entry.named(&person.name)).await?;
    Ok(codes)
}

pub(super) async fn put_codes(tx: &mut PgConnection, person: PersonId) -> Result<RecoveryCodes, sqlx::Error> {
    let codes = RecoveryCodes::fresh();
    let digests: Vec<_> = codes.0.iter().filter_map(|code| recovery_code::digest(person, code)).collect();
    store::replace_codes(tx, person, &digests).await?;
    Ok(codes)
}
