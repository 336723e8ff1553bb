//! Whoever holds a key, without an account: what they may see of it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::key::{Key, KeyState};
use crate::activity::{self, LogFilter, LogPage};
use crate::base::ids::CallId;
use crate::ledger::{self, MeterState};

/// A key, what is left of it, and a page of its calls.
pub struct Held {
    pub meter: Option<MeterState>,
    pub calls: LogPage,
    /// At most one more than [`activity::MAX_COUNTED`].
    pub count: i64,
}

/// What its holder sees of a key. Every question names the key, and `conn` sees nothing of other organizations.
///
/// # Errors
/// Database errors only.
pub async fn look(conn: &mut PgConnection, key: &Key, before: Option<CallId>, limit: u16) -> Result<Held, sqlx::Error> {
    let own = LogFilter { key: Some(key.id), before, ..LogFilter::default() };
    let meters = ledger::meter_states(conn, key.org, &[key.meter()]).await?;
    let calls = activity::log(conn, key.org, &own, limit).await?;
    let count = activity::count_of_key(conn, key.org, key.id).await?;
    Ok(Held { meter: meters.into_iter().next(), calls, count })
}

/// Why calls with a key are refused at the moment; empty while they are not.
#[must_use]
pub fn refused(key: &Key, stopped: bool, now: DateTime<Utc>) -> &'static str {
    match key.state(now) {
        KeyState::Disabled => "This key is disabled. Calls with it are refused.",
        KeyState::Expired => "This key has expired. Calls with it are refused.",
        KeyState::Unclaimed => "This key has no secret yet.",
        KeyState::Active if stopped => "All keys of the organization are stopped at the moment. Calls are refused.",
        KeyState::Active => "",
    }
}
