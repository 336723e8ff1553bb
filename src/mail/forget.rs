//! Forgets to whom mails went and what they said, once nobody needs it any more. Every process does; what two do at once is
//! done once.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::outbox;

/// How long it is known to whom a mail went, and a mail that was given up can be sent anew.
const KNOWN_FOR: TimeDelta = TimeDelta::days(30);
const EVERY: Duration = Duration::from_hours(1);
/// Mails of one statement.
const AT_ONCE: i64 = 2_000;
/// Statements of one round; what is left waits for the next.
const MAX_STEPS: u32 = 500;

/// Runs until `stop`.
pub async fn run(pool: PgPool, stop: CancellationToken) {
    loop {
        match round(&pool).await {
            Ok(0) => {}
            Ok(mails) => {
                tracing::info!(mails, "what mails said and to whom they went was forgotten, for it was a month ago")
            }
            Err(error) => tracing::warn!(%error, "old mails could not be forgotten; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Forgets what is old enough, and says how many there were.
///
/// # Errors
/// Database errors only; what was done before stays done.
pub async fn round(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut mails = 0;
    for _ in 0..MAX_STEPS {
        let step = outbox::forget_old(&mut *pool.acquire().await?, KNOWN_FOR, AT_ONCE).await?;
        mails += step;
        if step == 0 {
            break;
        }
    }
    Ok(mails)
}
