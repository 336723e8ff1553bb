//! Guessing codes is slowed. With 95 random bits nobody guesses one; the limits keep somebody from trying all day.

use chrono::TimeDelta;
use sqlx::PgConnection;

use crate::base::ids::{OrgId, PersonId};
use crate::base::origin::subscriber;
use crate::topups::store;

/// Within this, failures count.
const WITHIN: TimeDelta = TimeDelta::minutes(15);
const PER_PERSON: i64 = 10;
const PER_ORG: i64 = 20;
/// Of one network address, behind which many may sit.
const PER_IP: i64 = 40;

/// Who tries, and from where.
pub struct Throttle {
    subjects: [(String, i64); 3],
}

impl Throttle {
    #[must_use]
    pub fn of(person: PersonId, org: OrgId, ip: &str) -> Throttle {
        Throttle {
            subjects: [
                (format!("person:{person}"), PER_PERSON),
                (format!("org:{org}"), PER_ORG),
                (format!("ip:{}", subscriber(ip)), PER_IP),
            ],
        }
    }

    /// Whether another try must wait.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn is_closed(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        for (subject, most) in &self.subjects {
            if store::count_code_failures(conn, subject, WITHIN).await? >= *most {
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
        let subjects: Vec<String> = self.subjects.iter().map(|(subject, _)| subject.clone()).collect();
        store::insert_code_failures(conn, &subjects).await
    }
}
