//! Getting what was committed onto the disk of the database, for everybody who waits at once.
//!
//! A batch of settlements commits without waiting for the disk, so that the next one finds its rows free. Nobody is told
//! before a flush that began after that commit has ended. The log of a Postgres is one sequence: whoever commits
//! something and waits for the disk has everything on it that was committed before, by whomever.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::db::Lane;

/// Batches that may wait; far more than there are at once.
const MAX_WAITING: usize = 1_024;
/// A flush that takes longer has failed, as far as those who wait are concerned.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// The smallest thing that can be committed: a message in the log that nobody reads. It belongs to the transaction, for
/// only a transaction that wrote something waits for the disk.
const FLUSH: &str =
    "begin; set local synchronous_commit = on; select pg_logical_emit_message(true, 'farebox', ''); commit";

type Waiting = oneshot::Sender<Result<(), String>>;

/// Flushes one at a time. While one runs, others gather and share the next.
pub struct Flusher {
    sender: mpsc::Sender<Waiting>,
}

impl Flusher {
    /// Starts the worker, which ends with the flusher or with the runtime of `handle`.
    pub fn start(handle: &Handle, pool: PgPool) -> Flusher {
        let lane = Arc::new(Lane::new(pool));
        Flusher::start_with(handle, move || {
            let lane = Arc::clone(&lane);
            async move { flush_in_time(&lane).await }
        })
    }

    fn start_with<Fut>(handle: &Handle, flush: impl Fn() -> Fut + Send + 'static) -> Flusher
    where
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        handle.spawn(work(receiver, flush));
        Flusher { sender }
    }

    /// Waits for a flush that begins after this call.
    ///
    /// # Errors
    /// When it is not known to have worked, and why.
    pub async fn flush(&self) -> Result<(), String> {
        let (reply, flushed) = oneshot::channel();
        self.sender.try_send(reply).map_err(|_| "too many wait for the disk".to_owned())?;
        flushed.await.unwrap_or_else(|_| Err("the flusher has stopped".into()))
    }
}

async fn work<Fut>(mut receiver: mpsc::Receiver<Waiting>, flush: impl Fn() -> Fut)
where
    Fut: Future<Output = Result<(), String>>,
{
    while let Some(first) = receiver.recv().await {
        // Whoever comes after this waits for the next one: it may have committed after this one began.
        let mut waiting = vec![first];
        while let Ok(next) = receiver.try_recv() {
            waiting.push(next);
        }
        let flushed = flush().await;
        for reply in waiting {
            // A batch whose worker is gone has nobody to tell.
            reply.send(flushed.clone()).ok();
        }
    }
}

async fn flush_in_time(lane: &Lane) -> Result<(), String> {
    match tokio::time::timeout(MAX_WAIT, flush(lane)).await {
        Ok(flushed) => flushed.map_err(|error| error.to_string()),
        Err(_) => Err("the disk of the database did not answer in time".into()),
    }
}

async fn flush(lane: &Lane) -> Result<(), sqlx::Error> {
    let mut conn = lane.take().await?;
    sqlx::raw_sql(FLUSH).execute(&mut *conn).await?;
    lane.keep(conn);
    Ok(())
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
        let flusher = Flusher::start_with(&Handle::current(), move || {
            let gate = Arc::clone(&gate);
            *count.lock().expect("no panic") += 1;
            async move {
                gate.acquire().await.expect("open").forget();
                Ok(())
            }
        });
        let begun = || *begun.lock().expect("no panic");
        let mut first = std::pin::pin!(flusher.flush());
        assert!(futures_util::poll!(&mut first).is_pending());
        while begun() < 1 {
            tokio::task::yield_now().await;
        }
        let mut second = std::pin::pin!(flusher.flush());
        let mut third = std::pin::pin!(flusher.flush());
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
    async fn a_flush_that_fails_fails_for_all_that_wait_and_the_next_is_tried_again() {
        let tries = Arc::new(Mutex::new(0));
        let flusher = Flusher::start_with(&Handle::current(), move || {
            *tries.lock().expect("no panic") += 1;
            let first = *tries.lock().expect("no panic") == 1;
            async move { if first { Err("away".to_owned()) } else { Ok(()) } }
        });
        let away = Err("away".to_owned());
        assert_eq!(tokio::join!(flusher.flush(), flusher.flush()), (away.clone(), away));
        assert_eq!(flusher.flush().await, Ok(()));
    }
}
