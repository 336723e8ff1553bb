//! A forgotten password. Whoever asks is told the same.

use sqlx::PgConnection;

use super::password::{Hasher, Password};
use super::sign_in::SignInError;
use super::{mails, store};
use crate::base::EmailAddress;
use crate::base::secret::Digest;

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

/// Sets a new password by a mailed link, and ends every session of the account.
///
/// # Errors
/// `WrongLink` when the link is unknown, used or too old.
pub async fn reset_password(
    conn: &mut PgConnection,
    hasher: &Hasher,
    token: &str,
    password: Password,
) -> Result<(), SignInError> {
    let digest = Digest::of(token);
    let person = store::token_owner(conn, &digest, "recover").await?.ok_or(SignInError::WrongLink)?;
    let hash = hasher.hash(password).await?;
    if !store::use_token(conn, &digest, "recover").await? {
        return Err(SignInError::WrongLink);
    }
    store::set_password(conn, person.id, &hash).await?;
    store::delete_sessions(conn, person.id).await?;
    Ok(())
}
