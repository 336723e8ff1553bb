//! The inbox.

use chrono::TimeDelta;
use sqlx::PgConnection;

use crate::db::interval;
use crate::topups::inbox::Event;

/// Messages about one thing that are applied together, at most.
const TOGETHER: i64 = 100;

/// Whether a message came before. One that is being stored at this moment may not be seen.
pub async fn has_event(conn: &mut PgConnection, event: &Event) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from processor_event where processor = $1 and id = $2) as "known!""#,
        event.processor,
        event.id,
    )
    .fetch_one(conn)
    .await
}

/// False when the message came before.
pub async fn insert_event(conn: &mut PgConnection, event: &Event) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into processor_event (processor, id, kind, object_ref, payload) values ($1, $2, $3, $4, $5)
         on conflict (processor, id) do nothing",
        event.processor,
        event.id,
        event.kind,
        event.object_ref,
        event.payload,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A message that was not looked at within this waits for too long.
const LATE: TimeDelta = TimeDelta::minutes(15);

/// How many messages of processors wait for too long.
///
/// # Errors
/// Database errors only.
pub async fn late_events(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from processor_event where applied_at is null and received_at < now() - $1::interval"#,
        interval(LATE),
    )
    .fetch_one(conn)
    .await
}

/// What a message is about, and which messages about the same are not applied: itself among them.
pub struct Waiting {
    pub object_ref: String,
    pub ids: Vec<String>,
}

/// `None` when the message was applied.
pub async fn waiting_events(
    conn: &mut PgConnection,
    processor: &str,
    id: &str,
) -> Result<Option<Waiting>, sqlx::Error> {
    sqlx::query_as!(
        Waiting,
        r#"select e.object_ref, array(select o.id from processor_event o
                where o.processor = e.processor and o.object_ref = e.object_ref and o.applied_at is null
                order by o.id <> e.id limit $3) as "ids!"
           from processor_event e where e.processor = $1 and e.id = $2 and e.applied_at is null"#,
        processor,
        id,
        TOGETHER,
    )
    .fetch_optional(conn)
    .await
}

pub async fn mark_applied(
    conn: &mut PgConnection,
    processor: &str,
    ids: &[String],
    outcome: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update processor_event set applied_at = now(), outcome = $3
         where processor = $1 and id = any($2) and applied_at is null",
        processor,
        ids,
        outcome,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Drops applied messages that are older than this, at most so many. How many it dropped.
pub async fn drop_events(conn: &mut PgConnection, keep: TimeDelta, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "delete from processor_event e using (
            select processor, id from processor_event
            where received_at < now() - $1::interval and applied_at is not null
            order by received_at limit $2 for update skip locked
         ) old
         where e.processor = old.processor and e.id = old.id",
        interval(keep),
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
