//! Sweeping: holds whose process died are released after their time. What cannot be proven is not charged.

use sqlx::PgConnection;

use super::hold::ExpiredHold;
use super::settle::{self, Ending};
use super::store;

/// Holds swept in one transaction.
pub const MAX_SWEPT: i64 = 500;

/// Releases expired holds, at most [`MAX_SWEPT`], and returns them so that their calls can be logged
/// in the same transaction.
///
/// # Errors
/// Database errors only.
pub async fn sweep(conn: &mut PgConnection) -> Result<Vec<ExpiredHold>, sqlx::Error> {
    let expired = store::expired_holds(conn, MAX_SWEPT).await?;
    let endings: Vec<Ending> = expired.iter().map(|hold| Ending::release(hold.org, hold.call, hold.amount)).collect();
    settle::settle(conn, &endings).await?;
    Ok(expired)
}
