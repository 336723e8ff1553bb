//! Changing an e-mail address: confirmed from the new mailbox by whoever is signed in, told to the old one, and
//! revertible from there for a week.
//!
//! Confirming needs both the link and the session. Otherwise somebody could lead a stranger's mailbox into an account
//! of their own by the stranger's click.

mod lock_out;
mod store;

pub mod pages;

pub use lock_out::LockedOut;

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::mails::{self, Links};
use super::person::Person;
use super::throttle::{Mailing, Throttle};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::secret::{Digest, random_token};
use crate::base::{EmailAddress, Origin};

/// How long the link to the new mailbox works.
pub const CONFIRM_LASTS: TimeDelta = TimeDelta::hours(1);
/// How long the link to the old mailbox works.
pub const REVERT_LASTS: TimeDelta = TimeDelta::days(7);

#[derive(Debug, thiserror::Error)]
pub enum EmailChangeError {
    #[error("This is your address already.")]
    Same,
    #[error("Too many tries. Wait an hour.")]
    TooMany,
    /// Unknown, used, too old, or of somebody else's account.
    #[error("This link was used before, is too old, or belongs to another account.")]
    WrongLink,
    /// Another account has got the address meanwhile.
    #[error("This address belongs to another account by now.")]
    Taken,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// Mails a link to the new address. An earlier request that was not confirmed is void. An address that has an account
/// gets a mail that says so; whoever asks is told the same in both cases. The caller gives a transaction, and drops it where this
/// fails.
///
/// # Errors
/// `Same` for the address that stands; `TooMany` when this is tried over and over.
pub async fn ask(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    new: &EmailAddress,
    origin: &Origin,
) -> Result<(), EmailChangeError> {
    if new.canonical() == person.email.to_lowercase() {
        return Err(EmailChangeError::Same);
    }
    let throttle = Throttle::of(&origin.ip, &format!("email-change|{}", person.id));
    let mailing = Throttle::of_mail(Mailing::EmailChange, &origin.ip, new);
    // Each request costs somebody a mail. Those that are sent at once wait for each other, so that each is counted before the next.
    if !throttle.count(conn).await? || !mailing.count(conn).await? {
        return Err(EmailChangeError::TooMany);
    }
    store::delete_unconfirmed(conn, person.id).await?;
    match super::find_by_email(conn, new).await? {
        Some(_) => mails::address_is_taken(conn, links, new).await?,
        None => {
            let token = random_token();
            store::insert(conn, person, new, &Digest::of(token.expose())).await?;
            mails::confirm_email(conn, links, person, new, &token).await?;
        }
    }
    let entry = entry(person, Action::EmailChangeAsked, origin).note(json!({ "new": new.as_str() }));
    Ok(audit::record(conn, entry).await?)
}

/// Changes the address of whoever is signed in, and tells the old one.
///
/// # Errors
/// `WrongLink`, and `Taken` when another account was faster.
pub async fn confirm(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    token: &str,
    origin: &Origin,
) -> Result<(), EmailChangeError> {
    let change =
        store::lock_unconfirmed(conn, person.id, &Digest::of(token)).await?.ok_or(EmailChangeError::WrongLink)?;
    let revert = random_token();
    store::mark_confirmed(conn, change.id, &Digest::of(revert.expose())).await?;
    replace(conn, person, &change.new_email).await?;
    if let Ok(old) = EmailAddress::parse(&change.old_email) {
        mails::email_changed(conn, links, person, &old, &change.new_email, &revert).await?;
    }
    let note = json!({ "old": change.old_email, "new": change.new_email });
    Ok(audit::record(conn, entry(person, Action::EmailChanged, origin).note(note)).await?)
}

/// Gives an account its old address back, ends every session, and mails a link with which its owner sets a new
/// password: whoever changed the address may have changed that too, and may have added what signs them in without one. So
/// the password and everything that was added since the change was asked for is forgotten.
///
/// # Errors
/// `WrongLink`, and `Taken` when another account has the old address by now.
pub async fn revert(
    conn: &mut PgConnection,
    links: &Links,
    token: &str,
    origin: &Origin,
) -> Result<(), EmailChangeError> {
    let change = store::lock_revertible(conn, &Digest::of(token)).await?.ok_or(EmailChangeError::WrongLink)?;
    super::store::lock_person(conn, change.person).await?;
    let person = super::store::find_person(conn, change.person).await?.ok_or(EmailChangeError::WrongLink)?;
    store::mark_reverted(conn, person.id, change.confirmed_at).await?;
    store::delete_unconfirmed(conn, person.id).await?;
    replace(conn, &person, &change.old_email).await?;
    super::end_other_sessions(conn, person.id, None).await?;
    let locked_out = lock_out::lock_out(conn, &person, change.asked_at).await?;
    if let Ok(old) = EmailAddress::parse(&change.old_email) {
        mails::address_is_back(conn, links, &person, &old, &locked_out).await?;
    }
    let note = json!({ "old": person.email, "new": change.old_email });
    let entry = entry(&person, Action::EmailReverted, origin).change(Value::Null, locked_out.counted());
    Ok(audit::record(conn, entry.note(note)).await?)
}

/// Sets the address. Links that were mailed to the one before work no longer.
async fn replace(conn: &mut PgConnection, person: &Person, email: &str) -> Result<(), EmailChangeError> {
    let email = EmailAddress::parse(email).map_err(|_| EmailChangeError::WrongLink)?;
    store::delete_tokens(conn, person.id).await?;
    store::set_email(conn, person.id, &email).await.map_err(|error| match &error {
        sqlx::Error::Database(refused) if refused.is_unique_violation() => EmailChangeError::Taken,
        _ => error.into(),
    })
}

fn entry(person: &Person, action: Action, origin: &Origin) -> Entry {
    Entry::new(Chain::Person(person.id), Actor::Person(person.id), action, origin).named(&person.name)
}
