//! The inbox: what processors tell us, stored before anything else.

use sqlx::PgConnection;

use super::apply::ApplyEvent;
use super::store;
use crate::jobs;

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

/// Stores a message and the job that applies it, in one transaction. A message that came before changes nothing.
///
/// # Errors
/// Database errors only; the processor must then deliver again.
pub async fn receive(conn: &mut PgConnection, event: Event) -> Result<(), sqlx::Error> {
    if store::insert_event(conn, &event).await? {
        let key = format!("event:{}:{}", event.processor, event.id);
        let job = ApplyEvent { processor: event.processor, id: event.id };
        jobs::enqueue(conn, &job, &key).await?;
    }
    Ok(())
}
