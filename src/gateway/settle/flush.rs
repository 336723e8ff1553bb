//! Getting what was committed onto the disk of the database, for everybody who waits at once.
//!
//! Where the disk is quick, most batches of settlements wait for it themselves, which is one step less for each; see
//! [`Flusher::is_quick`]. Where it is not, a batch commits without waiting, so that the next one finds its rows free, and
//! nobody is told before a flush that began after that commit has ended. The log of a Postgres is one sequence: whoever
//! commits something and waits for the disk has everything on it that was committed before, by whomever.
//!
//! A database that crashes between a commit and the flush may come back without that commit, and would flush happily. So
//! each flush reads which life of the database it was in (`migrations/0040_incarnation.sql`), and nobody is told that
//! something is on the disk that was committed in an earlier one.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool, Row};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::db::Lane;

/// Batches that may wait; far more than there are at once.
const MAX_WAITING: usize = 1_024;
/// Where a flush takes less, waiting for the disk with the rows locked costs less than a flush of its own. A disk in a
/// server takes a fifth of a millisecond, a network's some one or two, a turning one ten.
const QUICK: Duration = Duration::from_millis(3);
/// One of so many batches is flushed all the same, to see whether the disk is still so quick.
const LOOK_EVERY: u32 = 256;
/// A flush that takes longer has failed, as far as those who wait are concerned.
const MAX_WAIT: Duration = Duration::from_secs(3);
const FIRST: &str = "insert into incarnation default values on conflict do nothing; select id from incarnation";

/// A life of the database, as this process counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life(u64);

struct Waiting {
    life: Life,
    reply: oneshot::Sender<Result<(), String>>,
}

/// Flushes one at a time. While one runs, others gather and share the next.
pub struct Flusher {
    sender: mpsc::Sender<Waiting>,
    lives: Arc<AtomicU64>,
    quick: Arc<AtomicBool>,
    asked: AtomicU32,
}

impl Flusher {
    /// Starts the worker, which ends with the flusher or with the runtime of `handle`.
    pub fn start(handle: &Handle, pool: PgPool) -> Flusher {
        let lane = Arc::new(Lane::new(pool.clone()));
        let flush = move || {
            let lane = Arc::clone(&lane);
            async move { flush_in_time(&lane).await }
        };
        Flusher::start_with(handle, async move { this_life(&mut *pool.acquire().await.ok()?).await.ok() }, flush)
    }

    fn start_with<Fut>(
        handle: &Handle,
        first: impl Future<Output = Option<Uuid>> + Send + 'static,
        flush: impl Fn() -> Fut + Send + 'static,
    ) -> Flusher
    where
        Fut: Future<Output = Result<Uuid, String>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let (lives, quick) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        handle.spawn(work(receiver, first, flush, Arc::clone(&lives), Arc::clone(&quick)));
        Flusher { sender, lives, quick, asked: AtomicU32::new(0) }
    }

    /// The life of the database that is going on, as far as is known. Ask before what is to be flushed is committed.
    pub fn life(&self) -> Life {
        Life(self.lives.load(Ordering::Acquire))
    }

    /// Whether the next batch should rather wait for the disk itself. The answer is no now and then also where it was yes,
    /// so that it stays true.
    pub fn is_quick(&self) -> bool {
        self.quick.load(Ordering::Relaxed) && self.asked.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY != LOOK_EVERY - 1
    }

    /// The disk, or something before it, was slow: no batch waits for it itself until a flush was quick again.
    pub fn doubt(&self) {
        self.quick.store(false, Ordering::Relaxed);
    }

    /// Waits for a flush that begins after this call, and proves everything that was committed before it in `life`.
    ///
    /// # Errors
    /// When it is not known to have worked, or the database has crashed since, and what was committed may be gone.
    pub async fn flush(&self, life: Life) -> Result<(), String> {
        let (reply, flushed) = oneshot::channel();
        self.sender.try_send(Waiting { life, reply }).map_err(|_| "too many wait for the disk".to_owned())?;
        flushed.await.unwrap_or_else(|_| Err("the flusher has stopped".into()))
    }
}

async fn work<Fut>(
    mut receiver: mpsc::Receiver<Waiting>,
    first: impl Future<Output = Option<Uuid>>,
    flush: impl Fn() -> Fut,
    lives: Arc<AtomicU64>,
    quick: Arc<AtomicBool>,
) where
    Fut: Future<Output = Result<Uuid, String>>,
{
    // Nothing is proven by a first flush if it is not known what was before it.
    let mut known = tokio::time::timeout(MAX_WAIT, first).await.unwrap_or_default();
    while let Some(first) = receiver.recv().await {
        // Whoever comes after this waits for the next one: it may have committed after this one began.
        let mut waiting = vec![first];
        while let Ok(next) = receiver.try_recv() {
            waiting.push(next);
        }
        let began = Instant::now();
        let flushed = flush().await;
        quick.store(flushed.is_ok() && began.elapsed() < QUICK, Ordering::Relaxed);
        if let Ok(id) = flushed
            && known.replace(id) != Some(id)
        {
            lives.fetch_add(1, Ordering::AcqRel);
        }
        let now = Life(lives.load(Ordering::Acquire));
        for Waiting { life, reply } in waiting {
            let told = match &flushed {
                Ok(_) if life == now => Ok(()),
                Ok(_) => Err("the database may have crashed since".to_owned()),
                Err(error) => Err(error.clone()),
            };
            // A batch whose worker is gone has nobody to tell.
            reply.send(told).ok();
        }
    }
}

async fn flush_in_time(lane: &Lane) -> Result<Uuid, String> {
    match tokio::time::timeout(MAX_WAIT, flush(lane)).await {
        Ok(flushed) => flushed.map_err(|error| error.to_string()),
        Err(_) => Err("the disk of the database did not answer in time".into()),
    }
}

