//! Calls whose process died, counted by the hour.

use sqlx::PgConnection;

/// Adds calls that were swept now.
///
/// # Errors
/// Database errors only.
pub async fn count_swept(conn: &mut PgConnection, calls: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into swept_hour as s (hour, calls) values (date_trunc('hour', now(), 'UTC'), $1)
         on conflict (hour) do update set calls = s.calls + excluded.calls",
        calls,
    )
    .execute(conn)
    .await?;
    Ok(())
}
