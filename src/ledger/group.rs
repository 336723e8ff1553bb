//! Group commit: jobs that arrive together run in one transaction, fairly between organizations.
//!
//! An idle worker takes a job at once; while it is busy, others gather behind it and form the next batch. A batch has a
//! price of its own, though, and a worker that is fast makes one of each handful. So it lets those go first who are ready to
//! run and may bring more, which is no wait where there is nobody; and where two thousand jobs come in a second, it waits a
//! moment for those that are about to come. Below that, there is no timer.
//!
//! A batch has two parts: what must not run beside the next batch, and what may. The second part waits, for the disk
//! for example, while the worker goes on as soon as enough jobs wait to be worth a batch.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::base::ids::OrgId;

/// Jobs that may wait in one process before further ones are refused.
const MAX_WAITING: usize = 8_192;
/// Batches whose second part may run at once; then the worker waits for one of them.
const MAX_UNFINISHED: usize = 32;
/// What a timer can tell apart.
const TICK: Duration = Duration::from_millis(1);
/// Ticks that jobs are gathered at most. What comes in that time, at the rate of late, is what is waited for.
const TICKS: u32 = 2;
/// How often everybody else may go first while that brings more jobs.
const ROUNDS: u32 = 4;
/// Fewer to wait for are not worth a wait.
const WORTH_A_WAIT: usize = 4;
/// Jobs that are worth a batch of their own while another one is unfinished; fewer wait until none is, for a batch has a
/// round trip and a flush to pay for however small it is.
const ENOUGH: usize = 32;

struct Entry<J, R> {
    org: OrgId,
    job: J,
    reply: oneshot::Sender<R>,
}

/// The way in to a worker that runs batches one after the other.
pub struct GroupCommit<J, R> {
    sender: mpsc::Sender<Entry<J, R>>,
}

impl<J, R> Clone for GroupCommit<J, R> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error("too many calls are waiting")]
    Full,
    #[error("the worker has stopped")]
    Stopped,
}

impl<J: Send + Sync + 'static, R: Send + 'static> GroupCommit<J, R> {
    /// Starts the worker. `run` gets at most `max_batch` jobs. What it returns is awaited beside the next batch, and
    /// answers each job, in order; `orphaned` gets the results that nobody waits for any more.
    pub fn start<Run, Fut, Rest, Orphaned>(handle: &Handle, max_batch: usize, run: Run, orphaned: Orphaned) -> Self
    where
        Run: Fn(Arc<Vec<J>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Rest> + Send + 'static,
        Rest: Future<Output = Vec<R>> + Send + 'static,
        Orphaned: Fn(&J, R) + Send + Sync + 'static,
    {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        handle.spawn(work(receiver, max_batch, run, orphaned));
        Self { sender }
    }

    /// Queues a job and waits for its result.
    ///
    /// # Errors
    /// `Full` at once when too many jobs wait; `Stopped` when the worker is gone.
    pub async fn submit(&self, org: OrgId, job: J) -> Result<R, GroupError> {
        let (reply, result) = oneshot::channel();
        self.sender.try_send(Entry { org, job, reply }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => GroupError::Full,
            mpsc::error::TrySendError::Closed(_) => GroupError::Stopped,
        })?;
        result.await.map_err(|_| GroupError::Stopped)
    }
}

