//! Writing down how endpoints did, so that every node shows the same.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::activity;
use crate::routing::Health;

/// What a process saw since the last time is lost when it dies: so much of a statistic, and nothing of the books.
const EVERY: Duration = Duration::from_secs(5);
/// How often what is old is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// Runs until `stop`, in every process.
pub async fn run(pool: PgPool, health: Health, stop: CancellationToken) {
    let mut forgot: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = write_down(&pool, &health).await {
            tracing::warn!(%error, "how endpoints did was not written down; trying again");
        }
        if stop.is_cancelled() {
            return;
        }
        if forgot.is_none_or(|at| at.elapsed() > FORGET_EVERY) {
            forgot = Some(Instant::now());
            let forgotten = async { activity::forget_measured(&mut *pool.acquire().await?).await };
            if let Err(error) = forgotten.await {
                tracing::warn!(%error, "what is old was not forgotten; trying again in an hour");
            }
        }
    }
}

async fn write_down(pool: &PgPool, health: &Health) -> Result<(), sqlx::Error> {
    if !health.has_fresh() {
        return Ok(());
    }
    // The transaction first: nothing is taken that could not be written.
    let mut tx = pool.begin().await?;
    let taken = health.take_fresh();
    if taken.is_empty() {
        return Ok(());
    }
    let written = async {
        activity::add_measured(&mut tx, &taken).await?;
        tx.commit().await
    };
    let written = written.await;
    if written.is_err() {
        health.put_back(&taken);
    }
    written
}
