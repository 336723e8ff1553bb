//! Deletes texts whose time is over.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::store;

/// Between two looks; two processes that look at once delete the same rows once.
const EVERY: Duration = Duration::from_mins(1);
/// Texts of one statement.
const AT_ONCE: i64 = 500;
/// Statements of one look; what is left waits for the next.
const MAX_ROUNDS: u32 = 100;

/// Runs until the process stops.
pub async fn run(pool: PgPool, stop: CancellationToken) {
    loop {
        match sweep(&pool).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "texts of calls were deleted, for their time was over"),
            Err(error) => tracing::warn!(%error, "texts of calls whose time is over could not be deleted"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
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
