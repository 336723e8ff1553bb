//! Guessing is slowed per address and per account, on every node alike.
//!
//! The account's own limit counts per account *and* address first, so that a stranger who guesses
//! cannot lock the owner out; only a flood from many addresses slows everybody for that account, and then not those
//! who come from where the owner signed in before.

use chrono::TimeDelta;
use sqlx::PgConnection;

use super::device::Device;
use super::store;
use crate::base::Origin;
use crate::base::ids::PersonId;

/// So many failures within such a time.
type Limit = (i64, TimeDelta);

/// Failures from one network address.
const PER_IP: Limit = (40, TimeDelta::minutes(15));
/// Failures for one account from one network address.
const PER_ACCOUNT_AND_IP: Limit = (8, TimeDelta::minutes(15));
/// Failures for one account from anywhere.
const PER_ACCOUNT: Limit = (100, TimeDelta::hours(1));

/// Wrong codes of an app are counted apart, and less of them: whoever gets there knows the password, and a code has
/// only six digits.
const SECOND_PER_ACCOUNT_AND_IP: Limit = (5, TimeDelta::minutes(15));
const SECOND_PER_ACCOUNT: Limit = (30, TimeDelta::hours(24));

/// Whether another try must wait, and whose tries used the limit up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Throttled {
    Open,
    /// Too many from this network address.
    Network,
    /// Too many for this account, from anywhere.
    Account,
}

/// Who tries: a network address, and an account by the address that was typed.
#[derive(Clone, Debug)]
pub struct Throttle {
    subjects: [(String, Limit, Throttled); 3],
}

impl Throttle {
    #[must_use]
    pub fn of(ip: &str, email_canonical: &str) -> Throttle {
        Throttle {
            subjects: [
                (format!("ip:{ip}"), PER_IP, Throttled::Network),
                (format!("account-ip:{email_canonical}|{ip}"), PER_ACCOUNT_AND_IP, Throttled::Network),
                (format!("account:{email_canonical}"), PER_ACCOUNT, Throttled::Account),
            ],
        }
    }

    /// Whether another try must wait.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn state(&self, conn: &mut PgConnection) -> Result<Throttled, sqlx::Error> {
        for (subject, (most, within), whose) in &self.subjects {
            if store::count_failures(conn, subject, *within).await? >= *most {
                return Ok(*whose);
            }
        }
        Ok(Throttled::Open)
    }

    /// Lets tries of this account from this address come one after another until the caller's transaction ends, whether there
    /// is such an account or not. Before every other lock of the transaction.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn lock(&self, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
        let [_, (subject, ..), _] = &self.subjects;
        store::lock_subject(tx, subject).await
    }

    /// Whether another try must wait, for whatever reason.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn is_closed(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        Ok(self.state(conn).await? != Throttled::Open)
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

/// Tries of a second factor.
#[derive(Clone, Debug)]
pub struct SecondThrottle {
    throttle: Throttle,
    person: PersonId,
    device: Device,
}

impl SecondThrottle {
    #[must_use]
    pub fn of(person: PersonId, origin: &Origin) -> SecondThrottle {
        let ip = &origin.ip;
        let throttle = Throttle {
            subjects: [
                (format!("ip:{ip}"), PER_IP, Throttled::Network),
                (format!("second-ip:{person}|{ip}"), SECOND_PER_ACCOUNT_AND_IP, Throttled::Account),
                (format!("second:{person}"), SECOND_PER_ACCOUNT, Throttled::Account),
            ],
        };
        SecondThrottle { throttle, person, device: Device::of(&origin.user_agent, ip) }
    }

    /// `Account` closes only codes of the app. From where the owner signed in before, only that place's own tries count.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn state(&self, conn: &mut PgConnection) -> Result<Throttled, sqlx::Error> {
        let known = store::is_known_device(conn, self.person, &self.device).await?;
        let counted = if known { 2 } else { 3 };
        for (subject, (most, within), whose) in self.throttle.subjects.iter().take(counted) {
            if store::count_failures(conn, subject, *within).await? >= *most {
                return Ok(*whose);
            }
        }
        Ok(Throttled::Open)
    }

    /// # Errors
    /// Database errors only.
    pub async fn note_failure(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.throttle.note_failure(conn).await
    }
}
