//! Freezing an account: nobody is signed in as this person, and no key that they made is taken, until an operator lets them
//! go on.

use sqlx::PgConnection;

use super::sessions::end_other_sessions;
use super::store;
use crate::base::ids::PersonId;

/// Freezes a person in an operator's name and ends their sessions, whose number it returns. `None` when they were frozen
/// before, or there is nobody. Every node forgets their keys by the trigger on the row; a session is looked up for each
/// request. The caller gives a transaction, and records it.
///
/// # Errors
/// Database errors only.
pub async fn freeze(tx: &mut PgConnection, person: PersonId, by: PersonId) -> Result<Option<u64>, sqlx::Error> {
    if !store::set_frozen(tx, person, Some(by)).await? {
        return Ok(None);
    }
    end_other_sessions(tx, person, None).await.map(Some)
}

/// Lets them go on. What was begun with the account meanwhile is ended, so that whoever tried has to show again who they
/// are. False when they were not frozen.
///
/// # Errors
/// Database errors only.
pub async fn unfreeze(tx: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    if !store::set_frozen(tx, person, None).await? {
        return Ok(false);
    }
    end_other_sessions(tx, person, None).await?;
    Ok(true)
}
