//! The job that erases what calls tell of an erased person: the program and the page from which they called, and the name of
//! the app where it is nothing but the page's host. A name that a program gives itself stays, and so do the rows, for the
//! books need them.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::store;
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::jobs::{IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::privacy;

/// Calls that ran when the person was erased are settled by then, or swept.
pub const CALLS_END_WITHIN_SECONDS: i32 = 60 * 60;
/// Keys that are read at once.
const KEYS: i64 = 200;
/// Calls of one transaction, so that settlements never wait long for one.
const CALLS: i64 = 1_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EraseCalls {
    pub person: PersonId,
}

impl EraseCalls {
    #[must_use]
    pub fn key(&self) -> String {
        format!("erase_calls:{}", self.person)
    }
}

impl TaskHandler for EraseCalls {
    const IDENTIFIER: &'static str = "erase_calls";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        erase(pool, self.person).await.map_err(|error| {
            tracing::error!(person = %self.person, %error, "calls of an erased account were not all erased yet");
            error.to_string()
        })
    }
}

/// Run again it does nothing more, so a process that dies in it does no harm.
async fn erase(pool: &PgPool, person: PersonId) -> Result<(), sqlx::Error> {
    let mut after = None;
    loop {
        let keys = store::keys_of(&mut *pool.acquire().await?, person, after, KEYS).await?;
        // Ids only grow, so both loops end.
        let Some(last) = keys.last() else { return Ok(()) };
        after = Some(*last);
        for (org, key) in keys {
            erase_key(pool, org, key).await?;
        }
    }
}

async fn erase_key(pool: &PgPool, org: OrgId, key: KeyId) -> Result<(), sqlx::Error> {
    privacy::erase_of_key(&mut *pool.acquire().await?, org, key).await?;
    let mut after = None;
    loop {
        let last = store::erase_calls(&mut *pool.acquire().await?, org, key, after, CALLS).await?;
        if last.is_none() {
            return store::forget_empty_hours(&mut *pool.acquire().await?, org, key).await;
        }
        after = last;
    }
}
