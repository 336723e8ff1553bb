//! Deletes texts whose time is over, and writes down whose were not kept.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::settings::DAYS_SHOWN;
use super::store;
use super::texts::Texts;

/// Between two looks; two processes that look at once delete the same rows once.
const EVERY: Duration = Duration::from_mins(1);
/// How soon an organization sees that texts of its calls were not kept.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// Texts of one statement.
const AT_ONCE: i64 = 500;
/// Statements of one look; what is left waits for the next.
const MAX_ROUNDS: u32 = 100;

/// Runs until the process stops.
pub async fn run(pool: PgPool, texts: Texts, stop: CancellationToken) {
    let (mut look, mut note) = (tokio::time::interval(EVERY), tokio::time::interval(NOTE_EVERY));
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                note_dropped(&texts).await;
                return;
            }
            _ = note.tick() => note_dropped(&texts).await,
            _ = look.tick() => match sweep(&pool).await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(deleted, "texts of calls were deleted, for their time was over"),
                Err(error) => tracing::warn!(%error, "texts of calls whose time is over could not be deleted"),
            }
        }
    }
}

async fn note_dropped(texts: &Texts) {
    if let Err(error) = texts.note_dropped().await {
        tracing::warn!(%error, "it was not written down whose texts are not kept; trying again");
    }
}

async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
    store::forget_dropped(&mut *pool.acquire().await?, DAYS_SHOWN).await?;
    let mut deleted = 0;
    for _ in 0..MAX_ROUNDS {
        let some = store::delete_expired(&mut *pool.acquire().await?, AT_ONCE).await?;
        deleted += some;
        if some == 0 {
            break;
        }
    }
    Ok(deleted)
}
