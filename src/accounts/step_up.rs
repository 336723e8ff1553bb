//! Showing again who one is, before something that a borrowed browser must not be able to do.

use sqlx::PgConnection;

use super::password::{Hasher, Password};
use super::session::{Session, SessionSecret};
use super::sign_in::SignInError;
use super::{store, throttle::Throttle};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;

/// Checks the password of whoever is signed in, and gives their session a new secret.
///
/// # Errors
/// `WrongPassword`; `TooMany` when guessing is suspected, counted together with sign-ins.
pub async fn step_up(
    conn: &mut PgConnection,
    hasher: &Hasher,
    session: &Session,
    password: &str,
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    let person = store::find_person(conn, session.person.id).await?.ok_or(SignInError::WrongPassword)?;
    let throttle = Throttle::of(&origin.ip, &person.email.to_lowercase());
    if throttle.is_closed(conn).await? {
        return Err(SignInError::TooMany);
    }
    if !hasher.check(Password::entered(password), person.password_hash.as_deref()).await? {
        throttle.note_failure(conn).await?;
        return Err(SignInError::WrongPassword);
    }
    renew(conn, session, origin).await
}

/// Notes in a session that its person has just shown who they are. Its secret changes, so that one which was stolen
/// before is worth nothing (ASVS 7.2.4).
///
/// # Errors
/// `WrongPassword` when the session ended meanwhile.
pub async fn renew(conn: &mut PgConnection, session: &Session, origin: &Origin) -> Result<SessionSecret, SignInError> {
    use sqlx::Connection as _;
    let secret = SessionSecret::fresh();
    let mut tx = conn.begin().await?;
    if !store::renew_session(&mut tx, session.id, &secret.digest()).await? {
        return Err(SignInError::WrongPassword);
    }
    let person = &session.person;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::SteppedUp, origin);
    audit::record(&mut tx, entry.named(&person.name)).await?;
    tx.commit().await?;
    Ok(secret)
}
