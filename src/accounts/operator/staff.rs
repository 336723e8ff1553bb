//! Who is in the console, and as what.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::eyes::CONFIRMS_AFTER;
use super::role::StaffRole;
use super::store;
use crate::accounts::person::Person;
use crate::base::ids::PersonId;

#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    #[error("This is the only operator. Make somebody else one first.")]
    LastOperator,
    #[error("They have not proven their address yet.")]
    Unproven,
    #[error("They are that already. Nothing was changed.")]
    Already,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Who wants somebody to have a role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Somebody with the server's command line.
    Server,
    /// One operator alone.
    One(PersonId),
    /// Two of them.
    Two,
}

/// Whether making somebody an operator takes a second one: where there is any other than `by`. Of two who ask at once, one
/// waits until the other is through.
///
/// # Errors
/// Database errors only.
pub async fn needs_second(conn: &mut PgConnection, by: PersonId) -> Result<bool, sqlx::Error> {
    store::lock_claim(conn).await?;
    Ok(store::standings(conn).await?.iter().any(|one| one.person != by))
}

/// Makes somebody an operator or an auditor, or neither. What they were, and what they are now, for the log. Runs in the
/// caller's transaction.
///
/// # Errors
/// `LastOperator`: somebody has to be left; `Unproven`; `Already`; database errors.
pub async fn change_staff(
    conn: &mut PgConnection,
    person: &Person,
    role: Option<StaffRole>,
    by: By,
) -> Result<(Value, Value), StaffError> {
    // Of two who unmake each other, one waits.
    store::lock_claim(conn).await?;
    let before = store::hold_role(conn, person.id).await?;
    if before == role {
        return Err(StaffError::Already);
    }
    if before == Some(StaffRole::Operator) && store::is_last_operator(conn, person.id).await? {
        return Err(StaffError::LastOperator);
    }
    let (made_by, waits) = match by {
        By::Server => (None, TimeDelta::zero()),
        By::One(by) => (Some(by), CONFIRMS_AFTER),
        By::Two => (None, CONFIRMS_AFTER),
    };
    match role {
        Some(_) if person.verified_at.is_none() => return Err(StaffError::Unproven),
        Some(role) => store::put_staff(conn, person.id, role, made_by, waits).await?,
        None => store::delete_staff(conn, person.id).await?,
    }
    let told = |role: Option<StaffRole>| role.map_or(Value::Null, |role| json!({ "role": role.as_str() }));
    Ok((told(before), told(role)))
}
