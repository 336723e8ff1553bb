//! Showing again who one is, before something that a borrowed browser must not be able to do.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, PgPool};

use super::device::Device;
use super::factor::{Factor, Factors};
use super::password::{Hasher, Password};
use super::session::{Session, SessionSecret};
use super::sign_in::{HALF_LASTS, SignInError};
use super::throttle::{Throttle, Throttled};
use super::{passkeys, store, two_factor};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::PersonId;

/// What whoever is signed in is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asks {
    /// There is a password to ask for.
    pub password: bool,
    /// A code besides the password.
    pub code: bool,
    /// It may be one of an app; else it is a recovery code.
    pub app: bool,
    /// A passkey does instead of both.
    pub passkey: bool,
}

/// # Errors
/// Database errors only.
pub async fn asks(conn: &mut PgConnection, person: PersonId) -> Result<Asks, sqlx::Error> {
    let stored = store::find_person(conn, person).await?;
    let password = stored.is_some_and(|person| person.password_hash.is_some());
    Ok(Asks {
        password,
        code: two_factor::is_on(conn, person).await?,
        app: two_factor::has_app(conn, person).await?,
        passkey: passkeys::has_any(conn, person).await?,
    })
}

/// Checks the password of whoever is signed in, and a code where two-factor sign-in is on, and gives their session a
/// new secret.
///
/// # Errors
/// `WrongPassword` and `WrongCode`; `TooMany` when guessing is suspected, counted together with sign-ins; `Busy` while too many
/// others are checked.
pub async fn step_up(
    pool: &PgPool,
    (hasher, factors): (&Hasher, &Factors),
    session: &Session,
    (password, code): (&str, &str),
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    let mut conn = pool.acquire().await?;
    let person = store::find_person(&mut conn, session.person.id).await?.ok_or(SignInError::WrongPassword)?;
    let throttle = Throttle::of(&origin.ip, &person.email.to_lowercase());
    admit(&mut conn, &throttle, person.id, origin).await?;
    drop(conn);
    let fits = hasher.check(Password::entered(password), person.password_hash.as_deref()).await?;
    let mut tx = pool.begin().await?;
    // Again, as at sign-in, because guesses that were sent at once all got this far before the first was counted. Whose
    // they are is known here, so they come one after another.
    // The same lock as at sign-in, so that guesses which are spread over both wait for each other too.
    throttle.lock(&mut tx).await?;
    store::lock_person(&mut tx, person.id).await?;
    admit(&mut tx, &throttle, person.id, origin).await?;
    if !fits {
        throttle.note_failure(&mut tx).await?;
        tx.commit().await?;
        return Err(SignInError::WrongPassword);
    }
    let mut with = vec![Factor::Password];
    if two_factor::is_on(&mut tx, person.id).await? {
        match two_factor::check(&mut tx, factors, &person, code, now, origin).await {
            Ok(factor) => with.push(factor),
            Err(error) => {
                // The try counts.
                tx.commit().await?;
                return Err(error);
            }
        }
    }
    let secret = renew_with(&mut tx, session, &with, origin).await?;
    tx.commit().await?;
    Ok(secret)
}

async fn admit(
    conn: &mut PgConnection,
    throttle: &Throttle,
    person: PersonId,
    origin: &Origin,
) -> Result<(), SignInError> {
    match throttle.state(conn).await? {
        Throttled::Open => Ok(()),
        // As at sign-in: a flood from elsewhere does not keep the owner out.
        Throttled::Account
            if store::is_known_device(conn, person, &Device::of(&origin.user_agent, &origin.ip)).await? =>
        {
            Ok(())
        }
        Throttled::Account | Throttled::Network => Err(SignInError::TooMany),
    }
}

/// Checks a passkey of whoever is signed in, and gives their session a new secret.
///
/// # Errors
/// `TooLate` and `WrongPasskey`.
pub async fn step_up_with_passkey(
    conn: &mut PgConnection,
    factors: &Factors,
    session: &Session,
    (token, answer): (&str, &str),
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    let mut tx = conn.begin().await?;
    let (purpose, person) = (passkeys::Purpose::StepUp, session.person.id);
    if let Err(error) = passkeys::verify_known(&mut tx, factors, purpose, person, token, answer).await {
        // The challenge is used up.
        tx.commit().await?;
        return Err(error);
    }
    let secret = renew_with(&mut tx, session, &[Factor::Passkey], origin).await?;
    tx.commit().await?;
    Ok(secret)
}

/// A provider has vouched for whoever is signed in. As at sign-in, that is one factor: where two-factor sign-in is on, it is
/// noted for this session alone, and [`step_up_second`] asks for the other. `None` then.
///
/// # Errors
/// `WrongPassword` when the session ended meanwhile.
pub async fn step_up_elsewhere(
    conn: &mut PgConnection,
    session: &Session,
    origin: &Origin,
) -> Result<Option<SessionSecret>, SignInError> {
    let mut tx = conn.begin().await?;
    store::lock_person(&mut tx, session.person.id).await?;
    let secret = if two_factor::is_on(&mut tx, session.person.id).await? {
        store::insert_half_step(&mut tx, session.id, session.person.id, HALF_LASTS).await?;
        None
    } else {
        Some(renew_with(&mut tx, session, &[Factor::Provider], origin).await?)
    };
    tx.commit().await?;
    Ok(secret)
}

/// Whether a provider vouched for whoever is signed in within the last five minutes, and the code is still owed.
///
/// # Errors
/// Database errors only.
pub async fn is_half_stepped(conn: &mut PgConnection, session: &Session) -> Result<bool, sqlx::Error> {
    store::has_half_step(conn, session.id).await
}

/// Checks the code that is owed after a provider vouched, and gives the session a new secret.
///
/// # Errors
/// `TooLate` where no provider vouched in the last five minutes; `WrongCode`; `TooMany` when guessing is suspected.
pub async fn step_up_second(
    conn: &mut PgConnection,
    factors: &Factors,
    session: &Session,
    code: &str,
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    let mut tx = conn.begin().await?;
    let person = store::find_person(&mut tx, session.person.id).await?.ok_or(SignInError::TooLate)?;
    if !store::has_half_step(&mut tx, session.id).await? {
        return Err(SignInError::TooLate);
    }
    let second = match two_factor::check(&mut tx, factors, &person, code, now, origin).await {
        Ok(second) => second,
        Err(error) => {
            // The try counts.
            tx.commit().await?;
            return Err(error);
        }
    };
    // Of two at once, one uses it up.
    if !store::delete_half_step(&mut tx, session.id).await? {
        return Err(SignInError::TooLate);
    }
    let secret = renew_with(&mut tx, session, &[Factor::Provider, second], origin).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Notes in a session that its person has just shown who they are. Its secret changes, so that one which was stolen
/// before is worth nothing (ASVS 7.2.4).
async fn renew_with(
    tx: &mut PgConnection,
    session: &Session,
    with: &[Factor],
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    let secret = SessionSecret::fresh();
    if !store::renew_session(tx, session.id, &secret.digest()).await? {
        return Err(SignInError::WrongPassword);
    }
    let person = &session.person;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::SteppedUp, origin);
    let with: Vec<&str> = with.iter().map(|factor| factor.code()).collect();
    let entry = entry.named(&person.name).change(serde_json::Value::Null, serde_json::json!({ "with": with }));
    audit::record(tx, entry).await?;
    Ok(secret)
}
