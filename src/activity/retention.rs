//! How long calls are kept: for ever, or for the fewer of the days that the instance and the organization say. Sums per
//! hour, and what the books need, are kept for ever.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::span::hour_of;
use super::store;
use crate::base::ids::OrgId;

/// What the instance says. `None` keeps calls for ever, where an organization does not say otherwise.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Retention {
    pub days: Option<u16>,
}

/// The days of a month and its edges in every zone are summed from calls, so none goes earlier.
pub const MIN_DAYS: u16 = 35;
pub const MAX_DAYS: u16 = 3_650;
/// What organizations choose from.
pub const CHOICES: [u16; 6] = [MIN_DAYS, 90, 180, 365, 730, 1_825];

impl Retention {
    /// What holds for an organization that says this.
    #[must_use]
    pub fn with(self, own: Option<u16>) -> Option<u16> {
        match (self.days, own) {
            (Some(instance), Some(own)) => Some(instance.min(own)),
            (instance, own) => instance.or(own),
        }
    }
}

/// The moment before which calls of so many days are deleted: a whole hour, so that sums per hour are of calls that are
/// there, or of ones that are not.
#[must_use]
pub(super) fn cutoff(now: DateTime<Utc>, days: i32) -> DateTime<Utc> {
    hour_of(now - TimeDelta::days(i64::from(days.max(i32::from(MIN_DAYS)))))
}

/// Up to when calls of an organization may be gone; `None` where none are.
///
/// # Errors
/// Database errors only.
pub async fn closed_until(conn: &mut PgConnection, org: OrgId) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    store::closed_until(conn, org).await
}

/// Whether calls of this moment may be gone, so that one without a row may have had one.
///
/// # Errors
/// Database errors only.
pub async fn is_closed(conn: &mut PgConnection, org: OrgId, at: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    Ok(store::closed_until(conn, org).await?.is_some_and(|until| at < until))
}

/// The organization's own number of days; `None` where it leaves that to the instance.
///
/// # Errors
/// Database errors only.
pub async fn own_days(conn: &mut PgConnection, org: OrgId) -> Result<Option<u16>, sqlx::Error> {
    Ok(store::usage_days(conn, org).await?.and_then(|days| u16::try_from(days).ok()))
}

/// Sets it, and returns what it was. More days than before bring nothing back.
///
/// # Errors
/// Database errors only.
pub async fn set_own_days(conn: &mut PgConnection, org: OrgId, days: Option<u16>) -> Result<Option<u16>, sqlx::Error> {
    let before = store::set_usage_days(conn, org, days.map(i32::from)).await?;
    Ok(before.and_then(|days| u16::try_from(days).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_days_hold() {
        let instance = |days| Retention { days };
        assert_eq!(instance(None).with(None), None);
        assert_eq!(instance(Some(90)).with(None), Some(90));
        assert_eq!(instance(None).with(Some(35)), Some(35));
        assert_eq!(instance(Some(90)).with(Some(365)), Some(90));
        let now = "2026-11-26T12:34:56Z".parse().expect("a time");
        assert_eq!(cutoff(now, 90).to_rfc3339(), "2026-08-28T12:00:00+00:00");
        assert_eq!(cutoff(now, 1), cutoff(now, 35), "never earlier");
    }
}