async fn work<J, R, Run, Fut, Rest, Orphaned>(
    mut receiver: mpsc::Receiver<Entry<J, R>>,
    max_batch: usize,
    run: Run,
    orphaned: Orphaned,
) where
    J: Send + Sync + 'static,
    R: Send + 'static,
    Run: Fn(Arc<Vec<J>>) -> Fut,
    Fut: Future<Output = Rest>,
    Rest: Future<Output = Vec<R>> + Send + 'static,
    Orphaned: Fn(&J, R) + Send + Sync + 'static,
{
    let mut queues = Queues::default();
    let mut rate = Rate::new(Instant::now());
    let unfinished = Arc::new(Semaphore::new(MAX_UNFINISHED));
    let finished = Arc::new(Notify::new());
    let orphaned = Arc::new(orphaned);
    loop {
        let Ok(turn) = Arc::clone(&unfinished).acquire_owned().await else { return };
        if queues.is_empty() {
            match receiver.recv().await {
                Some(entry) => queues.push(entry),
                None => return,
            }
        }
        drain(&mut receiver, &mut queues);
        let wanted = rate.in_a_moment(Instant::now());
        for _ in 0..TICKS {
            if wanted < WORTH_A_WAIT || queues.len + receiver.len() >= wanted {
                break;
            }
            // Nobody wakes the worker meanwhile, which would cost as much as what is saved.
            tokio::time::sleep(TICK).await;
        }
        drain(&mut receiver, &mut queues);
        for _ in 0..ROUNDS {
            let before = queues.len;
            tokio::task::yield_now().await;
            drain(&mut receiver, &mut queues);
            if queues.len == before || queues.len >= max_batch {
                break;
            }
        }
        // Those behind an unfinished batch would wait for the disk anyway.
        while queues.len < ENOUGH && unfinished.available_permits() + 1 < MAX_UNFINISHED {
            tokio::select! {
                entry = receiver.recv() => match entry {
                    Some(entry) => queues.push(entry),
                    None => break,
                },
                () = finished.notified() => {}
            }
            drain(&mut receiver, &mut queues);
        }
        let (jobs, replies): (Vec<J>, Vec<_>) = queues.take(max_batch).into_iter().map(|e| (e.job, e.reply)).unzip();
        rate.add(jobs.len(), Instant::now());
        let jobs = Arc::new(jobs);
        let rest = run(Arc::clone(&jobs)).await;
        let orphaned = Arc::clone(&orphaned);
        let turn = Turn { permit: Some(turn), finished: Arc::clone(&finished) };
        tokio::spawn(async move {
            let _turn = turn;
            let results = rest.await;
            for ((job, reply), result) in jobs.iter().zip(replies).zip(results) {
                if let Err(result) = reply.send(result) {
                    orphaned(job, result);
                }
            }
        });
    }
}

/// How many jobs come, as of late: those of a stretch of time that goes on, and of the one before it.
struct Rate {
    since: Instant,
    jobs: usize,
    before: usize,
}

impl Rate {
    const STRETCH: Duration = Duration::from_millis(32);

    fn new(now: Instant) -> Rate {
        Rate { since: now, jobs: 0, before: 0 }
    }

    fn add(&mut self, jobs: usize, now: Instant) {
        self.go_on(now);
        self.jobs += jobs;
    }

    /// Jobs that come within [`TICKS`], at most [`ENOUGH`].
    fn in_a_moment(&mut self, now: Instant) -> usize {
        self.go_on(now);
        let over = Rate::STRETCH + now.saturating_duration_since(self.since);
        let jobs = u128::try_from(self.jobs + self.before).unwrap_or(u128::MAX);
        let expected = jobs.saturating_mul((TICK * TICKS).as_micros()) / over.as_micros().max(1);
        usize::try_from(expected).unwrap_or(ENOUGH).min(ENOUGH)
    }

    fn go_on(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed >= Rate::STRETCH {
            self.before = if passed < Rate::STRETCH * 2 { self.jobs } else { 0 };
            self.jobs = 0;
            self.since = now;
        }
    }
}

/// The second part of a batch, as long as it runs. However it ends, the worker is told.
struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    finished: Arc<Notify>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // First, so that the worker counts without it.
        drop(self.permit.take());
        self.finished.notify_one();
    }
}

/// Takes what has arrived, without a wait.
fn drain<J, R>(receiver: &mut mpsc::Receiver<Entry<J, R>>, queues: &mut Queues<J, R>) {
    while queues.len < MAX_WAITING {
        match receiver.try_recv() {
            Ok(entry) => queues.push(entry),
            Err(_) => break,
        }
    }
}

/// One queue an organization, served in turns, so that a busy tenant cannot crowd out a quiet one.
struct Queues<J, R> {
    turns: VecDeque<OrgId>,
    by_org: HashMap<OrgId, VecDeque<Entry<J, R>>>,
    len: usize,
}

impl<J, R> Default for Queues<J, R> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), by_org: HashMap::new(), len: 0 }
    }
}

