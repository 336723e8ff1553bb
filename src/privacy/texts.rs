//! Keeping texts: beside calls, bounded, and never in their way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::store;
use super::text::{Text, seal};
use crate::base::ids::OrgId;
use crate::vault::{Vault, VaultError};

/// Texts that wait to be written; each is at most half a megabyte. One more is not kept, and counted.
const MAX_WAITING: usize = 128;
/// Written at once, so that calls always find connections.
const MAX_WRITING: usize = 2;
/// Tries to write one.
const MAX_TRIES: u32 = 3;
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// One try takes no longer.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Where texts of calls are kept. Cloning it is cheap; the default keeps nothing.
#[derive(Clone, Default)]
pub struct Texts(Option<Arc<Inner>>);

struct Inner {
    pool: PgPool,
    vault: Vault,
    tasks: TaskTracker,
    handle: Handle,
    waiting: Arc<Semaphore>,
    writing: Semaphore,
    /// Calls whose texts are not kept, and nobody has written that down yet.
    dropped: Mutex<BTreeMap<OrgId, u64>>,
}

/// Why a text is not written.
#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error(transparent)]
    Failed(#[from] VaultError),
    #[error("its call has no row: it was not settled in the database, or is deleted")]
    NoCall,
}

impl Texts {
    /// `tasks` are waited for when the process stops.
    #[must_use]
    pub fn new(pool: PgPool, vault: Vault, tasks: TaskTracker, handle: Handle) -> Texts {
        let waiting = Arc::new(Semaphore::new(MAX_WAITING));
        let (writing, dropped) = (Semaphore::new(MAX_WRITING), Mutex::default());
        Texts(Some(Arc::new(Inner { pool, vault, tasks, handle, waiting, writing, dropped })))
    }

    /// Takes the texts of a call. It does not wait, and nothing of the call depends on what becomes of them.
    pub fn keep(&self, text: Text) {
        let Some(inner) = &self.0 else { return };
        let Ok(place) = Arc::clone(&inner.waiting).try_acquire_owned() else {
            inner.count_dropped(text.org, 1);
            return;
        };
        let own = Arc::clone(inner);
        inner.tasks.spawn_on(
            async move {
                own.write(text).await;
                drop(place);
            },
            &inner.handle,
        );
    }

    /// Writes down whose texts were not kept, for the page of their organization.
    ///
    /// # Errors
    /// Database errors only; what could not be written down waits for the next time.
    pub async fn note_dropped(&self) -> Result<(), sqlx::Error> {
        let Some(inner) = &self.0 else { return Ok(()) };
        if inner.dropped().is_empty() {
            return Ok(());
        }
        let mut conn = inner.pool.acquire().await?;
        let taken: Vec<(OrgId, u64)> = std::mem::take(&mut *inner.dropped()).into_iter().collect();
        let noted = store::add_dropped(&mut conn, &taken).await;
        if noted.is_err() {
            for (org, calls) in taken {
                *inner.dropped().entry(org).or_default() += calls;
            }
        }
        noted
    }
}

impl Inner {
    fn dropped(&self) -> std::sync::MutexGuard<'_, BTreeMap<OrgId, u64>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_dropped(&self, org: OrgId, calls: u64) {
        counter!("farebox_texts_dropped_total").increment(calls);
        *self.dropped().entry(org).or_default() += calls;
    }

    async fn write(&self, text: Text) {
        let Ok(_turn) = self.writing.acquire().await else { return };
        let text = Arc::new(text);
        for tried in 1..=MAX_TRIES {
            let why = match timeout(MAX_WAIT, self.try_write(&text)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the database did not answer in time".to_owned(),
            };
            if tried == MAX_TRIES {
                self.count_dropped(text.org, 1);
                tracing::warn!(call = %text.call, why, "the texts of a call are not kept");
                return;
            }
            sleep(TRY_AGAIN).await;
        }
    }

    async fn try_write(&self, text: &Arc<Text>) -> Result<(), NotWritten> {
        let mut conn = self.pool.acquire().await.map_err(VaultError::from)?;
        // An organization that was erased meanwhile has none, and nothing more is kept of it.
        let Some(key) = self.vault.find(&mut conn, text.org).await? else { return Ok(()) };
        drop(conn);
        let (own, with) = (Arc::clone(text), key.clone());
        let sealed = self.handle.spawn_blocking(move || seal(&with, &own)).await;
        let sealed = sealed.map_err(|error| VaultError::from(sqlx::Error::Protocol(error.to_string())))?;
        let sealed = sealed.map_err(VaultError::from)?;
        let mut conn = self.pool.acquire().await.map_err(VaultError::from)?;
        let found = store::insert_text(&mut conn, text, &sealed, key.id).await.map_err(VaultError::from)?;
        if found { Ok(()) } else { Err(NotWritten::NoCall) }
    }
}
