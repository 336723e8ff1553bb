//! Before and after a test of a key.

use std::time::Duration;

use sqlx::PgConnection;

use super::store;
use crate::base::ids::OrgId;

/// Between two tests of one key: each is a real call to somebody else's machine.
const EVERY: Duration = Duration::from_secs(5);

/// Whether a key may be tried now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    Now,
    /// It was tried a moment ago.
    Later,
}

/// Takes the turn of a test, in one statement, so that two who press the button at once make one call.
///
/// # Errors
/// Database errors only.
pub async fn begin_test(conn: &mut PgConnection, org: OrgId, provider: &str) -> Result<Turn, sqlx::Error> {
    let seconds = i32::try_from(EVERY.as_secs()).unwrap_or(i32::MAX);
    let taken = store::claim_test(conn, org, provider, seconds).await?;
    Ok(if taken { Turn::Now } else { Turn::Later })
}

/// Notes how a test went; `why` is empty when it went well.
///
/// # Errors
/// Database errors only.
pub async fn note_test(conn: &mut PgConnection, org: OrgId, provider: &str, why: &str) -> Result<(), sqlx::Error> {
    store::note_test(conn, org, provider, why).await
}
