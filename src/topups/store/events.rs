//! The inbox.

use sqlx::PgConnection;

use crate::topups::inbox::Event;

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

/// What a message is about, unless it was applied.
pub async fn pending_event(conn: &mut PgConnection, processor: &str, id: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select object_ref from processor_event where processor = $1 and id = $2 and applied_at is null",
        processor,
        id,
    )
    .fetch_optional(conn)
    .await
}

pub async fn mark_applied(
    conn: &mut PgConnection,
    processor: &str,
    id: &str,
    outcome: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update processor_event set applied_at = now(), outcome = $3 where processor = $1 and id = $2",
        processor,
        id,
        outcome,
    )
    .execute(conn)
    .await?;
    Ok(())
}
