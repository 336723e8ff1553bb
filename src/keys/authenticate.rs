//! From the text of a key to who calls, mostly without the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use sqlx::{PgConnection, PgPool};

use super::caller::Caller;
use super::key::Key;
use super::plain_key::PlainKey;
use super::store::{self, Found};
use crate::base::secret::Digest;
use crate::db::listen::Hearing;

const MAX_CACHED: u64 = 100_000;
/// The backstop behind the notifications.
const MAX_AGE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Unknown, mistyped, deleted or expired: all one answer.
    #[error("no such key")]
    Unknown,
    #[error("the key is disabled")]
    Disabled,
    #[error("the organization is frozen")]
    Frozen,
    /// An operator froze the account of whoever made it, or made what issued it.
    #[error("the account that made the key is frozen")]
    MakerFrozen,
    /// Somebody stopped every key of the organization.
    #[error("all keys of the organization are stopped")]
    Stopped,
    /// It was asked to delete the organization.
    #[error("the organization is being deleted")]
    Closing,
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
}

/// What this process remembers of keys, by the full digest. It forgets a key when it hears of a change,
/// and remembers nothing while it cannot hear.
#[derive(Clone)]
pub struct KeyCache {
    pool: PgPool,
    hearing: Hearing,
    found: Cache<Digest, Arc<Found>>,
    /// Counts what was forgotten, so that a lookup that began before a change does not outlive it.
    forgotten: Arc<AtomicU64>,
}

impl KeyCache {
    #[must_use]
    pub fn new(pool: PgPool, hearing: Hearing) -> KeyCache {
        let found = Cache::builder().max_capacity(MAX_CACHED).time_to_live(MAX_AGE).build();
        KeyCache { pool, hearing, found, forgotten: Arc::default() }
    }

    /// # Errors
    /// See [`AuthError`].
    pub async fn authenticate(&self, text: &str, now: DateTime<Utc>) -> Result<Arc<Found>, AuthError> {
        let found = self.find(text).await?;
        if found.caller.expires_at.is_some_and(|at| at <= now) {
            return Err(AuthError::Unknown);
        }
        if found.disabled {
            return Err(AuthError::Disabled);
        }
        if found.frozen {
            return Err(AuthError::Frozen);
        }
        if found.maker_frozen {
            return Err(AuthError::MakerFrozen);
        }
        if found.closing {
            return Err(AuthError::Closing);
        }
        if found.stopped {
            return Err(AuthError::Stopped);
        }
        Ok(found)
    }

    /// What stands behind the text of a key, also where calls with it are refused at the moment.
    ///
    /// # Errors
    /// `Unknown` and `Unavailable`.
    pub async fn find(&self, text: &str) -> Result<Arc<Found>, AuthError> {
        let plain = PlainKey::parse(text).ok_or(AuthError::Unknown)?;
        let digest = plain.digest();
        match self.found.get(&digest).filter(|_| self.hearing.is_on()) {
            Some(found) => Ok(found),
            // In a box: it is rare, and a future has room for all that it may come to wait for.
            None => Box::pin(self.look_up(&digest)).await,
        }
    }

    async fn look_up(&self, digest: &Digest) -> Result<Arc<Found>, AuthError> {
        let before = self.forgotten.load(Ordering::Acquire);
        let mut conn = self.pool.acquire().await.map_err(AuthError::Unavailable)?;
        let found = store::find_by_digest(&mut conn, digest).await.map_err(AuthError::Unavailable)?;
        let found = Arc::new(found.ok_or(AuthError::Unknown)?);
        if self.hearing.is_on() {
            self.found.insert(*digest, found.clone());
            if self.forgotten.load(Ordering::Acquire) != before {
                self.found.invalidate(digest);
            }
        }
        Ok(found)
    }

    /// Forgets one key, by the hex digest that the notification carries.
    pub fn forget(&self, hex_digest: &str) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        if let Some(digest) = hex::decode(hex_digest).ok().and_then(|bytes| Digest::from_bytes(&bytes)) {
            self.found.invalidate(&digest);
        }
    }

    pub fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.found.invalidate_all();
    }
}

/// Who calls with a key that is known without its text, for calls that a member makes from a page with a key of their
/// own. `None` for one that can make none now.
///
/// # Errors
/// Database errors only.
pub async fn caller(conn: &mut PgConnection, key: &Key, now: DateTime<Utc>) -> Result<Option<Caller>, sqlx::Error> {
    let Some(digest) = key.digest else { return Ok(None) };
    let Some(found) = store::find_by_digest(conn, &digest).await? else { return Ok(None) };
    let ended = found.caller.expires_at.is_some_and(|at| at <= now);
    let refused = found.disabled || found.frozen || found.maker_frozen || found.closing || found.stopped;
    Ok((!ended && !refused).then_some(found.caller))
}

impl std::fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyCache")
    }
}
