//! Guessing is slowed per address and per account, on every node alike.
//!
//! The account's own limit counts per account *and* address first, so that a stranger who guesses
//! cannot lock the owner out; only a flood from many addresses slows everybody for that account.

use chrono::TimeDelta;
use sqlx::PgConnection;

use super::store;

/// Failures from one network address.
const PER_IP: (i64, TimeDelta) = (40, TimeDelta::minutes(15));
/// Failures for one account from one network address.
const PER_ACCOUNT_AND_IP: (i64, TimeDelta) = (8, TimeDelta::minutes(15));
/// Failures for one account from anywhere.
const PER_ACCOUNT: (i64, TimeDelta) = (100, TimeDelta::hours(1));

/// Who tries: a network address, and an account by the address that was typed.
#[derive(Clone, Debug)]
pub struct Throttle {
    subjects: [(String, i64, TimeDelta); 3],
}

impl Throttle {
    #[must_use]
    pub fn of(ip: &str, email_canonical: &str) -> Throttle {
        let limit = |subject: String, (most, within): (i64, TimeDelta)| (subject, most, within);
        Throttle {
            subjects: [
                limit(format!("ip:{ip}"), PER_IP),
                limit(format!("account-ip:{email_canonical}|{ip}"), PER_ACCOUNT_AND_IP),
                limit(format!("account:{email_canonical}"), PER_ACCOUNT),
            ],
        }
    }

    /// Whether another try must wait.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn is_closed(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        for (subject, most, within) in &self.subjects {
            if store::count_failures(conn, subject, *within).await? >= *most {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts a failed try.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn note_failure(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let subjects: Vec<String> = self.subjects.iter().map(|(subject, ..)| subject.clone()).collect();
        store::insert_failures(conn, &subjects).await
    }
}
