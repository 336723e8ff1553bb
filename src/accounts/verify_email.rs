//! Proving an address: the mailed link together with the password chosen at sign-up.
//!
//! The link alone is not enough. Otherwise somebody could sign up with another's address and a password
//! of their own, and wait for the owner to click.

use sqlx::PgPool;

use super::factor::Factor;
use super::mails::Links;
use super::password::{Hasher, Password};
use super::sign_in::{Finished, SignInError, finish};
use super::store;
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::secret::Digest;

/// Proves the address and signs in.
///
/// # Errors
/// `WrongLink` when the link is unknown, used or too old; `WrongPassword`, `TooMany` and `Busy` leave the link valid.
pub async fn verify_email(
    pool: &PgPool,
    hasher: &Hasher,
    links: &Links,
    token: &str,
    password: &str,
    origin: &Origin,
) -> Result<Finished, SignInError> {
    let digest = Digest::of(token);
    let mut conn = pool.acquire().await?;
    let person = store::token_owner(&mut conn, &digest, "verify_email").await?.ok_or(SignInError::WrongLink)?;
    let throttle = super::Throttle::of(&origin.ip, &person.email.to_lowercase());
    if throttle.is_closed(&mut conn).await? {
        return Err(SignInError::TooMany);
    }
    drop(conn);
    let fits = hasher.check(Password::entered(password), person.password_hash.as_deref()).await?;
    // Only from here on, because hashing takes its time.
    let mut tx = pool.begin().await?;
    // Again, as at sign-in and under the same lock: guesses that were sent at once all got this far before the first was
    // counted.
    throttle.lock(&mut tx).await?;
    store::lock_person(&mut tx, person.id).await?;
    if throttle.is_closed(&mut tx).await? {
        return Err(SignInError::TooMany);
    }
    if !fits {
        throttle.note_failure(&mut tx).await?;
        tx.commit().await?;
        return Err(SignInError::WrongPassword);
    }
    if !store::use_token(&mut tx, &digest, "verify_email").await? {
        return Err(SignInError::WrongLink);
    }
    store::mark_verified(&mut tx, person.id).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::EmailVerified, origin);
    audit::record(&mut tx, entry.named(&person.name)).await?;
    let finished = finish(&mut tx, links, &person, Factor::Link, origin).await?;
    tx.commit().await?;
    Ok(finished)
}