async fn flush(lane: &Lane) -> Result<Uuid, sqlx::Error> {
    let mut conn = lane.take().await?;
    // The smallest thing that can be committed: a message in the log that nobody reads. It belongs to the transaction, for
    // only a transaction that wrote something waits for the disk.
    let id = match sqlx::query_scalar!("select flush_log()").fetch_one(&mut *conn).await? {
        Some(id) => id,
        // A crash has emptied the table.
        None => this_life(&mut conn).await?,
    };
    lane.keep(conn);
    Ok(id)
}

async fn this_life(conn: &mut PgConnection) -> Result<Uuid, sqlx::Error> {
    let rows = sqlx::raw_sql(FIRST).fetch_all(conn).await?;
    rows.last().ok_or(sqlx::Error::RowNotFound)?.try_get("id")
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Mutex;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn whoever_comes_while_a_flush_runs_waits_for_the_next_one() {
        let (begun, may_end) = (Arc::new(Mutex::new(0)), Arc::new(Semaphore::new(0)));
        let (count, gate) = (Arc::clone(&begun), Arc::clone(&may_end));
        let flusher = Flusher::start_with(&Handle::current(), std::future::ready(Some(Uuid::nil())), move || {
            let gate = Arc::clone(&gate);
            *count.lock().expect("no panic") += 1;
            async move {
                gate.acquire().await.expect("open").forget();
                Ok(Uuid::nil())
            }
        });
        let begun = || *begun.lock().expect("no panic");
        let mut first = std::pin::pin!(flusher.flush(flusher.life()));
        assert!(futures_util::poll!(&mut first).is_pending());
        while begun() < 1 {
            tokio::task::yield_now().await;
        }
        let mut second = std::pin::pin!(flusher.flush(flusher.life()));
        let mut third = std::pin::pin!(flusher.flush(flusher.life()));
        assert!(futures_util::poll!(&mut second).is_pending() && futures_util::poll!(&mut third).is_pending());
        may_end.add_permits(1);
        assert_eq!(first.await, Ok(()));
        while begun() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(futures_util::poll!(&mut second).is_pending(), "its flush began after it and has not ended");
        may_end.add_permits(1);
        assert_eq!((second.await, third.await), (Ok(()), Ok(())));
        assert_eq!(begun(), 2, "those that gathered share one");
    }

    #[tokio::test]
    async fn whether_the_disk_is_quick_is_seen_again_and_again() {
        let slow = Arc::new(AtomicBool::new(false));
        let sleepy = Arc::clone(&slow);
        let flusher = Flusher::start_with(&Handle::current(), std::future::ready(Some(Uuid::nil())), move || {
            let slow = sleepy.load(Ordering::Relaxed);
            async move {
                if slow {
                    tokio::time::sleep(QUICK).await;
                }
                Ok(Uuid::nil())
            }
        });
        assert!(!flusher.is_quick(), "nobody has looked");
        // A busy machine may make a quick one look slow.
        for _ in 0..100 {
            assert_eq!(flusher.flush(flusher.life()).await, Ok(()));
            if flusher.quick.load(Ordering::Relaxed) {
                break;
            }
        }
        let yes = (0..LOOK_EVERY * 4).filter(|_| flusher.is_quick()).count();
        assert_eq!(u32::try_from(yes), Ok(LOOK_EVERY * 4 - 4));
        flusher.doubt();
        assert!((0..LOOK_EVERY * 4).all(|_| !flusher.is_quick()), "only a flush can tell");
        slow.store(true, Ordering::Relaxed);
        assert_eq!(flusher.flush(flusher.life()).await, Ok(()));
        assert!((0..LOOK_EVERY * 4).all(|_| !flusher.is_quick()));
    }

    #[tokio::test]
    async fn a_flush_that_fails_fails_for_all_that_wait_and_the_next_is_tried_again() {
        let tries = Arc::new(Mutex::new(0));
        let flusher = Flusher::start_with(&Handle::current(), std::future::ready(Some(Uuid::nil())), move || {
            *tries.lock().expect("no panic") += 1;
            let first = *tries.lock().expect("no panic") == 1;
            async move { if first { Err("away".to_owned()) } else { Ok(Uuid::nil()) } }
        });
        let away = Err("away".to_owned());
        assert_eq!(tokio::join!(flusher.flush(flusher.life()), flusher.flush(flusher.life())), (away.clone(), away));
        assert_eq!(flusher.flush(flusher.life()).await, Ok(()));
    }
    #[tokio::test]
    async fn what_was_committed_before_a_crash_is_not_proven_by_a_flush_after_it() {
        let lives = Arc::new(Mutex::new(vec![Uuid::from_u128(2), Uuid::from_u128(2), Uuid::from_u128(1)]));
        let flusher =
            Flusher::start_with(&Handle::current(), std::future::ready(Some(Uuid::from_u128(1))), move || {
                let id = lives.lock().expect("no panic").pop().expect("three flushes");
                std::future::ready(Ok(id))
            });
        let before = flusher.life();
        assert_eq!(flusher.flush(before).await, Ok(()));
        assert!(flusher.flush(before).await.is_err(), "the database crashed");
        assert!(flusher.life() != before);
        assert_eq!(flusher.flush(flusher.life()).await, Ok(()));
    }

    #[tokio::test]
    async fn the_first_flush_proves_nothing_when_it_is_not_known_what_was_before() {
        let flusher =
            Flusher::start_with(&Handle::current(), std::future::ready(None), || std::future::ready(Ok(Uuid::nil())));
        assert!(flusher.flush(flusher.life()).await.is_err());
        assert_eq!(flusher.flush(flusher.life()).await, Ok(()));
    }
}