impl<J, R> Queues<J, R> {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, entry: Entry<J, R>) {
        let org = entry.org;
        let queue = self.by_org.entry(org).or_default();
        if queue.is_empty() {
            self.turns.push_back(org);
        }
        queue.push_back(entry);
        self.len += 1;
    }

    fn take(&mut self, most: usize) -> Vec<Entry<J, R>> {
        let mut taken = Vec::with_capacity(most.min(self.len));
        while taken.len() < most {
            let Some(org) = self.turns.pop_front() else { break };
            let Some(queue) = self.by_org.get_mut(&org) else { continue };
            if let Some(entry) = queue.pop_front() {
                taken.push(entry);
                self.len -= 1;
            }
            if queue.is_empty() {
                self.by_org.remove(&org);
            } else {
                self.turns.push_back(org);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_organization_is_served_beside_a_busy_one() {
        let (busy, quiet) = (OrgId::fresh(), OrgId::fresh());
        let mut queues = Queues::<u32, ()>::default();
        for job in 0..100 {
            queues.push(Entry { org: busy, job, reply: oneshot::channel().0 });
        }
        queues.push(Entry { org: quiet, job: 1_000, reply: oneshot::channel().0 });
        let first: Vec<u32> = queues.take(4).into_iter().map(|entry| entry.job).collect();
        assert_eq!(first, [0, 1_000, 1, 2]);
        assert_eq!(queues.take(1_000).len(), 97);
        assert!(queues.is_empty());
    }

    #[test]
    fn only_where_many_come_is_there_something_to_wait_for() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut rate = Rate::new(start);
        for millisecond in 0..300 {
            // One every five milliseconds.
            rate.add(usize::from(millisecond % 5 == 0), at(millisecond));
        }
        assert!(rate.in_a_moment(at(300)) < WORTH_A_WAIT);
        for millisecond in 300..600 {
            rate.add(5, at(millisecond));
        }
        let wanted = rate.in_a_moment(at(600));
        assert!((8..=11).contains(&wanted), "{wanted} of some ten in two milliseconds");
        for millisecond in 600..900 {
            rate.add(100, at(millisecond));
        }
        assert_eq!(rate.in_a_moment(at(900)), ENOUGH);
        assert!(rate.in_a_moment(at(2_000)) < WORTH_A_WAIT, "those of before are forgotten");
    }

    #[tokio::test]
    async fn jobs_that_wait_together_run_together() {
        let sizes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = sizes.clone();
        let group = GroupCommit::start(
            &Handle::current(),
            64,
            move |jobs: Arc<Vec<u32>>| {
                seen.lock().map(|mut sizes| sizes.push(jobs.len())).ok();
                async move {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    std::future::ready(jobs.iter().map(|job| job * 2).collect())
                }
            },
            |_, _| {},
        );
        let org = OrgId::fresh();
        let calls = (0..50).map(|job| group.submit(org, job));
        let results = futures_util::future::join_all(calls).await;
        assert!(results.into_iter().enumerate().all(|(job, result)| result == Ok(u32::try_from(job).unwrap_or(0) * 2)));
        assert!(sizes.lock().is_ok_and(|sizes| sizes.len() <= 2), "fifty jobs took more than two batches");
    }

    #[tokio::test]
    async fn the_next_batch_does_not_wait_for_the_rest_of_the_one_before() {
        let (release, released) = tokio::sync::watch::channel(false);
        let (begin, mut begun) = tokio::sync::watch::channel(false);
        let group = GroupCommit::start(
            &Handle::current(),
            ENOUGH,
            move |jobs: Arc<Vec<u32>>| {
                let mut released = released.clone();
                begin.send_replace(true);
                async move {
                    async move {
                        // The first waits for what those after it let happen.
                        if jobs[0] == 1 {
                            released.wait_for(|released| *released).await.ok();
                        }
                        jobs.to_vec()
                    }
                }
            },
            |_, _| {},
        );
        let org = OrgId::fresh();
        let mut first = std::pin::pin!(group.submit(org, 1));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(begun.wait_for(|begun| *begun).await.is_ok());
        // One alone is not worth a batch beside the first, but this many are.
        let mut alone = std::pin::pin!(group.submit(org, 2));
        for _ in 0..20 {
            assert!(futures_util::poll!(&mut alone).is_pending());
            tokio::task::yield_now().await;
        }
        let others = futures_util::future::join_all((1..ENOUGH).map(|_| group.submit(org, 3)));
        let (alone, others) = tokio::join!(alone, others);
        assert!(alone == Ok(2) && others.into_iter().all(|result| result == Ok(3)));
        release.send(true).ok();
        assert_eq!(first.await, Ok(1));
    }
}
