//! Signing in and out.

use sqlx::{Connection, PgConnection};

use super::password::{Hasher, Password};
use super::session::{ABSOLUTE, Session, SessionSecret};
use super::{mails, store, throttle::Throttle};
use crate::base::ids::{PersonId, SessionId};
use crate::base::{EmailAddress, Origin};

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown address, wrong password and unproven address are one answer.
    #[error("That address and password do not belong together.")]
    WrongPassword,
    #[error("Too many tries. Wait a quarter of an hour, or reset your password.")]
    TooMany,
    #[error("This link was used before or is too old. Ask for a new one.")]
    WrongLink,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// Checks an address and a password and starts a session under a new secret.
///
/// # Errors
/// One sentence for everything a stranger could learn from; `TooMany` when guessing is suspected.
pub async fn sign_in(
    conn: &mut PgConnection,
    hasher: &Hasher,
    links: &mails::Links,
    email: &EmailAddress,
    password: &str,
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    let throttle = Throttle::of(&origin.ip, &email.canonical());
    if throttle.is_closed(conn).await? {
        return Err(SignInError::TooMany);
    }
    let person = store::find_by_email(conn, email).await?;
    let hash = person.as_ref().and_then(|person| person.password_hash.as_deref());
    let fits = hasher.check(Password::entered(password), hash).await?;
    let Some(person) = person.filter(|_| fits) else {
        throttle.note_failure(conn).await?;
        return Err(SignInError::WrongPassword);
    };
    if person.verified_at.is_none() {
        // The password is right, so this person may be helped: a fresh link, and the uniform answer.
        let mut tx = conn.begin().await?;
        mails::verify(&mut tx, links, person.id, email, &person.name).await?;
        tx.commit().await?;
        return Err(SignInError::WrongPassword);
    }
    Ok(start_session(conn, person.id, origin).await?)
}

pub async fn start_session(
    conn: &mut PgConnection,
    person: PersonId,
    origin: &Origin,
) -> Result<SessionSecret, sqlx::Error> {
    let secret = SessionSecret::fresh();
    let agent: String = origin.user_agent.chars().take(300).collect();
    store::insert_session(conn, SessionId::fresh(), &secret.digest(), person, &agent, &origin.ip, ABSOLUTE).await?;
    Ok(secret)
}

/// Ends a session for good.
///
/// # Errors
/// Database errors only.
pub async fn sign_out(conn: &mut PgConnection, session: &Session) -> Result<(), sqlx::Error> {
    store::delete_session(conn, session.id).await
}
