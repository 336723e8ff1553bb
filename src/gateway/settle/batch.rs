//! One batch of settlements: together, else one by one, else on disk.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics::counter;
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::super::call::{Call, Charge, Ended};
use super::super::figures;
use super::super::spool::Spool;
use super::allowance::Allowances;
use super::flush::{Flusher, Life};
use super::together::settle_together;
use super::{Durable, Receipt, Settlement};
use crate::activity::{Extra, UsageRow};
use crate::base::Usd;
use crate::base::ids::{CallId, MeterId, OrgId, TransferId};
use crate::db::Lane;
use crate::ledger::Ending;

/// A batch that is not committed after so long goes to the spool.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// Tries of a batch that lost a deadlock or a race.
const MAX_CONFLICTS: u32 = 3;
/// A batch that waits for the disk with its rows locked and takes so long was wrong to do so.
const TOO_LONG: Duration = Duration::from_millis(50);
/// After the database failed, batches go to the spool at once for so long.
const REST: Duration = Duration::from_secs(1);

/// Work for the settler. It lives behind an `Arc`, so that its size is of no account.
#[expect(clippy::large_enum_variant, reason = "a box more would be one allocation more for each call")]
pub enum Job {
    Settle(Arc<Settlement>),
    /// A refused call, for the log only.
    Reject {
        call: Call,
        ended: Ended,
    },
}

impl Job {
    pub fn id(&self) -> (OrgId, CallId) {
        let call = match self {
            Job::Settle(settlement) => &settlement.call,
            Job::Reject { call, .. } => call,
        };
        (call.org, call.id)
    }
}

/// Whether a batch waits for the disk with its rows locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commit {
    /// It does, and is durable then. One step less, which is worth more than the wait where the disk is quick.
    OntoDisk,
    /// It does not: its rows are free for the next batch at once, and a flush follows.
    BeforeFlush,
}

impl Commit {
    /// The setting `synchronous_commit` for it.
    pub fn setting(self) -> &'static str {
        match self {
            Commit::OntoDisk => "on",
            Commit::BeforeFlush => "off",
        }
    }
}

/// What became of a batch.
pub struct Settled {
    /// In the order of the jobs.
    pub results: Vec<Result<Receipt, Failure>>,
    /// Otherwise durable only after a [`Desk::flush`]: what was settled before by somebody else may not be on the disk yet.
    pub is_on_disk: bool,
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database is away or too slow: the same may work later.
    #[error("the database is away: {0}")]
    Away(String),
    /// Something in the batch itself cannot be written.
    #[error("it cannot be written: {0}")]
    Data(sqlx::Error),
}

/// The settler's tools.
pub struct Desk {
    pool: PgPool,
    lane: Lane,
    flusher: Flusher,
    pub spool: Spool,
    pub allowances: Allowances,
    started: Instant,
    /// Until when the database is left alone, in milliseconds since the start.
    rests_until: AtomicU64,
    /// One replay at a time.
    pub replaying: Mutex<()>,
}

impl Desk {
    /// Its parts end with the runtime of `handle`.
    pub fn new(handle: &Handle, pool: PgPool, spool: Spool) -> Desk {
        Desk {
            lane: Lane::new(pool.clone()),
            flusher: Flusher::start(handle, pool.clone()),
            pool,
            spool,
            allowances: Allowances::default(),
            started: Instant::now(),
            rests_until: AtomicU64::new(0),
            replaying: Mutex::default(),
        }
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn rest(&self) {
        let rest = u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
        self.rests_until.store(self.milliseconds() + rest, Ordering::Relaxed);
    }

    fn rests(&self) -> bool {
        self.milliseconds() < self.rests_until.load(Ordering::Relaxed)
    }

    /// Settles a batch. The rows are free for the next one when this returns; what it returns waits until everything is
    /// on the disk of the database, and spools what cannot be settled now. `None` for what found no place at all.
    pub async fn settle_or_spool(
        self: Arc<Desk>,
        jobs: Arc<Vec<Arc<Job>>>,
    ) -> impl Future<Output = Vec<Option<Receipt>>> + Send + 'static {
        let life = self.life();
        let commit = if self.flusher.is_quick() { Commit::OntoDisk } else { Commit::BeforeFlush };
        let began = Instant::now();
        let settled = self.settle(&jobs, commit).await;
        if commit == Commit::OntoDisk && (settled.is_err() || began.elapsed() > TOO_LONG) {
            self.flusher.doubt();
        }
        async move {
            let durable = match settled {
                Ok(settled) if settled.is_on_disk => Ok(settled.results),
                Ok(settled) => self.flush(life).await.map(|()| settled.results),
                Err(failure) => Err(failure),
            };
            let mut receipts: Vec<Option<Receipt>> = match durable {
                Ok(results) => results.into_iter().map(Result::ok).collect(),
                Err(failure) => {
                    tracing::error!(%failure, calls = jobs.len(), "a batch of settlements goes to the spool");
                    vec![None; jobs.len()]
                }
            };
            self.spool_the_rest(&jobs, &mut receipts).await;
            receipts
        }
    }

