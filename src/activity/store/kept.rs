//! Parts of the table of calls, and calls whose time is over.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::base::ids::OrgId;

/// Makes the parts of this month and of `ahead` more. Returns how many were missing.
pub async fn make_parts(conn: &mut PgConnection, ahead: i32) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(r#"select make_usage_parts($1) as "made!""#, ahead).fetch_one(conn).await
}

/// Drops one part that is empty and whose month ended before `ended`.
pub async fn drop_part(conn: &mut PgConnection, ended: DateTime<Utc>) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select drop_usage_part($1)", ended).fetch_one(conn).await
}

/// Calls outside of every month's part, counted up to `most`.
pub async fn count_strays(conn: &mut PgConnection, most: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from (select from usage_default limit $1) strays"#, most)
        .fetch_one(conn)
        .await
}

/// An organization and how many days it keeps calls.
pub struct Keeps {
    pub org: OrgId,
    pub days: i32,
}

/// Organizations whose calls do not stay for ever, in the order of their ids.
pub async fn who_closes(
    conn: &mut PgConnection,
    most_days: Option<i32>,
    after: Option<OrgId>,
    limit: i64,
) -> Result<Vec<Keeps>, sqlx::Error> {
    sqlx::query_as!(
        Keeps,
        r#"select id as "org: OrgId", least(usage_days, $1) as "days!" from org
           where least(usage_days, $1) is not null and ($2::uuid is null or id > $2) order by id limit $3"#,
        most_days,
        after.map(|org| org.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Deletes the oldest calls that began before a whole hour, at most `most`, and keeps what the books need of them.
pub async fn close_calls(
    conn: &mut PgConnection,
    org: OrgId,
    before: DateTime<Utc>,
    most: i32,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select close_usage($1, $2, $3) as "closed!""#, org.0, before, most).fetch_one(conn).await
}

/// Up to when calls of an organization may be gone.
pub async fn closed_until(conn: &mut PgConnection, org: OrgId) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!("select until from usage_closed_until where org_id = $1", org.0).fetch_optional(conn).await
}

/// The organization's own number of days; `None` where it has none.
pub async fn usage_days(conn: &mut PgConnection, org: OrgId) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!("select usage_days from org where id = $1", org.0).fetch_one(conn).await
}

/// Sets it, and returns what it was.
pub async fn set_usage_days(
    conn: &mut PgConnection,
    org: OrgId,
    days: Option<i32>,
) -> Result<Option<i32>, sqlx::Error> {
    let before =
        sqlx::query_scalar!("select usage_days from org where id = $1 for update", org.0).fetch_one(&mut *conn).await?;
    sqlx::query!("update org set usage_days = $2 where id = $1", org.0, days).execute(conn).await?;
    Ok(before)
}
