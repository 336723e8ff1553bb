//! The inbox: what processors tell us, stored before anything else.

use chrono::TimeDelta;
use sqlx::{PgConnection, PgPool};

use super::apply::ApplyEvent;
use super::store;
use crate::jobs;

/// Messages are kept for as long as the last dispute about a payment may come, with some months to look into it: card
/// networks allow up to 540 days. What was not applied is kept whatever its age.
pub const KEEP: TimeDelta = TimeDelta::days(600);
/// Messages that are dropped in one transaction.
const DROP_BATCH: i64 = 1_000;
/// Batches of one tidying; the next hour takes on more.
const DROP_BATCHES: usize = 50;

/// A message of a processor about a payment.
#[derive(Clone, Debug)]
pub struct Event {
    pub processor: String,
    /// The processor's own id of the message; a redelivery has the same.
    pub id: String,
    pub kind: String,
    /// What it is about: anything that the processor's `fetch` understands.
    pub object_ref: String,
    pub payload: serde_json::Value,
}

impl Event {
    #[must_use]
    pub fn new(processor: &str, id: String, kind: &str, object_ref: String) -> Event {
        let payload = serde_json::json!({ "id": id, "type": kind, "object": object_ref });
        Event { processor: processor.to_owned(), id, kind: kind.to_owned(), object_ref, payload }
    }
}

/// Takes a delivered message in. One that came before costs one look at the index and no transaction, however often
/// it comes.
///
/// # Errors
/// Database errors only; the processor must then deliver again.
pub async fn take(pool: &PgPool, event: Event) -> Result<(), sqlx::Error> {
    let mut conn = pool.acquire().await?;
    if store::has_event(&mut conn, &event).await? {
        return Ok(());
    }
    let mut tx = sqlx::Connection::begin(&mut *conn).await?;
    receive(&mut tx, event).await?;
    tx.commit().await
}

/// Stores a message and the job that applies it, in the caller's transaction. A message that came before changes nothing.
/// Messages about the same thing share a job, because what it asks for is the whole state of that thing.
///
/// # Errors
/// Database errors only; the processor must then deliver again.
pub async fn receive(conn: &mut PgConnection, event: Event) -> Result<(), sqlx::Error> {
    if store::insert_event(conn, &event).await? {
        let key = format!("event:{}:{}", event.processor, event.object_ref);
        let job = ApplyEvent { processor: event.processor, id: event.id };
        jobs::enqueue(conn, &job, &key).await?;
    }
    Ok(())
}

/// Drops messages that nobody will ask for any more. Several processes may do so at once.
///
/// # Errors
/// Database errors only.
pub async fn tidy(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut dropped = 0;
    for _ in 0..DROP_BATCHES {
        let mut conn = pool.acquire().await?;
        let batch = store::drop_events(&mut conn, KEEP, DROP_BATCH).await?;
        dropped += batch;
        if batch < DROP_BATCH.unsigned_abs() {
            break;
        }
    }
    Ok(dropped)
}