    async fn spool_the_rest(&self, jobs: &[Arc<Job>], receipts: &mut [Option<Receipt>]) {
        let unsettled: Vec<(usize, &Settlement)> = jobs
            .iter()
            .enumerate()
            .filter(|(at, _)| receipts[*at].is_none())
            .filter_map(|(at, job)| match &**job {
                Job::Settle(settlement) => Some((at, settlement.as_ref())),
                Job::Reject { .. } => None,
            })
            .collect();
        let settlements: Vec<&Settlement> = unsettled.iter().map(|(_, settlement)| *settlement).collect();
        if self.keep(&settlements).await {
            for (at, settlement) in unsettled {
                receipts[at] = Some(settlement.expected(&self.allowances, Durable::Spooled));
            }
        }
    }

    /// The life of the database that is going on; ask before settling, for [`Desk::flush`].
    pub fn life(&self) -> Life {
        self.flusher.life()
    }

    /// Waits until everything that [`Desk::settle`] returned before this call is on the disk of the database. Until
    /// then it must not be acknowledged, and no other proof of it may be thrown away.
    ///
    /// # Errors
    /// `Away` when that is not known: what was settled may be gone, or not.
    pub async fn flush(&self, life: Life) -> Result<(), Failure> {
        self.flusher.flush(life).await.map_err(|error| {
            self.rest();
            Failure::Away(error)
        })
    }

    /// Puts settlements on disk. False when the disk did not take them.
    pub async fn keep(&self, settlements: &[&Settlement]) -> bool {
        if settlements.is_empty() {
            return true;
        }
        let lines: Result<Vec<String>, _> = settlements.iter().map(serde_json::to_string).collect();
        let kept = match lines {
            Ok(lines) => self.spool.append(lines).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &kept {
            tracing::error!(%error, calls = settlements.len(), "settlements found no place on disk");
        }
        kept.is_ok()
    }

    /// Settles a batch in one transaction; where one of it cannot be written, each in its own.
    ///
    /// # Errors
    /// `Away` when the database did not answer in time; nothing is known then about any of the batch.
    pub async fn settle(&self, jobs: &[Arc<Job>], commit: Commit) -> Result<Settled, Failure> {
        if self.rests() {
            return Err(Failure::Away("it failed a moment ago".into()));
        }
        let settled = match self.patiently(jobs, commit).await {
            Err(Failure::Data(error)) if jobs.len() > 1 => {
                tracing::error!(%error, calls = jobs.len(), "a batch cannot be written; trying its calls one by one");
                self.one_by_one(jobs, commit).await
            }
            Err(Failure::Data(error)) => {
                let ids: Vec<String> = jobs.iter().map(|job| job.id().1.to_string()).collect();
                tracing::error!(%error, call = ids.join(","), "a settlement cannot be written");
                Ok(Settled { results: vec![Err(Failure::Data(error))], is_on_disk: true })
            }
            other => other,
        };
        if let Err(Failure::Away(_)) = &settled {
            self.rest();
        }
        settled
    }

    async fn one_by_one(&self, jobs: &[Arc<Job>], commit: Commit) -> Result<Settled, Failure> {
        let (mut results, mut is_on_disk) = (Vec::with_capacity(jobs.len()), true);
        for job in jobs {
            match self.patiently(std::slice::from_ref(job), commit).await {
                Ok(mut one) => {
                    results.append(&mut one.results);
                    is_on_disk &= one.is_on_disk;
                }
                Err(Failure::Data(error)) => {
                    tracing::error!(%error, call = %job.id().1, "a settlement cannot be written");
                    results.push(Err(Failure::Data(error)));
                }
                Err(away) => return Err(away),
            }
        }
        Ok(Settled { results, is_on_disk })
    }

    /// Tries again after a lost race, within the time that a batch has.
    async fn patiently(&self, jobs: &[Arc<Job>], commit: Commit) -> Result<Settled, Failure> {
        let tries = async {
            let mut conflicts = 0;
            loop {
                match settle_together(&self.pool, &self.lane, &self.allowances, jobs, commit).await {
                    Err(error) if is_conflict(&error) && conflicts < MAX_CONFLICTS => conflicts += 1,
                    other => return other.map_err(failure),
                }
            }
        };
        let timed = tokio::time::timeout(MAX_WAIT, tries).await;
        timed.unwrap_or_else(|_| Err(Failure::Away("no answer in time".into())))
    }
}

fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40P01" | "40001"))
}

