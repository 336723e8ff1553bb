//! Settlement: what a call came to, in the books and in the log, before the client hears the end of it.
//!
//! Calls that end together share one transaction: the ledger ends their holds and posts what they cost, and the log gets
//! their rows. Where the disk is quick, the commit waits for it; where it is not, nobody is told before a flush that began
//! after it, and one flush serves all batches that were committed meanwhile. While the database is away, settlements are
//! kept in the spool, and a loop replays them. Settling a call a second time changes nothing and returns what the first
//! time came to.

mod allowance;
mod batch;
mod flush;
mod replay;
mod together;

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub use replay::Replayed;

use self::allowance::Allowances;
use self::batch::{Desk, Job};
use super::call::{Call, Charge, Ended};
use super::spool::Spool;
use crate::activity::UsageRow;
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId};
use crate::ledger::GroupCommit;
use crate::routing::Fee;

/// Calls settled in one transaction.
const MAX_BATCH: usize = 256;
/// Refused calls that wait to be logged; beyond it they are only counted.
const MAX_REJECTS_WAITING: usize = 1_024;
/// Tries to find a place for a settlement when neither the database nor the disk takes it.
const MAX_TRIES: u32 = 20;
/// The wait between two of these tries.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// How safe a settlement is when its receipt is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durable {
    /// In the database.
    Committed,
    /// On disk, and in the database as soon as that is back.
    Spooled,
    /// Nowhere: for at least ten seconds neither the database nor the disk took it. The call must not be
    /// acknowledged as ended well; its hold is swept, and the log of the process has the facts.
    Lost,
}

/// What a call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// What the organization pays.
    pub charged: Usd,
    /// What the operator bears, because the call cost more than was held for it.
    pub overrun: Usd,
    /// What was taken off before.
    pub discount: Usd,
    pub durable: Durable,
}

impl Receipt {
    /// Of a call that was refused.
    pub(super) fn nothing() -> Receipt {
        Receipt { charged: Usd::ZERO, overrun: Usd::ZERO, discount: Usd::ZERO, durable: Durable::Committed }
    }
}

/// Everything that is needed to settle a call, now or after a crash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settlement {
    pub call: Call,
    /// What was held, as the admission said.
    pub hold: Usd,
    pub ended: Ended,
}

impl Settlement {
    /// What it comes to while the database cannot be asked.
    fn expected(&self, allowances: &Allowances, durable: Durable) -> Receipt {
        let Charge { cost, discount, .. } = allowances.presume(self);
        let charged = cost.min(self.hold);
        Receipt { charged, overrun: cost - charged, discount, durable }
    }
}

/// The call of a line of the spool; `None` for what is no settlement.
#[must_use]
pub fn call_of(line: &str) -> Option<CallId> {
    serde_json::from_str::<Settlement>(line).ok().map(|settlement| settlement.call.id)
}

/// The row of a call that nobody came back to settle: nothing was charged.
pub(super) fn abandoned_row(call: &Call, ended: &Ended, hold: Usd) -> UsageRow {
    batch::row(call, ended, batch::Outcome { hold, ..batch::Outcome::default() })
}

/// Where calls are settled; cheap to clone.
#[derive(Clone)]
pub struct Settler {
    group: GroupCommit<Arc<Job>, Option<Receipt>>,
    desk: Arc<Desk>,
    rejects: Arc<Semaphore>,
    handle: Handle,
}

impl std::fmt::Debug for Settler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settler").field("spool", &self.desk.spool).finish_non_exhaustive()
    }
}

impl Settler {
    /// Starts the workers: one that settles, one that replays the spool while it is not empty.
    /// They end with the runtime of `handle`.
    #[must_use]
    pub fn start(handle: &Handle, pool: PgPool, spool: Spool) -> Settler {
        let desk = Arc::new(Desk::new(handle, pool, spool));
        let worker = Arc::clone(&desk);
        let run = move |jobs: Arc<Vec<Arc<Job>>>| Arc::clone(&worker).settle_or_spool(jobs);
        // A settlement that nobody waits for is done all the same.
        let group = GroupCommit::start(handle, MAX_BATCH, run, |_, _| {});
        handle.spawn(replay::forever(Arc::clone(&desk)));
        let rejects = Arc::new(Semaphore::new(MAX_REJECTS_WAITING));
        Settler { group, desk, rejects, handle: handle.clone() }
    }

    /// Ends a call's hold, charges what it cost, at most the hold, and logs it. Returns when that is durable.
    ///
    /// The work goes on when the returned future is dropped once it was polled.
    pub async fn settle(&self, call: Call, hold: Usd, ended: Ended) -> Receipt {
        let org = call.org;
        let settlement = Arc::new(Settlement { call, hold, ended });
        let job = Arc::new(Job::Settle(Arc::clone(&settlement)));
        for tried in 1..=MAX_TRIES {
            // An error means that too many wait or that the worker is gone; the disk does not need it.
            if let Ok(Some(receipt)) = self.group.submit(org, Arc::clone(&job)).await {
                return receipt;
            }
            if self.desk.keep(&[settlement.as_ref()]).await {
                return settlement.expected(&self.desk.allowances, Durable::Spooled);
            }
            if tried < MAX_TRIES {
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
        counter!("farebox_settlements_lost_total").increment(1);
        let facts = serde_json::to_string(settlement.as_ref()).unwrap_or_default();
        tracing::error!(call = %settlement.call.id, %facts, "neither the database nor the disk took a settlement");
        settlement.expected(&self.desk.allowances, Durable::Lost)
    }

    /// Logs a call that was refused before anything was held. Best effort: it does not wait, and while too many
    /// wait to be written, further ones are only counted.
    #[allow(clippy::unused_async, reason = "callers treat it like settle; it may come to wait one day")]
    pub async fn reject(&self, call: Call, ended: Ended) {
        let Ok(permit) = Arc::clone(&self.rejects).try_acquire_owned() else {
            counter!("farebox_rejects_dropped_total").increment(1);
            return;
        };
        let group = self.group.clone();
        self.handle.spawn(async move {
            let org = call.org;
            let job = Arc::new(Job::Reject { call, ended });
            if !matches!(group.submit(org, job).await, Ok(Some(_))) {
                counter!("farebox_rejects_dropped_total").increment(1);
            }
            drop(permit);
        });
    }

    /// Replays everything that the spool holds now. Call it at start, before the sweeper runs: a hold whose
    /// settlement is on disk is not abandoned.
    ///
    /// # Errors
    /// When the spool cannot be read or the database does not take what is in it; nothing is lost then.
    pub async fn recover(&self) -> anyhow::Result<Replayed> {
        replay::all(&self.desk).await
    }

    /// Whether a call on a provider account of the organization's own is expected to cost its whole fee, because the
    /// allowance of this month is used up, as far as this process has seen.
    #[must_use]
    pub fn owes_fee(&self, org: OrgId, fee: Fee) -> bool {
        self.desk.allowances.is_used_up(org, fee.allowance)
    }

    /// Whether new calls must be refused, because the spool is at its limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.desk.spool.is_full()
    }
}
