//! Replaying the spool.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use metrics::counter;

use super::Settlement;
use super::batch::{Commit, Desk, Failure, Job};
use crate::gateway::spool::{Contents, Sealed};

/// Between two looks at the spool.
const EVERY: Duration = Duration::from_secs(1);
/// An empty spool is looked at once in so many rounds, for files of processes that died meanwhile.
const ADOPT_ROUNDS: u32 = 30;
/// Settlements replayed in one transaction.
const MAX_BATCH: usize = 256;

/// What a replay did.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Replayed {
    pub files: usize,
    pub settled: usize,
    /// Lines that can never be settled; they were put aside for the operator.
    pub buried: usize,
}

/// Replays the spool as long as the runtime lives.
pub async fn forever(desk: Arc<Desk>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0_u32;
    loop {
        ticks.tick().await;
        round = round.wrapping_add(1);
        if desk.spool.is_empty() && !round.is_multiple_of(ADOPT_ROUNDS) {
            continue;
        }
        if let Err(error) = all(&desk).await {
            tracing::warn!(%error, depth = desk.spool.depth(), "the spool is not replayed yet");
        }
    }
}

/// Replays everything that the spool holds now, file by file. A file is deleted after all of it is in the database.
pub async fn all(desk: &Arc<Desk>) -> anyhow::Result<Replayed> {
    let _alone = desk.replaying.lock().await;
    let spool = desk.spool.clone();
    let files = blocking(move || spool.seal()).await.context("the spool cannot be read")?;
    let mut replayed = Replayed::default();
    for sealed in files {
        one(desk, sealed, &mut replayed).await?;
    }
    if replayed.settled > 0 {
        tracing::info!(settled = replayed.settled, files = replayed.files, "the spool was replayed");
    }
    Ok(replayed)
}

async fn one(desk: &Arc<Desk>, sealed: Sealed, replayed: &mut Replayed) -> anyhow::Result<()> {
    let reading = sealed.clone();
    let Contents { lines, damaged, torn } = blocking(move || reading.read()).await.context("a file of the spool")?;
    if torn {
        tracing::warn!(file = %sealed.path().display(), "the last line was torn by a crash; it was never acknowledged");
    }
    let mut dead = damaged;
    let life = desk.life();
    for batch in lines.chunks(MAX_BATCH) {
        let (settled, mut unsettled) = replay_batch(desk, batch).await?;
        replayed.settled += settled;
        dead.append(&mut unsettled);
    }
    // The file is the only proof until then.
    desk.flush(life).await.map_err(|failure| anyhow!(failure))?;
    replayed.files += 1;
    replayed.buried += dead.len();
    if !dead.is_empty() {
        counter!("farebox_spool_dead_total").increment(dead.len() as u64);
        tracing::error!(file = %sealed.path().display(), lines = dead.len(), "settlements that can never be written are put aside");
    }
    let spool = desk.spool.clone();
    blocking(move || {
        if !dead.is_empty() {
            spool.bury(&sealed, &dead)?;
        }
        spool.forget(&sealed)
    })
    .await
    .context("a replayed file of the spool")
}

/// How many were settled, and the lines that can never be.
async fn replay_batch(desk: &Desk, lines: &[String]) -> anyhow::Result<(usize, Vec<String>)> {
    let mut dead = Vec::new();
    let mut jobs = Vec::with_capacity(lines.len());
    let mut of_jobs = Vec::with_capacity(lines.len());
    for line in lines {
        match serde_json::from_str::<Settlement>(line) {
            Ok(settlement) => {
                jobs.push(Arc::new(Job::Settle(Arc::new(settlement))));
                of_jobs.push(line);
            }
            Err(error) => {
                tracing::error!(%error, "a line of the spool is no settlement");
                dead.push(line.clone());
            }
        }
    }
    if jobs.is_empty() {
        return Ok((0, dead));
    }
    let became = desk.settle(&jobs, Commit::BeforeFlush).await.map_err(|failure| anyhow!(failure))?;
    let mut settled = 0;
    for (result, line) in became.results.into_iter().zip(of_jobs) {
        match result {
            Ok(_) => settled += 1,
            Err(Failure::Data(_)) => dead.push(line.clone()),
            // The whole file is replayed again later; what is settled stays settled.
            Err(away @ Failure::Away(_)) => return Err(anyhow!(away)),
        }
    }
    Ok((settled, dead))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> anyhow::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await??)
}
