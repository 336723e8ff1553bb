//! Sweeping: calls whose process died are released, logged as abandoned, and cost nothing.

use std::time::{Duration, Instant};

use metrics::counter;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::call::{Call, Ended, Status};
use super::settle::abandoned_row;
use super::spool::Spool;
use crate::activity::{self, UsageRow};
use crate::base::Clock;
use crate::keys;
use crate::ledger::{self, ExpiredHold};

/// How often boot lets it run.
pub const EVERY: Duration = Duration::from_secs(5);
/// How often it looks for windows of limits that lie ahead of the clock.
const WINDOWS_EVERY: Duration = Duration::from_mins(5);
/// Transactions of one sweep; what is left waits for the next.
const MAX_ROUNDS: u32 = 20;
/// A sweep that takes longer is given up and tried again.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// What a hold remembers of its call, for the case that nobody comes back to settle it.
#[derive(Clone, Debug, Deserialize)]
pub struct HoldMemo {
    pub call: Call,
}

impl HoldMemo {
    /// What is remembered of a call, as text. JSON escapes what a text column cannot hold.
    #[must_use]
    pub fn text_of(call: &Call) -> String {
        #[derive(Serialize)]
        struct Memo<'a> {
            call: &'a Call,
        }
        serde_json::to_string(&Memo { call }).unwrap_or_default()
    }
}

/// Releases every hold whose time has passed and logs its call as abandoned. Returns how many there were.
///
/// # Errors
/// Database errors only; what was swept before stays swept.
pub async fn sweep_once(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut swept = 0;
    for _ in 0..MAX_ROUNDS {
        let mut tx = pool.begin().await?;
        let expired = ledger::sweep(&mut tx).await?;
        if expired.is_empty() {
            break;
        }
        let mut rows: Vec<UsageRow> = expired.iter().filter_map(abandoned).collect();
        activity::record(&mut tx, &mut rows).await?;
        activity::count_swept(&mut tx, i64::try_from(expired.len()).unwrap_or(i64::MAX)).await?;
        tx.commit().await?;
        counter!("farebox_abandoned_total").increment(expired.len() as u64);
        swept += expired.len() as u64;
    }
    Ok(swept)
}

/// Turns windows of limits back that a clock has set ahead. Returns how many keys and members had one.
///
/// # Errors
/// Database errors only; then nothing was turned.
pub async fn turn_back(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let now = Clock::system().now();
    let turned = ledger::turn_back(&mut tx, now.date_naive()).await? + keys::turn_pace_back(&mut tx, now).await?;
    tx.commit().await?;
    Ok(turned)
}

async fn look_at_windows(pool: &PgPool) {
    match tokio::time::timeout(MAX_WAIT, turn_back(pool)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(turned)) => tracing::warn!(turned, "limits were counted ahead of the clock; the clock was wrong once"),
        Ok(Err(error)) => tracing::warn!(%error, "windows of limits could not be looked at"),
        Err(_) => tracing::warn!("looking at the windows of limits took too long"),
    }
}

/// Sweeps every `every`, as long as the runtime lives. While the spool of this machine holds settlements it waits:
/// the hold of a call whose end is on disk is not abandoned.
pub fn start(handle: &Handle, pool: PgPool, spool: Spool, every: Duration) {
    handle.spawn(async move {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut windows = Instant::now();
        loop {
            ticks.tick().await;
            if windows <= Instant::now() {
                look_at_windows(&pool).await;
                windows = Instant::now() + WINDOWS_EVERY;
            }
            if !spool.is_empty() {
                continue;
            }
            match tokio::time::timeout(MAX_WAIT, sweep_once(&pool)).await {
                Ok(Ok(0)) => {}
                Ok(Ok(swept)) => tracing::warn!(swept, "calls were abandoned by their process"),
                Ok(Err(error)) => tracing::warn!(%error, "expired holds could not be swept"),
                Err(_) => tracing::warn!("sweeping expired holds took too long"),
            }
        }
    });
}

fn abandoned(hold: &ExpiredHold) -> Option<UsageRow> {
    let memo = match serde_json::from_str::<HoldMemo>(&hold.memo) {
        Ok(memo) if memo.call.id == hold.call && memo.call.org == hold.org => memo,
        Ok(_) => {
            tracing::error!(call = %hold.call, "the memo of a hold names another call; it is released but not logged");
            return None;
        }
        Err(error) => {
            tracing::error!(%error, call = %hold.call, "the memo of a hold cannot be read; it is released but not logged");
            return None;
        }
    };
    // With a status of zero: nobody was told anything any more.
    let ended = Ended::blank(Status::Abandoned, 0, "the process ended before the call did".into());
    Some(abandoned_row(&memo.call, &ended, hold.amount))
}