pub fn failure(error: sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    match (&error, code.as_deref()) {
        // Data, integrity and our own findings. Everything else (no connection, resources, shutdown, a server that
        // only reads, a schema in the middle of a migration) may be over soon.
        (sqlx::Error::Database(_), Some(code)) if matches!(code.get(..2), Some("21" | "22" | "23")) => {
            Failure::Data(error)
        }
        (sqlx::Error::Encode(_) | sqlx::Error::Protocol(_), _) => Failure::Data(error),
        _ => Failure::Away(error.to_string()),
    }
}

/// In money, if it comes to `cost`.
pub fn ending(settlement: &Settlement, cost: Usd) -> Ending {
    let Settlement { call, hold, ended } = settlement;
    let held_byok = ended.terms.held_byok;
    Ending { org: call.org, call: call.id, cost, held: *hold, byok: ended.byok(), held_byok }
}

/// What the ledger made of a call.
#[derive(Default)]
pub struct Outcome {
    pub charged: Usd,
    pub overrun: Usd,
    pub hold: Usd,
    pub transfer: Option<TransferId>,
    pub meters: Vec<MeterId>,
    pub charge: Charge,
}

/// The row of a call from its facts and from what the ledger made of it.
pub fn row(call: &Call, ended: &Ended, outcome: Outcome) -> UsageRow {
    UsageRow {
        org: call.org,
        call: call.id,
        created_at: call.created_at,
        key: call.key,
        member: call.member,
        app: call.app.clone(),
        referer: call.referer.clone(),
        user_agent: call.user_agent.clone(),
        request_id: call.request_id.clone(),
        model_asked: call.model_asked.clone(),
        model: ended.model.clone(),
        provider: ended.provider.clone(),
        upstream_model: ended.upstream_model.clone(),
        upstream_id: ended.upstream_id.clone(),
        streamed: call.streamed,
        status: ended.status.as_str(),
        cancelled: ended.cancelled,
        http_status: ended.http_status,
        error: ended.error.clone(),
        finish_reason: ended.finish_reason.clone(),
        native_finish: ended.native_finish.clone(),
        prompt_tokens: ended.tokens.prompt,
        completion_tokens: ended.tokens.completion,
        cached_tokens: ended.tokens.cached,
        cache_write_tokens: ended.tokens.cache_write,
        reasoning_tokens: ended.tokens.reasoning,
        counted_by: ended.counted_by.as_str(),
        price_version: ended.price_version,
        cost: outcome.charged,
        overrun: outcome.overrun,
        hold: outcome.hold,
        transfer: outcome.transfer,
        meters: outcome.meters,
        first_token_ms: ended.first_token_ms,
        duration_ms: ended.duration_ms,
        attempts: attempts(call, ended),
        extra: extra(ended, outcome.charge),
    }
}

fn extra(ended: &Ended, charge: Charge) -> Extra {
    let Charge { discount, free, .. } = charge;
    match ended.terms.fee {
        None => Extra { discount, units: ended.units, ..Extra::default() },
        Some(fee) => Extra {
            is_byok: true,
            upstream_cost: ended.byok().unwrap_or_default(),
            byok_free: free,
            byok_rate: fee.rate,
            discount,
            units: ended.units,
        },
    }
}

/// Each with the presets that it was made with: what a call got is part of what was tried.
fn attempts(call: &Call, ended: &Ended) -> serde_json::Value {
    let mut attempts = serde_json::to_value(&ended.attempts).unwrap_or_default();
    if !call.presets.is_empty() {
        for attempt in attempts.as_array_mut().into_iter().flatten() {
            attempt["presets"] = call.presets.clone().into();
        }
    }
    attempts
}

pub fn count(rows: &[UsageRow]) {
    figures::settled(rows);
    for row in rows.iter().filter(|row| row.overrun.is_positive()) {
        counter!("farebox_overrun_total").increment(1);
        tracing::warn!(org = %row.org, call = %row.call, overrun = %row.overrun, hold = %row.hold, model = row.model,
            "a call cost more than was held for it; the operator bears the rest");
    }
}
