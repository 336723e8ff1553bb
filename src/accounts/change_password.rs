//! Changing the password, or adding the first one.

use serde_json::{Value, json};
use sqlx::PgPool;

use super::mails::{self, Links, Ways};
use super::password::{Hasher, Password};
use super::session::{Session, SessionSecret};
use super::sign_in::SignInError;
use super::{end_other_sessions, store};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;

/// Sets the password of whoever is signed in, who has just shown it. Every other session ends, this one gets a new
/// secret, links to recover that were mailed before work no longer, and its owner is mailed.
///
/// # Errors
/// `WrongPassword` when the session ended meanwhile; `Busy` while too many others are hashed.
pub async fn change_password(
    pool: &PgPool,
    hasher: &Hasher,
    links: &Links,
    session: &Session,
    password: Password,
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    let hash = hasher.hash(password).await?;
    let person = &session.person;
    let secret = SessionSecret::fresh();
    let mut tx = pool.begin().await?;
    store::lock_person(&mut tx, person.id).await?;
    let before = store::find_person(&mut tx, person.id).await?.ok_or(SignInError::WrongPassword)?;
    let had = before.password_hash.is_some();
    store::set_password(&mut tx, person.id, &hash).await?;
    store::delete_recovery_links(&mut tx, person.id).await?;
    end_other_sessions(&mut tx, person.id, Some(session.id)).await?;
    if !store::renew_session(&mut tx, session.id, &secret.digest()).await? {
        return Err(SignInError::WrongPassword);
    }
    mails::ways_changed(&mut tx, links, person, Ways::Password { had }, origin).await?;
    let set = |set: bool| if set { json!({ "password": "set" }) } else { Value::Null };
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::PasswordChanged, origin);
    audit::record(&mut tx, entry.named(&person.name).change(set(had), set(true))).await?;
    tx.commit().await?;
    Ok(secret)
}
