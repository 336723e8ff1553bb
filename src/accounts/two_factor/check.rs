//! Is this code right?

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::factor::{Factor, Factors};
use super::super::person::Person;
use super::super::sign_in::SignInError;
use super::super::store as accounts_store;
use super::super::throttle::{SecondThrottle, Throttled};
use super::{enrol, recovery_code, store, totp};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;

/// Checks a code of the app, or a recovery code, and uses it up. The caller gives a transaction, and commits it also
/// when the code is wrong: the try is counted in it.
///
/// # Errors
/// `WrongCode`, also when two-factor sign-in is off; `TooMany` when guessing is suspected.
pub async fn check(
    tx: &mut PgConnection,
    factors: &Factors,
    person: &Person,
    code: &str,
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<Factor, SignInError> {
    accounts_store::lock_person(tx, person.id).await?;
    // Locked, so that tries of one account come one after another and each is counted before the next.
    let app = store::lock_app(tx, person.id).await?;
    if app.is_none() && !store::lock_second(tx, person.id).await? {
        return Err(SignInError::WrongCode);
    }
    let throttle = SecondThrottle::of(person.id, origin);
    let right = match totp::digits(code).zip(app) {
        Some((digits, app)) => {
            if throttle.state(tx).await? != Throttled::Open {
                return Err(SignInError::TooMany);
            }
            let secret = enrol::open(factors, person.id, &app)?;
            match secret.step_of(&digits, now)? {
                Some(step) if store::use_step(tx, person.id, step).await? => Some(Factor::App),
                _ => None,
            }
        }
        None => {
            // Too long to be guessed, so only the network's own limit counts and its owner is never locked out.
            if throttle.state(tx).await? == Throttled::Network {
                return Err(SignInError::TooMany);
            }
            match recovery_code::digest(person.id, code) {
                Some(digest) if store::use_code(tx, person.id, &digest).await? => {
                    let entry = Entry::new(
                        Chain::Person(person.id),
                        Actor::Person(person.id),
                        Action::RecoveryCodeUsed,
                        origin,
                    );
                    audit::record(tx, entry.named(&person.name)).await?;
                    Some(Factor::RecoveryCode)
                }
                _ => None,
            }
        }
    };
    match right {
        Some(factor) => Ok(factor),
        None => {
            throttle.note_failure(tx).await?;
            Err(SignInError::WrongCode)
        }
    }
}
