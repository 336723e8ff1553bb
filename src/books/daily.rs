//! The close that nobody has to think of, and what monitoring sees of it.

use std::time::Duration;

use metrics::gauge;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::close::{AFTER, close_due};
use super::store;
use crate::base::SigningKey;

/// How often each process looks whether a day is to be closed. The first look is at the start.
const EVERY: Duration = Duration::from_mins(5);

/// Runs until `stop`, in every process: whoever comes first closes the day.
pub async fn daily(pool: PgPool, key: SigningKey, stop: CancellationToken) {
    loop {
        match close_due(&pool, &key, AFTER).await {
            Ok(closed) => {
                for close in &closed {
                    if close.is_clean() {
                        tracing::info!(day = %close.day, transfers = close.transfers, "the books of a day were closed");
                    } else {
                        tracing::error!(day = %close.day, findings = close.findings, "a day was closed with findings");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the books of a day could not be closed; trying again"),
        }
        if let Err(error) = show(&pool).await {
            tracing::debug!(%error, "the last close could not be read");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// The same in every process, whichever closed.
async fn show(pool: &PgPool) -> Result<(), sqlx::Error> {
    if let Some(last) = store::latest_close(&mut *pool.acquire().await?).await? {
        let day = u32::try_from(super::close::start_of(last.day).timestamp()).unwrap_or(u32::MAX);
        gauge!("farebox_books_closed_day_timestamp_seconds").set(day);
        gauge!("farebox_books_close_findings").set(last.findings);
    }
    Ok(())
}
