//! Who is in the console, and as what.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::role::StaffRole;
use super::store;
use crate::accounts::person::Person;

#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    #[error("This is the only operator. Make somebody else one first.")]
    LastOperator,
    #[error("They have not proven their address yet.")]
    Unproven,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes somebody an operator or an auditor, or neither. What they were, and what they are now, for the log. Runs in the
/// caller's transaction.
///
/// # Errors
/// `LastOperator`: somebody has to be left; `Unproven`; database errors.
pub async fn change_staff(
    conn: &mut PgConnection,
    person: &Person,
    role: Option<StaffRole>,
) -> Result<(Value, Value), StaffError> {
    // Of two who unmake each other, one waits.
    store::lock_claim(conn).await?;
    let before = store::hold_role(conn, person.id).await?;
    if before == Some(StaffRole::Operator)
        && role != Some(StaffRole::Operator)
        && store::count_operators(conn).await? <= 1
    {
        return Err(StaffError::LastOperator);
    }
    match role {
        Some(_) if person.verified_at.is_none() => return Err(StaffError::Unproven),
        Some(role) => store::put_staff(conn, person.id, role).await?,
        None => store::delete_staff(conn, person.id).await?,
    }
    let told = |role: Option<StaffRole>| role.map_or(Value::Null, |role| json!({ "role": role.as_str() }));
    Ok((told(before), told(role)))
}
