//! How often a key may call: so many calls begin in one minute of the clock, on all nodes together.
//!
//! The count is a row in Postgres, so it is exact whoever asks. Calls that arrive together are counted together, and
//! only those of keys with such a limit. A key that used up its minute is refused from memory until the next one begins.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::caller::Caller;
use super::store::{self, Asked, Begun};
use crate::base::ids::{KeyId, OrgId};
use crate::ledger::GroupCommit;

/// Calls counted in one transaction.
const MAX_BATCH: usize = 256;
/// A caller hears `Unavailable` after this, whatever the database does.
const MAX_WAIT: Duration = Duration::from_millis(2_500);
/// Keys whose used-up minute a process remembers. The database knows of the others.
const MAX_REMEMBERED: u64 = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// Why a call does not begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PaceError {
    #[error("the key began as many calls as it may in this minute")]
    TooMany {
        per_minute: u32,
        /// Seconds until it may go on.
        wait: u32,
    },
    #[error("the database is unavailable")]
    Unavailable,
}

#[derive(Clone, Copy)]
struct Ask {
    org: OrgId,
    key: KeyId,
    most: u32,
}

/// Counts calls. Cloning it is cheap.
#[derive(Clone)]
pub struct Pace {
    group: GroupCommit<Ask, Result<(), PaceError>>,
    /// Until when a key is refused, and at which limit that was found.
    full: Cache<KeyId, (Instant, u32)>,
}

impl Pace {
    /// `pool` may commit without waiting for the disk.
    #[must_use]
    pub fn start(handle: &Handle, pool: PgPool) -> Pace {
        let run = move |asks: Arc<Vec<Ask>>| {
            let pool = pool.clone();
            async move { std::future::ready(begin_all(&pool, &asks).await) }
        };
        Pace {
            // A call that was counted and whose caller left has begun all the same.
            group: GroupCommit::start(handle, MAX_BATCH, run, |_, _| {}),
            full: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(MINUTE).build(),
        }
    }

    /// Counts one call of a key. Costs nothing for a key without such a limit.
    ///
    /// # Errors
    /// See [`PaceError`].
    pub async fn begin(&self, caller: &Caller) -> Result<(), PaceError> {
        match caller.rules.per_minute {
            None => Ok(()),
            // In a box, so that the calls of other keys do not carry room for it.
            Some(limit) => Box::pin(self.count_one(caller.org, caller.key, limit.get())).await,
        }
    }

    async fn count_one(&self, org: OrgId, key: KeyId, most: u32) -> Result<(), PaceError> {
        if let Some((until, at)) = self.full.get(&key)
            && at == most
        {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                let wait = u32::try_from(left.as_secs()).unwrap_or(0) + 1;
                return Err(PaceError::TooMany { per_minute: most, wait });
            }
        }
        let asked = self.group.submit(org, Ask { org, key, most });
        let answer = match tokio::time::timeout(MAX_WAIT, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(PaceError::Unavailable),
        };
        if let Err(PaceError::TooMany { wait, .. }) = answer {
            // The database's minute began a moment ago at most, so this never ends before it does by more than a second.
            let left = Duration::from_secs(wait.saturating_sub(1).into());
            self.full.insert(key, (Instant::now() + left, most));
        }
        answer
    }
}

async fn begin_all(pool: &PgPool, asks: &[Ask]) -> Vec<Result<(), PaceError>> {
    // Of two limits that one batch has seen of a key, because it was changed just now, the lower one counts.
    let mut wanted: BTreeMap<(OrgId, KeyId), Asked> = BTreeMap::new();
    for ask in asks {
        let first = Asked { org: ask.org, key: ask.key, most: ask.most, calls: 0 };
        let one = wanted.entry((ask.org, ask.key)).or_insert(first);
        one.calls += 1;
        one.most = one.most.min(ask.most);
    }
    let wanted: Vec<Asked> = wanted.into_values().collect();
    match tokio::time::timeout(MAX_WAIT, count(pool, &wanted)).await {
        Ok(Ok(begun)) => share_out(asks, &begun),
        failed => {
            let error = failed.err().map_or_else(|| "an error".to_owned(), |late| late.to_string());
            tracing::error!(error, calls = asks.len(), "calls of keys with a limit a minute were not counted");
            asks.iter().map(|_| Err(PaceError::Unavailable)).collect()
        }
    }
}

async fn count(pool: &PgPool, wanted: &[Asked]) -> Result<Vec<Begun>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let mut begun = store::begin_calls(&mut conn, wanted).await?;
    if begun.len() < wanted.len() {
        let missing = |asked: &&Asked| begun.iter().all(|one| one.key != asked.key);
        let new: Vec<Asked> = wanted.iter().filter(missing).copied().collect();
        store::prepare(&mut conn, &new).await?;
        begun.extend(store::begin_calls(&mut conn, &new).await?);
    }
    Ok(begun)
}

/// In order of arrival.
fn share_out(asks: &[Ask], begun: &[Begun]) -> Vec<Result<(), PaceError>> {
    let mut left: HashMap<KeyId, (u32, u32)> = begun.iter().map(|one| (one.key, (one.granted, one.wait))).collect();
    asks.iter()
        .map(|ask| match left.get_mut(&ask.key) {
            None => Err(PaceError::Unavailable),
            Some((0, wait)) => Err(PaceError::TooMany { per_minute: ask.most, wait: (*wait).max(1) }),
            Some((granted, _)) => {
                *granted -= 1;
                Ok(())
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_came_first_begins() {
        let (org, one, other) = (OrgId::fresh(), KeyId::fresh(), KeyId::fresh());
        let ask = |key| Ask { org, key, most: 2 };
        let begun = [Begun { key: one, granted: 2, wait: 30 }, Begun { key: other, granted: 1, wait: 30 }];
        let answers = share_out(&[ask(one), ask(other), ask(one), ask(one), ask(other)], &begun);
        let refused = Err(PaceError::TooMany { per_minute: 2, wait: 30 });
        assert_eq!(answers, [Ok(()), Ok(()), Ok(()), refused, refused]);
    }
}
