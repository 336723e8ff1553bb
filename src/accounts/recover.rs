//! A forgotten password. Whoever asks is told the same.

use sqlx::PgConnection;

use super::device::Device;
use super::password::{Hasher, Password};
use super::sessions::end_other_sessions;
use super::sign_in::SignInError;
use super::{mails, store};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::secret::Digest;
use crate::base::{EmailAddress, Origin};

/// Mails a link, if the address has a proven account.
///
/// # Errors
/// Database errors only.
pub async fn start_recovery(conn: &mut PgConnection, links: &mails::Links, email: &EmailAddress) -> anyhow::Result<()> {
    match store::find_by_email(conn, email).await? {
        Some(person) if person.verified_at.is_some() => mails::recover(conn, links, &person, email).await,
        _ => Ok(()),
    }
}

/// Sets a new password by a mailed link, ends every session of the account, and tells its owner. The second factor
/// stays as it is. The caller gives a transaction.
///
/// # Errors
/// `WrongLink` when the link is unknown, used or too old.
pub async fn reset_password(
    conn: &mut PgConnection,
    hasher: &Hasher,
    links: &mails::Links,
    token: &str,
    password: Password,
    origin: &Origin,
) -> Result<(), SignInError> {
    let digest = Digest::of(token);
    let person = store::token_owner(conn, &digest, "recover").await?.ok_or(SignInError::WrongLink)?;
    let hash = hasher.hash(password).await?;
    if !store::use_token(conn, &digest, "recover").await? {
        return Err(SignInError::WrongLink);
    }
    store::set_password(conn, person.id, &hash).await?;
    end_other_sessions(conn, person.id, None).await?;
    // Whoever reads the account's mail is its owner: a flood of guesses must not keep them out now.
    store::remember_device(conn, person.id, &Device::of(&origin.user_agent, &origin.ip)).await?;
    mails::password_reset(conn, links, &person, origin).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::PasswordReset, origin);
    audit::record(conn, entry.named(&person.name)).await?;
    Ok(())
}
