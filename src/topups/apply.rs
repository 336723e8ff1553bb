//! Applying a processor's message: the job between the inbox and the books.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::processors::Processors;
use super::{book, saved, store};
use crate::jobs::{IntoTaskHandlerResult, TaskHandler, WorkerContext};

/// The job that applies one stored message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApplyEvent {
    pub processor: String,
    pub id: String,
}

impl TaskHandler for ApplyEvent {
    const IDENTIFIER: &'static str = "apply_processor_event";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let processors = context.get_ext::<Processors>().ok_or("no processors")?;
        let applied = apply(pool, processors, &self.processor, &self.id).await;
        applied.map_err(|error| {
            tracing::error!(processor = self.processor, event = self.id, %error, "a payment message was not applied yet");
            error.to_string()
        })
    }
}

/// Fetches the payment anew, and moves the purchase and the money in one transaction. The answer is newer than every
/// message about the payment that was stored before, so they are all applied by it. Applying one again changes nothing.
async fn apply(pool: &PgPool, processors: &Processors, processor: &str, id: &str) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    let Some(waiting) = store::waiting_events(&mut conn, processor, id).await? else { return Ok(()) };
    let setup = store::setup_by_ref(&mut conn, processor, &waiting.object_ref).await?;
    // The message only says that something happened; the processor says what. No connection waits for it.
    drop(conn);
    let by = processors.get(processor)?;
    if let Some(setup) = setup {
        saved::ask(pool, by, &setup).await?;
        let mut conn = pool.acquire().await?;
        store::mark_applied(&mut conn, processor, &waiting.ids, "a payment method").await?;
        return Ok(());
    }
    let payment = by.fetch(&waiting.object_ref).await?;
    let mut tx = pool.begin().await?;
    let outcome = match payment {
        None => "the processor does not know this payment".to_owned(),
        Some(payment) => book::payment(&mut tx, by, &payment).await?.to_string(),
    };
    store::mark_applied(&mut tx, processor, &waiting.ids, &outcome).await?;
    tx.commit().await?;
    Ok(())
}
