//! Signing up. Whoever asks is told the same: look into your mailbox.

use sqlx::PgConnection;

use super::person::{Person, clean_name};
use super::{mails, store};
use crate::base::EmailAddress;
use crate::base::ids::PersonId;

pub struct NewPerson {
    pub email: EmailAddress,
    pub name: String,
    pub password_hash: String,
}

/// Makes an account whose address is still to be proven, and mails the link that proves it.
/// An address that has a proven account gets a mail that says so instead. One that is not admitted by the operator's
/// policy gets nothing; whoever asks does not see the difference.
///
/// # Errors
/// Database errors only.
pub async fn sign_up(
    conn: &mut PgConnection,
    links: &mails::Links,
    new: NewPerson,
    admitted: bool,
) -> anyhow::Result<()> {
    let NewPerson { email, name, password_hash: hash } = &new;
    let name = name_or_local_part(name, email);
    let person = match store::find_by_email(conn, email).await? {
        Some(person) if person.verified_at.is_some() => {
            return mails::already_registered(conn, links, &person, email).await;
        }
        _ if !admitted => return Ok(()),
        Some(person) => {
            // The newest password wins; the link alone proves nothing without it.
            store::replace_unverified(conn, person.id, &name, hash).await?;
            person.id
        }
        None => {
            let id = PersonId::fresh();
            if !store::insert_person(conn, id, email, &name, Some(hash), false).await? {
                // Another request was faster by a moment; its mail is on the way.
                return Ok(());
            }
            id
        }
    };
    mails::verify(conn, links, person, email, &name).await
}

/// Makes an account for scripts and operators: proven at once, without a password unless one is given.
/// An address that has an account returns it.
///
/// # Errors
/// Database errors only.
pub async fn create_verified(
    conn: &mut PgConnection,
    email: &EmailAddress,
    name: &str,
    password_hash: Option<&str>,
) -> Result<Person, sqlx::Error> {
    let name = name_or_local_part(name, email);
    store::insert_person(conn, PersonId::fresh(), email, &name, password_hash, true).await?;
    store::find_by_email(conn, email).await?.ok_or(sqlx::Error::RowNotFound)
}

/// What became of the wish for an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    /// It was not there, or nobody had proven its address: it is now as it was wished.
    Now,
    /// Somebody has proven the address. Nothing was changed.
    Before,
}

/// As [`create_verified`]; an account whose address nobody has proven becomes proven, too, with this password or none. What a
/// stranger may have chosen for it before, and the links that were mailed for it, are worth nothing any more.
///
/// # Errors
/// Database errors only.
pub async fn create_or_adopt(
    conn: &mut PgConnection,
    email: &EmailAddress,
    name: &str,
    password_hash: Option<&str>,
) -> Result<(Person, Made), sqlx::Error> {
    let name = name_or_local_part(name, email);
    let made = match store::find_by_email(conn, email).await? {
        None => store::insert_person(conn, PersonId::fresh(), email, &name, password_hash, true).await?,
        Some(person) if person.verified_at.is_some() => false,
        Some(person) => {
            let adopted = store::adopt_unverified(conn, person.id, &name).await?;
            if let (true, Some(hash)) = (adopted, password_hash) {
                store::set_password(conn, person.id, hash).await?;
            }
            adopted
        }
    };
    let person = store::find_by_email(conn, email).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok((person, if made { Made::Now } else { Made::Before }))
}

fn name_or_local_part(name: &str, email: &EmailAddress) -> String {
    let name = clean_name(name);
    if name.is_empty() { clean_name(email.local_part()) } else { name }
}
