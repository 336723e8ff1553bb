//! The comparison that nobody has to think of, and what monitoring sees of it.

use std::time::Duration;

use metrics::gauge;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::run::{RunError, USUAL_DAYS, When, run};
use crate::topups::processors::Processors;
use crate::topups::store;

/// How often a process looks.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A process that has just started leaves the processors alone for a while.
    pub first_after: Duration,
    /// How often it then looks whether a comparison is due, and shows the last ones to monitoring.
    pub every: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { first_after: Duration::from_mins(5), every: Duration::from_mins(5) }
    }
}

/// Runs until `stop`, in every process: whoever comes first compares, a day after the last complete run or an hour
/// after an incomplete one. When that was is in the database, so restarts neither repeat nor forget it.
pub async fn daily(pool: PgPool, processors: Processors, pace: Pace, stop: CancellationToken) {
    let mut wait = pace.first_after;
    for by in processors.all() {
        // They are there from the start, so that an alert on them is not an alert on nothing.
        gauge!("farebox_reconcile_findings", "processor" => by.name()).set(0);
        gauge!("farebox_reconcile_incomplete", "processor" => by.name()).set(0);
    }
    if let Err(error) = show(&pool).await {
        tracing::debug!(%error, "the last comparisons could not be read");
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = pace.every;
        for by in processors.all() {
            match run(&pool, &processors, by.name(), USUAL_DAYS, When::IfDue).await {
                Ok(_) | Err(RunError::Busy(_) | RunError::Missing(_)) => {}
                Err(RunError::Database(error)) => {
                    tracing::warn!(processor = by.name(), %error, "the books could not be compared; trying again");
                }
            }
        }
        if let Err(error) = show(&pool).await {
            tracing::debug!(%error, "the last comparisons could not be read");
        }
    }
}

/// The same figures in every process, whichever of them compared.
async fn show(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut conn = pool.acquire().await?;
    for last in store::last_runs(&mut conn).await? {
        let labels = [("processor", last.run.processor.clone())];
        let whole = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        gauge!("farebox_reconcile_incomplete", &labels).set(u32::from(!last.run.is_complete()));
        gauge!("farebox_reconcile_findings", &labels).set(whole(last.run.open));
        let cents = last.run.difference().to_cents().whole_cents().unwrap_or_default();
        let cents = i32::try_from(cents).unwrap_or(if cents < 0 { i32::MIN } else { i32::MAX });
        gauge!("farebox_reconcile_difference_cents", &labels).set(cents);
        if let Some(at) = last.complete_at {
            gauge!("farebox_reconcile_last_complete_timestamp_seconds", &labels).set(whole(at.timestamp()));
        }
    }
    Ok(())
}
