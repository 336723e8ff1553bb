//! Values in the shape in which Postgres takes them.

use chrono::TimeDelta;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

/// A duration as an interval of microseconds.
#[must_use]
pub fn interval(delta: TimeDelta) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: delta.num_microseconds().unwrap_or(i64::MAX) }
}

/// Ids as the literal of a `uuid[]`. Arrays of arrays must be rectangular in Postgres, so where each row has a list of its
/// own it travels as one text.
#[must_use]
pub fn uuid_array(ids: impl Iterator<Item = Uuid>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("{{{}}}", ids.join(","))
}
