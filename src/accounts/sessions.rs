//! The browsers in which a person is signed in, and what happened to the account.

use chrono::TimeDelta;
use sqlx::{Connection as _, PgConnection};

use super::session::{Session, SessionSeen};
use super::store;
use crate::audit::{self, Action, Actor, Chain, Entry, Recorded, Target};
use crate::base::Origin;
use crate::base::ids::{PersonId, SessionId};

/// Sessions that a page shows, newest use first.
const MAX_SHOWN: i64 = 50;
/// Entries of the history that a page shows.
const MAX_HISTORY: i64 = 50;

/// What the history of an account shows.
pub const HISTORY: &[Action] = &[
    Action::SignedIn,
    Action::SignInFailed,
    Action::SignedOut,
    Action::SessionEnded,
    Action::SessionsEnded,
    Action::SteppedUp,
    Action::EmailVerified,
    Action::EmailChanged,
    Action::EmailReverted,
    Action::PasswordChanged,
    Action::PasswordReset,
    Action::IdentityLinked,
    Action::IdentityUnlinked,
    Action::TwoFactorOn,
    Action::TwoFactorOff,
    Action::RecoveryCodesMade,
    Action::RecoveryCodeUsed,
    Action::PasskeyAdded,
    Action::PasskeyRemoved,
    Action::PersonFrozen,
    Action::PersonUnfrozen,
];

/// The sessions that stand and were used within `idle`, the newest use first; at most fifty.
///
/// # Errors
/// Database errors only.
pub async fn sessions(
    conn: &mut PgConnection,
    person: PersonId,
    idle: TimeDelta,
) -> Result<Vec<SessionSeen>, sqlx::Error> {
    store::sessions(conn, person, idle, MAX_SHOWN).await
}

/// The newest entries of a person's own log.
///
/// # Errors
/// Database errors only.
pub async fn history(conn: &mut PgConnection, person: PersonId) -> Result<Vec<Recorded>, sqlx::Error> {
    audit::latest(conn, Chain::Person(person), HISTORY, MAX_HISTORY).await
}

/// How many failed tries of this hour are not listed.
///
/// # Errors
/// Database errors only.
pub async fn unlisted_failures(conn: &mut PgConnection, person: PersonId) -> Result<i32, sqlx::Error> {
    store::unlisted(conn, person).await
}

/// Ends another session of the same person. False when they have no such one, and for the current one, which is ended
/// by signing out.
///
/// # Errors
/// Database errors only.
pub async fn end_session(
    conn: &mut PgConnection,
    current: &Session,
    id: SessionId,
    origin: &Origin,
) -> Result<bool, sqlx::Error> {
    let (mut tx, person) = (conn.begin().await?, &current.person);
    if id == current.id {
        return Ok(false);
    }
    let Some(browser) = store::delete_session(&mut tx, person.id, id).await? else { return Ok(false) };
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::SessionEnded, origin);
    audit::record(&mut tx, entry.named(&person.name).on(Target::new("session", id, browser))).await?;
    tx.commit().await?;
    Ok(true)
}

/// Ends every session of a person but one, and every sign-in that is half done. Says how many ended. The caller gives a
/// transaction, and records what it did; [`sign_out_others`] does both.
///
/// # Errors
/// Database errors only.
pub async fn end_other_sessions(
    tx: &mut PgConnection,
    person: PersonId,
    except: Option<SessionId>,
) -> Result<u64, sqlx::Error> {
    store::delete_halves(tx, person).await?;
    store::delete_other_sessions(tx, person, except).await
}

/// Signs out everywhere else.
///
/// # Errors
/// Database errors only.
pub async fn sign_out_others(conn: &mut PgConnection, current: &Session, origin: &Origin) -> Result<u64, sqlx::Error> {
    let (mut tx, person) = (conn.begin().await?, &current.person);
    let ended = end_other_sessions(&mut tx, person.id, Some(current.id)).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::SessionsEnded, origin);
    let entry = entry.named(&person.name).change(serde_json::Value::Null, serde_json::json!({ "ended": ended }));
    audit::record(&mut tx, entry).await?;
    tx.commit().await?;
    Ok(ended)
}
