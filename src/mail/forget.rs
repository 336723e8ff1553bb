//! Forgets to whom mails went and what they said, once nobody needs it any more. Every process does; what two do at once is
//! done once.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::outbox;
use crate::base::ids::MailId;

/// How long it is known to whom a mail went, and a mail that was given up can be sent anew.
const KNOWN_FOR: TimeDelta = TimeDelta::days(30);
const EVERY: Duration = Duration::from_hours(1);
/// Every so many rounds all of them are looked at.
const FROM_THE_START: u32 = 24;
/// Mails of one statement.
const AT_ONCE: i64 = 2_000;
/// Statements of one round; what is left waits for the next.
const MAX_STEPS: u32 = 500;

/// Runs until `stop`.
pub async fn run(pool: PgPool, stop: CancellationToken) {
    let (mut after, mut rounds) = (None, 0_u32);
    loop {
        // A mail that was passed while it waited may have been sent since.
        if rounds.is_multiple_of(FROM_THE_START) {
            after = None;
        }
        rounds = rounds.wrapping_add(1);
        match round(&pool, &mut after).await {
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

/// Forgets what is old enough, from the mail behind `after` on, which moves to the last one that was looked at: the outbox
/// keeps a row of every mail, and no round looks at all of them again. Says how many there were.
///
/// # Errors
/// Database errors only; what was done before stays done.
pub async fn round(pool: &PgPool, after: &mut Option<MailId>) -> Result<i64, sqlx::Error> {
    let mut mails = 0;
    for _ in 0..MAX_STEPS {
        let step = outbox::forget_old(&mut *pool.acquire().await?, *after, KNOWN_FOR, AT_ONCE).await?;
        mails += step.mails;
        if step.last.is_none() {
            break;
        }
        *after = step.last;
    }
    Ok(mails)
}
