//! Admission: the first phase of a call.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::runtime::Handle;

use super::decide;
use super::group::{GroupCommit, GroupError};
use super::hold::{Granted, Refused, Want};
use super::store;
use super::unheard::{self, Unheard};
use crate::base::ids::{CallId, OrgId};
use crate::db::Lane;

/// Calls admitted in one transaction.
const MAX_BATCH: usize = 256;
/// A caller hears `Unavailable` after this, whatever the database does.
const MAX_WAIT: Duration = Duration::from_millis(2_800);

#[derive(Clone, Copy, Debug)]
pub struct DeskConfig {
    /// A hold whose call did not end after so long is swept.
    pub hold_ttl: Duration,
}

/// Where calls ask for their hold.
#[derive(Clone)]
pub struct Desk {
    group: GroupCommit<Want, Result<Granted, Refused>>,
    unheard: Unheard,
}

impl Desk {
    /// `pool` may commit without waiting for the disk: a hold lost in a database crash loses no money.
    #[must_use]
    pub fn start(handle: &Handle, pool: PgPool, config: DeskConfig) -> Desk {
        let (releases, handle_of_releases) = (pool.clone(), handle.clone());
        let unheard = Unheard::start(handle, pool.clone());
        let (unheard_of, unheard_there) = (unheard.clone(), unheard.clone());
        let counter = Arc::new(Counter { lane: Lane::new(pool.clone()), pool, config, unheard: unheard_there });
        let run = move |wants: Arc<Vec<Want>>| {
            let counter = Arc::clone(&counter);
            async move { std::future::ready(counter.reserve_all(&wants).await) }
        };
        let orphaned = move |want: &Want, result: Result<Granted, Refused>| {
            if result.is_ok() {
                let (pool, org, call, unheard) = (releases.clone(), want.org, want.call, unheard_of.clone());
                handle_of_releases.spawn(async move { release_orphan(&pool, org, call, &unheard).await });
            }
        };
        Desk { group: GroupCommit::start(handle, MAX_BATCH, run, orphaned), unheard }
    }

    /// Holds money for a call on its organization and all its meters, or on none.
    ///
    /// # Errors
    /// [`Refused`] says which limit stopped it; `Unavailable` within three seconds when the database is away.
    pub async fn reserve(&self, want: Want) -> Result<Granted, Refused> {
        let org = want.org;
        let asking = self.unheard.asking(org, want.call);
        let answer = tokio::time::timeout(MAX_WAIT, self.group.submit(org, want)).await;
        if matches!(answer, Ok(Ok(_) | Err(GroupError::Full))) {
            asking.heard();
        }
        match answer {
            Ok(Ok(result)) => result,
            Ok(Err(GroupError::Full | GroupError::Stopped)) | Err(_) => Err(Refused::Unavailable),
        }
    }
}

/// Why a batch was not admitted, as far as we heard.
struct Failed {
    error: sqlx::Error,
    /// Whether it may have been admitted all the same: the answer can be lost, and one of the database, or of what stands before
    /// it, may be that it goes away.
    asked: bool,
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Failed {
        Failed { error, asked: true }
    }
}

/// Where batches are admitted.
struct Counter {
    lane: Lane,
    pool: PgPool,
    config: DeskConfig,
    unheard: Unheard,
}

impl Counter {
    async fn reserve_all(&self, wants: &[Want]) -> Vec<Result<Granted, Refused>> {
        let asked = match tokio::time::timeout(MAX_WAIT, self.try_reserve_all(wants)).await {
            Ok(Ok(results)) => return results,
            Ok(Err(Failed { error, asked })) => {
                tracing::error!(%error, calls = wants.len(), "no call of this batch was admitted");
                asked
            }
            Err(_) => {
                tracing::error!(calls = wants.len(), "the database did not admit a batch in time");
                // It may come to the statement later.
                true
            }
        };
        if asked {
            self.unheard.add(wants.iter().map(|want| (want.org, want.call)));
        }
        wants.iter().map(|_| Err(Refused::Unavailable)).collect()
    }

    async fn try_reserve_all(&self, wants: &[Want]) -> Result<Vec<Result<Granted, Refused>>, Failed> {
        let full: Vec<(&Want, Granted)> =
            wants.iter().map(|want| (want, Granted { amount: want.most, byok: want.byok.most })).collect();
        let mut conn = self.lane.take().await.map_err(|error| Failed { error, asked: false })?;
        let fits = store::hold_all(&mut conn, &full, self.config.hold_ttl).await?;
        self.lane.keep(conn);
        if fits {
            return Ok(full.into_iter().map(|(_, granted)| Ok(granted)).collect());
        }
        Ok(self.one_by_one(wants).await?)
    }

    /// Admits those of a batch for whom there is enough, in order of arrival.
    async fn one_by_one(&self, wants: &[Want]) -> Result<Vec<Result<Granted, Refused>>, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let mut books = store::lock_books(&mut tx, wants).await?;
        let results: Vec<_> = wants.iter().map(|want| decide::admit(&mut books, want)).collect();
        let held: Vec<(&Want, Granted)> =
            wants.iter().zip(&results).filter_map(|(want, result)| result.as_ref().ok().map(|g| (want, *g))).collect();
        if !held.is_empty() && !store::hold_all(&mut tx, &held, self.config.hold_ttl).await? {
            let what = "the database refused holds that the rules admitted on locked rows";
            return Err(sqlx::Error::Protocol(what.into()));
        }
        tx.commit().await?;
        Ok(results)
    }
}

async fn release_orphan(pool: &PgPool, org: OrgId, call: CallId, unheard: &Unheard) {
    if let Err(error) = unheard::release(pool, [(org, call)]).await {
        tracing::warn!(%error, %call, "a hold that nobody waits for is released later");
        unheard.add([(org, call)]);
    }
}
