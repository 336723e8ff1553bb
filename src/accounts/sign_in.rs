//! Signing in and out.
//!
//! Every way of signing in ends in [`finish`], which decides whether a second factor is owed.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, PgPool};

use super::device::Device;
use super::factor::{Factor, Factors};
use super::password::{HashError, Hasher, Password, PasswordError};
use super::person::Person;
use super::session::{ABSOLUTE, Session, SessionSecret};
use super::throttle::{Mailing, Throttle, Throttled};
use super::{NewSignIn, failed, mails, passkeys, store, two_factor};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::SessionId;
use crate::base::{EmailAddress, Origin};
use crate::jobs;

/// How long somebody who showed the first factor may take for the second.
pub(super) const HALF_LASTS: TimeDelta = TimeDelta::minutes(5);

pub(super) const FROZEN: &str =
    "This account is frozen, so nobody can sign in to it. Whoever runs this server knows why.";

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown address, wrong password and unproven address are one answer.
    #[error("That address and password do not belong together.")]
    WrongPassword,
    #[error("This code is not right, or was used before. Codes change every 30 seconds.")]
    WrongCode,
    #[error("This passkey could not be checked. Try again, or sign in another way.")]
    WrongPasskey,
    /// A step of signing in came too late, or twice.
    #[error("This took longer than five minutes, or was sent twice. Start again.")]
    TooLate,
    #[error("There is no passkey to ask for here.")]
    NoPasskeys,
    #[error("Too many tries. Wait a quarter of an hour, or reset your password.")]
    TooMany,
    #[error("This link was used before or is too old. Ask for a new one.")]
    WrongLink,
    /// Told only to somebody who has shown who they are.
    #[error("{FROZEN}")]
    Frozen,
    /// A new password that may not be chosen.
    #[error("The password {0}.")]
    Password(#[from] PasswordError),
    #[error("{}", HashError::Busy)]
    Busy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<HashError> for SignInError {
    fn from(error: HashError) -> SignInError {
        match error {
            HashError::Busy => SignInError::Busy,
            HashError::Failed(error) => SignInError::Internal(error),
        }
    }
}

/// Where signing in stands after a first factor.
#[derive(Clone, Debug)]
pub enum Finished {
    /// A session has begun; this goes into the browser's session cookie.
    Signed(SessionSecret),
    /// The second factor is owed; this goes into a cookie that opens only the page which asks for it.
    NeedsSecond(SessionSecret),
}

/// Checks an address and a password.
///
/// # Errors
/// One sentence for everything a stranger could learn from; `TooMany` when guessing is suspected; `Frozen` after the password;
/// `Busy` while too many others are checked.
pub async fn sign_in(
    pool: &PgPool,
    hasher: &Hasher,
    links: &mails::Links,
    email: &EmailAddress,
    password: &str,
    origin: &Origin,
) -> Result<Finished, SignInError> {
    let throttle = Throttle::of(&origin.ip, &email.canonical());
    let mut conn = pool.acquire().await?;
    admit(&mut conn, &throttle, email, origin).await?;
    let person = store::find_by_email(&mut conn, email).await?;
    drop(conn);
    let hash = person.as_ref().and_then(|person| person.password_hash.as_deref());
    let fits = hasher.check(Password::entered(password), hash).await?;
    let mut tx = pool.begin().await?;
    // Again, and one after another, because guesses that were sent at once all got this far before the first was counted.
    throttle.lock(&mut tx).await?;
    admit(&mut tx, &throttle, email, origin).await?;
    let Some(person) = person.filter(|_| fits) else {
        throttle.note_failure(&mut tx).await?;
        // Left to a job, so that it takes as long for an address without an account.
        failed::report(&mut tx, email, Factor::Password, origin).await?;
        tx.commit().await?;
        return Err(SignInError::WrongPassword);
    };
    if person.verified_at.is_none() {
        // The password is right, so this person may be helped: a fresh link, and the uniform answer. But whoever chose the
        // password need not own the mailbox.
        if Throttle::of_mail(Mailing::SignUp, &origin.ip, email).count(&mut tx).await? {
            mails::verify(&mut tx, links, person.id, email, &person.name).await?;
        }
        tx.commit().await?;
        return Err(SignInError::WrongPassword);
    }
    let finished = finish(&mut tx, links, &person, Factor::Password, origin).await?;
    tx.commit().await?;
    hash_anew(pool, hasher, &person, password).await;
    Ok(finished)
}

/// Hashes of earlier versions become as strong as new ones when their password is shown. Signing in does not fail over it.
async fn hash_anew(pool: &PgPool, hasher: &Hasher, person: &Person, password: &str) {
    let Some(old) = person.password_hash.as_deref().filter(|hash| hasher.is_outdated(hash)) else { return };
    let renewed = async {
        let new = hasher.hash(Password::entered(password)).await?;
        let mut conn = pool.acquire().await?;
        Ok::<_, SignInError>(store::replace_hash(&mut conn, person.id, old, &new).await?)
    };
    if let Err(error) = renewed.await {
        tracing::warn!(person = %person.id, %error, "an old password hash was not renewed");
    }
}

async fn admit(
    conn: &mut PgConnection,
    throttle: &Throttle,
    email: &EmailAddress,
    origin: &Origin,
) -> Result<(), SignInError> {
    match throttle.state(conn).await? {
        Throttled::Open => Ok(()),
        // A flood from elsewhere does not keep an owner out who comes from where they were before.
        Throttled::Account if is_known_place(conn, email, origin).await? => Ok(()),
        Throttled::Account | Throttled::Network => Err(SignInError::TooMany),
    }
}

async fn is_known_place(conn: &mut PgConnection, email: &EmailAddress, origin: &Origin) -> Result<bool, sqlx::Error> {
    let device = Device::of(&origin.user_agent, &origin.ip);
    match store::find_by_email(conn, email).await? {
        Some(person) => store::is_known_device(conn, person.id, &device).await,
        None => Ok(false),
    }
}

/// Goes on after a first factor was right: a session begins, or the second factor is owed. The caller gives a
/// transaction. The person's address is proven; the caller has checked that.
///
/// # Errors
/// `Frozen` where an operator froze the account; database errors, and a mail that cannot be written.
pub async fn finish(
    tx: &mut PgConnection,
    links: &mails::Links,
    person: &Person,
    first: Factor,
    origin: &Origin,
) -> Result<Finished, SignInError> {
    // A passkey is something one has, unlocked by something one knows or is.
    if first != Factor::Passkey && two_factor::is_on(tx, person.id).await? {
        let secret = SessionSecret::fresh();
        store::insert_half(tx, &secret.digest(), person.id, first.code(), HALF_LASTS).await?;
        return Ok(Finished::NeedsSecond(secret));
    }
    Ok(Finished::Signed(start_session(tx, links, person, &[first], origin).await?))
}

/// Whose second factor a cookie is about to show; `None` when that took too long.
///
/// # Errors
/// Database errors only.
pub async fn half_signed_in(conn: &mut PgConnection, half: &SessionSecret) -> Result<Option<Person>, sqlx::Error> {
    Ok(store::find_half(conn, &half.digest()).await?.map(|(person, _)| person))
}

/// How somebody answers the question for their second factor.
#[derive(Clone, Copy)]
pub enum SecondAnswer<'a> {
    /// A code of the app, or a recovery code.
    Code(&'a str),
    Passkey {
        token: &'a str,
        answer: &'a str,
    },
}

/// Checks the second factor and starts a session under a new secret.
///
/// # Errors
/// `TooLate` without a first factor in the last five minutes; `WrongCode`, `WrongPasskey`; `TooMany`; `Frozen`.
pub async fn finish_second(
    conn: &mut PgConnection,
    factors: &Factors,
    links: &mails::Links,
    half: &SessionSecret,
    answer: SecondAnswer<'_>,
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    let mut tx = conn.begin().await?;
    let (person, first) = store::find_half(&mut tx, &half.digest()).await?.ok_or(SignInError::TooLate)?;
    let checked = check_second(&mut tx, factors, &person, passkeys::Purpose::Second, answer, now, origin).await;
    let second = match checked {
        Ok(second) => second,
        Err(error) => {
            if matches!(error, SignInError::WrongCode | SignInError::WrongPasskey) {
                let tried = if matches!(answer, SecondAnswer::Code(_)) { Factor::App } else { Factor::Passkey };
                failed::note(&mut tx, links, &person, tried, origin).await?;
            }
            // The try counts, and its challenge is used up.
            tx.commit().await?;
            return Err(error);
        }
    };
    if !store::delete_half(&mut tx, &half.digest()).await? {
        return Err(SignInError::TooLate);
    }
    let first = Factor::parse(&first).unwrap_or(Factor::Password);
    let secret = start_session(&mut tx, links, &person, &[first, second], origin).await?;
    tx.commit().await?;
    Ok(secret)
}

/// The caller commits the transaction also when this fails.
pub(super) async fn check_second(
    tx: &mut PgConnection,
    factors: &Factors,
    person: &Person,
    purpose: passkeys::Purpose,
    answer: SecondAnswer<'_>,
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<Factor, SignInError> {
    match answer {
        SecondAnswer::Code(code) => two_factor::check(tx, factors, person, code, now, origin).await,
        SecondAnswer::Passkey { token, answer } => {
            passkeys::verify_known(tx, factors, purpose, person.id, token, answer).await?;
            Ok(Factor::Passkey)
        }
    }
}

/// Signs in with a passkey alone.
///
/// # Errors
/// `TooLate`, `WrongPasskey`; `TooMany` when guessing is suspected; `Frozen`.
pub async fn sign_in_with_passkey(
    conn: &mut PgConnection,
    factors: &Factors,
    links: &mails::Links,
    token: &str,
    answer: &str,
    origin: &Origin,
) -> Result<Finished, SignInError> {
    let throttle = Throttle::of(&origin.ip, "passkey");
    let mut tx = conn.begin().await?;
    // A passkey cannot be guessed. Only the network's own limit counts, so that nobody can close this door for others.
    if throttle.state(&mut tx).await? == Throttled::Network {
        return Err(SignInError::TooMany);
    }
    let person = match passkeys::identify(&mut tx, factors, token, answer).await {
        Ok(person) => store::find_person(&mut tx, person).await?.filter(|person| person.verified_at.is_some()),
        Err(error) => {
            if matches!(error, SignInError::WrongPasskey) {
                throttle.note_failure(&mut tx).await?;
            }
            tx.commit().await?;
            return Err(error);
        }
    };
    let person = person.ok_or(SignInError::WrongPasskey)?;
    let finished = finish(&mut tx, links, &person, Factor::Passkey, origin).await?;
    tx.commit().await?;
    Ok(finished)
}

/// Starts a session under a new secret, whatever cookie the browser had before.
async fn start_session(
    tx: &mut PgConnection,
    links: &mails::Links,
    person: &Person,
    shown: &[Factor],
    origin: &Origin,
) -> Result<SessionSecret, SignInError> {
    if store::is_frozen(tx, person.id).await? {
        return Err(SignInError::Frozen);
    }
    let (secret, id) = (SessionSecret::fresh(), SessionId::fresh());
    let agent: String = origin.user_agent.chars().take(300).collect();
    store::insert_session(tx, id, &secret.digest(), person.id, &agent, &origin.ip, ABSOLUTE).await?;
    let device = Device::of(&origin.user_agent, &origin.ip);
    // The first of all needs no mail, because its owner has just made the account.
    let (known_any, known_this) = store::remember_device(tx, person.id, &device).await?;
    if known_any && !known_this {
        mails::new_device(tx, links, person, id, &device, origin).await?;
        let told = NewSignIn { person: person.id, session: id, browser: device.browser.clone() };
        jobs::enqueue(tx, &told, &format!("new_sign_in:{id}")).await?;
    }
    let unlisted = store::take_unlisted(tx, person.id).await?;
    let with: Vec<&str> = shown.iter().map(|factor| factor.code()).collect();
    let mut after = json!({ "with": with, "new_device": known_any && !known_this });
    if unlisted > 0 {
        after["failed_before_unlisted"] = unlisted.into();
    }
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::SignedIn, origin);
    let entry = entry.named(&person.name).on(Target::new("session", id, device.browser));
    audit::record(tx, entry.change(serde_json::Value::Null, after)).await?;
    Ok(secret)
}

/// Ends a session for good.
///
/// # Errors
/// Database errors only.
pub async fn sign_out(conn: &mut PgConnection, session: &Session, origin: &Origin) -> Result<(), sqlx::Error> {
    let mut tx = conn.begin().await?;
    let person = &session.person;
    if store::delete_session(&mut tx, person.id, session.id).await?.is_some() {
        let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::SignedOut, origin);
        audit::record(&mut tx, entry.named(&person.name).on(Target::new("session", session.id, ""))).await?;
    }
    tx.commit().await
}
