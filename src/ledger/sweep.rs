//! Sweeping: holds whose process died are released after their time. What cannot be proven is not charged.

use chrono::NaiveDate;
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

/// Turns windows back that lie more than one step ahead of the clock of the database and of `at_least`, the day of the program's
/// own, and returns how many meters had one.
///
/// Settling never turns a window back, because a clock that looks earlier by seconds only waited. A clock that was set years
/// ahead and then put right would else keep a limit from ever starting anew. What was spent stays in the window that is
/// now, so this opens no limit before its time.
///
/// # Errors
/// Database errors only.
pub async fn turn_back(conn: &mut PgConnection, at_least: NaiveDate) -> Result<u64, sqlx::Error> {
    store::turn_back(conn, at_least).await
}
