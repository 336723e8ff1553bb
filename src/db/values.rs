//! Values in the shape in which Postgres takes them.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;

/// The time of the database: the same for every node, and by which its rows are measured.
///
/// # Errors
/// Database errors only.
pub async fn moment(conn: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(conn).await
}

/// A duration as an interval of microseconds.
#[must_use]
pub fn interval(delta: TimeDelta) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: delta.num_microseconds().unwrap_or(i64::MAX) }
}

/// Says that a struct is a row of a composite type of the database, so that a slice of it travels as one array. The
/// struct derives `sqlx::Encode`; its fields stand in the order of the type's.
macro_rules! row_type {
    ($name:ident $(<$life:lifetime>)?, $sql:literal) => {
        impl $(<$life>)? ::sqlx::Type<::sqlx::Postgres> for $name $(<$life>)? {
            fn type_info() -> ::sqlx::postgres::PgTypeInfo {
                ::sqlx::postgres::PgTypeInfo::with_name($sql)
            }
        }

        impl $(<$life>)? ::sqlx::postgres::PgHasArrayType for $name $(<$life>)? {
            fn array_type_info() -> ::sqlx::postgres::PgTypeInfo {
                ::sqlx::postgres::PgTypeInfo::array_of($sql)
            }
        }
    };
}
pub(crate) use row_type;
