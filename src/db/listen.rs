//! Hearing what other nodes changed. A node that cannot hear must not trust what it remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;

use super::pool;

const RETRY_AFTER: Duration = Duration::from_millis(250);
/// A connection that died without a word is noticed after this.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// What the listener tells its owner.
#[derive(Debug)]
pub enum Heard {
    /// A message on a channel.
    Message { channel: String, payload: String },
    /// The connection was lost or is new: anything may have changed unheard.
    Gap,
}

/// Whether this process hears changes right now.
#[derive(Clone, Debug, Default)]
pub struct Hearing(Arc<AtomicBool>);

impl Hearing {
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Listens until the pool is closed, and calls `heard` for every message and every gap.
pub async fn listen(pool: PgPool, channels: Vec<&'static str>, hearing: Hearing, heard: impl Fn(Heard) + Send) {
    loop {
        let listening = pool.close_event().do_until(listen_once(&pool, &channels, &hearing, &heard)).await;
        if let Err(error) = listening.and_then(|ended| ended) {
            if pool.is_closed() {
                return;
            }
            tracing::warn!(%error, "not hearing changes from the database; caches are off until it is back");
        }
        hearing.0.store(false, Ordering::Release);
        heard(Heard::Gap);
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

async fn listen_once(
    pool: &PgPool,
    channels: &[&'static str],
    hearing: &Hearing,
    heard: &(impl Fn(Heard) + Send),
) -> Result<(), sqlx::Error> {
    // From a pool of its own: a listener that is dropped says good-bye without a deadline, and would keep its place that long.
    let own = pool::of(1).acquire_timeout(PROBE_EVERY).connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.eager_reconnect(false);
    let listening = listener.listen_all(channels.iter().copied());
    tokio::time::timeout(PROBE_EVERY, listening).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    heard(Heard::Gap);
    hearing.0.store(true, Ordering::Release);
    loop {
        match tokio::time::timeout(PROBE_EVERY, listener.try_recv()).await {
            Ok(Ok(Some(message))) => {
                heard(Heard::Message { channel: message.channel().to_owned(), payload: message.payload().to_owned() })
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let probe = sqlx::Executor::execute(&mut listener, "select 1");
                tokio::time::timeout(PROBE_EVERY, probe).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
            }
        }
    }
}
