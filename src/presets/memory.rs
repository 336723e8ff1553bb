//! What this process remembers of settings and presets, so that a call does not ask the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::defaults::Defaults;
use super::store;
use crate::base::ids::OrgId;
use crate::db::listen::Hearing;
use crate::routing::Fee;
use crate::vault::Vault;
use crate::{integrations, privacy};

/// On which the database tells whose settings or presets changed.
pub const CHANGED_CHANNEL: &str = "defaults_changed";

/// Bytes of all organizations together, roughly.
const MAX_WEIGHT: u64 = 128 * 1_024 * 1_024;
/// The backstop behind the notifications.
const MAX_AGE: Duration = Duration::from_secs(30);

/// What the operator set for keys of an organization's own, and for those whose texts are kept.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Opens the keys.
    pub vault: Vault,
    pub fee: Fee,
    /// A part of one.
    pub discount: Decimal,
}

/// Cloning it is cheap; clones look at the same memory.
#[derive(Clone)]
pub struct Memory {
    pool: PgPool,
    terms: Terms,
    hearing: Hearing,
    found: Cache<OrgId, Arc<Defaults>>,
    /// Counts what was forgotten, so that a lookup that began before a change does not outlive it.
    forgotten: Arc<AtomicU64>,
}

impl Memory {
    #[must_use]
    pub fn new(pool: PgPool, hearing: Hearing, terms: Terms) -> Memory {
        let found = Cache::builder()
            .max_capacity(MAX_WEIGHT)
            .weigher(|_: &OrgId, defaults: &Arc<Defaults>| defaults.weight())
            .time_to_live(MAX_AGE)
            .build();
        Memory { pool, terms, hearing, found, forgotten: Arc::default() }
    }

    /// # Errors
    /// Database errors only.
    pub async fn of(&self, org: OrgId) -> Result<Arc<Defaults>, sqlx::Error> {
        if let Some(found) = self.found.get(&org).filter(|_| self.hearing.is_on()) {
            return Ok(found);
        }
        // In a box: it is rare, and a future has room for all that it may come to wait for.
        Box::pin(self.look_up(org)).await
    }

    async fn look_up(&self, org: OrgId) -> Result<Arc<Defaults>, sqlx::Error> {
        let before = self.forgotten.load(Ordering::Acquire);
        let mut conn = self.pool.acquire().await?;
        let found = Arc::new(self.read(&mut conn, org).await?);
        if self.hearing.is_on() {
            self.found.insert(org, Arc::clone(&found));
            if self.forgotten.load(Ordering::Acquire) != before {
                self.found.invalidate(&org);
            }
        }
        Ok(found)
    }

    /// The same, asked of the database now: for pages, which come right after a change. Settings, presets, privacy and own
    /// keys are those of one moment after another: whoever changes one of them is heard.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn read(&self, conn: &mut PgConnection, org: OrgId) -> Result<Defaults, sqlx::Error> {
        let mut found = store::defaults(conn, org).await?;
        let privacy = privacy::settings(conn, org).await?;
        found.policy.privacy = privacy.privacy();
        found.policy.own = integrations::open_all(conn, &self.terms.vault, org, self.terms.fee).await?;
        found.log = privacy.log(self.terms.discount);
        Ok(found)
    }

    /// Forgets one organization, by the number that the notification carries.
    pub fn forget(&self, org: &str) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        if let Ok(org) = Uuid::try_parse(org) {
            self.found.invalidate(&OrgId(org));
        }
    }

    pub fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.found.invalidate_all();
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}
