//! Sums of all organizations together, by hour, model and provider, so that what the house looks at goes through nobody's
//! hours one by one. They are the sums of `usage_hour` at every moment: `house_used` of the database reads an hour there
//! that is not summed here yet, or in which somebody counted since.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::span::hour_of;
use super::store;
use crate::base::Clock;
use crate::{db, ledger};

const EVERY: Duration = Duration::from_mins(1);
/// An hour is summed so long after its end: nearly all its calls are settled then. Not shorter than what the trigger on
/// `usage_hour` relies on (`migrations/0095_house_hour.sql`).
const REST: TimeDelta = TimeDelta::hours(3);
/// Who counts in an hour and began so long after its end leaves a mark, by the same trigger.
const MARKS_FROM: TimeDelta = TimeDelta::hours(1);
/// Hours that one transaction sums, and hours in which somebody counted later that it sums again. Where these are too many
/// for [`BEGIN`], one of each.
const PIECES: [i32; 2] = [12, 1];
const BEGIN: &str = "begin; set local statement_timeout = '60s'";
/// Transactions of one round: a year of an instance that had no such sums before. What is left waits for the next round.
const MAX_PIECES: u32 = 800;

/// Runs until `stop`. Every process has one; what two do at once is done once.
pub async fn keep_house(pool: PgPool, stop: CancellationToken) {
    loop {
        if let Err(error) = sum_house(&pool, Clock::system().now()).await {
            tracing::warn!(%error, "the sums of all organizations were not brought up to date; pages read their hours instead");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Sums every hour that is over for long enough at `now`, and again those in which somebody counted since, within the limits
/// of a round. Says how many hours were summed.
///
/// # Errors
/// Database errors only; what was done before stays done.
pub async fn sum_house(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let mut hours = 0;
    for _ in 0..MAX_PIECES {
        let [many, one] = PIECES;
        let piece = match sum_piece(pool, now, many).await {
            Ok(piece) => piece,
            Err(_) => sum_piece(pool, now, one).await?,
        };
        if piece == 0 {
            break;
        }
        hours += piece;
    }
    Ok(hours)
}

/// The end of the last hour that may be summed, while a transaction runs that began at `oldest` and may yet count without a mark.
fn over(now: DateTime<Utc>, oldest: DateTime<Utc>) -> DateTime<Utc> {
    hour_of((now - REST).min(oldest - MARKS_FROM))
}

/// At most `most` hours of each kind.
async fn sum_piece(pool: &PgPool, now: DateTime<Utc>, most: i32) -> Result<u64, sqlx::Error> {
    let mut tx = pool.begin_with(BEGIN).await?;
    if !store::lock_house(&mut tx).await? {
        return Ok(0);
    }
    // Whoever marks does so by the database's clock.
    let now = now.min(db::moment(&mut tx).await?);
    let over = over(now, ledger::oldest_transaction(&mut tx).await?.unwrap_or(now));
    let Some(from) = store::house_until(&mut tx).await?.filter(|from| *from <= over) else { return Ok(0) };
    let until = over.min(from + TimeDelta::hours(most.into()));
    // Before the sums are read, so that a mark is only gone with what it stands for.
    let late = store::take_late(&mut tx, most.into()).await?;
    let again: Vec<DateTime<Utc>> = late.into_iter().filter(|hour| *hour < from).collect();
    if again.is_empty() && until == from {
        tx.commit().await?;
        return Ok(0);
    }
    store::sum_house(&mut tx, &again, (from, until)).await?;
    tx.commit().await?;
    let fresh = u64::try_from((until - from).num_hours()).unwrap_or_default();
    Ok(fresh + again.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_over_when_nobody_counts_in_it_without_a_mark() {
        let at = |time: &str| -> DateTime<Utc> { format!("2026-11-27T{time}Z").parse().expect("a time") };
        let now = at("12:30:00");
        assert_eq!(over(now, now), at("09:00:00"));
        assert_eq!(
            over(now, at("10:00:00")),
            at("09:00:00"),
            "it began an hour after that end, and marks what it counts"
        );
        assert_eq!(over(now, at("09:59:59")), at("08:00:00"));
    }
}
