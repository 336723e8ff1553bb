//! What this node remembers and others change: forgotten, or read again, as soon as the database tells of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::accounts::SignUpRules;
use crate::base::seal::Sealer;
use crate::catalog::{self, Shelf};
use crate::console;
use crate::db::listen::Heard;
use crate::gateway::UpstreamKeys;
use crate::keys::KeyCache;
use crate::presets::{self, Memory};
use crate::topups::processors::Processors;

/// For each change: an hour, where each try fails at once.
const MAX_TRIES: u32 = 3_600;
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long one try may take: a connection that is cut off answers nothing.
const READ_WITHIN: Duration = Duration::from_secs(20);

pub(super) const CHANNELS: [&str; 5] =
    ["key_changed", "org_changed", presets::CHANGED_CHANNEL, catalog::CHANGED_CHANNEL, console::rules::CHANGED_CHANNEL];

/// What is remembered.
pub(super) struct Remembered {
    pub keys: KeyCache,
    pub memory: Memory,
    pub shelf: Shelf,
    pub upstream_keys: UpstreamKeys,
    pub sealer: Sealer,
    pub pool: PgPool,
    pub rules: SignUpRules,
    pub processors: Processors,
}

/// Forgets what other nodes changed.
pub(super) struct Watcher {
    keys: KeyCache,
    memory: Memory,
    catalog: Arc<Notify>,
    rules: Arc<Notify>,
}

impl Watcher {
    pub(super) fn start(handle: &Handle, all: Remembered) -> Watcher {
        let Remembered { keys, memory, shelf, upstream_keys, sealer, pool, rules, processors } = all;
        let general = pool.clone();
        let catalog = reader(handle, "the catalog", move || {
            let (shelf, keys, sealer, pool) = (shelf.clone(), upstream_keys.clone(), sealer.clone(), general.clone());
            async move {
                shelf.reload(&pool).await?;
                keys.replace(catalog::upstream_keys(&mut *pool.acquire().await?, &sealer).await?);
                Ok(())
            }
        });
        let rules = reader(handle, "fees and the sign-up policy", move || {
            let (pool, rules, processors) = (pool.clone(), rules.clone(), processors.clone());
            async move { Ok(console::rules::reload(&pool, &rules, &processors).await?) }
        });
        Watcher { keys, memory, catalog, rules }
    }

    pub(super) fn hear(&self, heard: Heard) {
        match heard {
            Heard::Message { channel, payload } if channel == "key_changed" => self.keys.forget(&payload),
            Heard::Message { channel, .. } if channel == "org_changed" => self.keys.forget_all(),
            Heard::Message { channel, payload } if channel == presets::CHANGED_CHANNEL => self.memory.forget(&payload),
            Heard::Message { channel, .. } if channel == console::rules::CHANGED_CHANNEL => self.rules.notify_one(),
            Heard::Message { .. } => self.catalog.notify_one(),
            Heard::Gap => {
                self.keys.forget_all();
                self.memory.forget_all();
                self.catalog.notify_one();
                self.rules.notify_one();
            }
        }
    }
}

/// Reads again after each change until it was read, for nobody tells of a change twice: a price that was raised, or a key that was
/// withdrawn, would go on here. One after another, so that of two changes the later one stays; those that come while one is read are
/// one more.
fn reader<Fut>(handle: &Handle, what: &'static str, read: impl Fn() -> Fut + Send + Sync + 'static) -> Arc<Notify>
where
    Fut: Future<Output = anyhow::Result<()>> + Send,
{
    let changed = Arc::new(Notify::new());
    let heard = Arc::clone(&changed);
    handle.spawn(async move {
        loop {
            heard.notified().await;
            read_again(what, &read).await;
        }
    });
    changed
}

async fn read_again<Fut>(what: &str, read: impl Fn() -> Fut)
where
    Fut: Future<Output = anyhow::Result<()>>,
{
    for _ in 0..MAX_TRIES {
        // What panics once, over a row that nobody thought of, may be mended by the next change; the reader must be there then.
        let tried = AssertUnwindSafe(tokio::time::timeout(READ_WITHIN, read())).catch_unwind();
        let error = match tried.await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => error,
            Ok(Err(late)) => late.into(),
            Err(_) => anyhow::anyhow!("the reader panicked"),
        };
        tracing::warn!(%error, "{what} could not be read again; the last stays until it is");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    tracing::error!(
        "{what} could not be read in {MAX_TRIES} tries; the last stays until the next change, or a restart"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_fails_or_panics_is_read_again_until_it_was_read() {
        let (tries, done) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (tried, read_now) = (Arc::clone(&tries), Arc::clone(&done));
        let read = move || {
            let (number, read_now) = (tried.fetch_add(1, Ordering::Relaxed), Arc::clone(&read_now));
            async move {
                match number {
                    0 => anyhow::bail!("no database"),
                    1 | 3 => panic!("a row that nobody thought of"),
                    _ => read_now.notify_one(),
                }
                Ok(())
            }
        };
        let changed = reader(&Handle::current(), "the catalog", read);
        for expected in [3, 5] {
            changed.notify_one();
            tokio::time::timeout(AGAIN_AFTER * 20, done.notified()).await.expect("read in the end");
            assert_eq!(tries.load(Ordering::Relaxed), expected);
        }
    }
}
