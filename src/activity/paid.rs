//! The calls that one usage transfer paid for.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::store;
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId, TransferId};

/// A call that a transfer paid for.
#[derive(Clone, Debug)]
pub struct PaidCall {
    pub id: CallId,
    pub at: DateTime<Utc>,
    pub model: String,
    pub provider: String,
    pub cost: Usd,
}

/// How far before a transfer its calls are looked for, one after the other: nearly all began minutes before, a few hours, and
/// what waited in a spool for the database days. No table of calls is gone through for the first of them.
const BEFORE: [TimeDelta; 3] = [TimeDelta::minutes(20), TimeDelta::days(1), TimeDelta::days(35)];
/// The id of a call carries the time of the process that made it; the transfer that of the database.
const APART: TimeDelta = TimeDelta::minutes(5);

/// The calls that the usage transfer of `amount` at `at` paid for, after one of them, in the order of their ids. All of
/// them together cost that amount, unless some were deleted because their time is over.
///
/// # Errors
/// Database errors only.
pub async fn paid_calls(
    conn: &mut PgConnection,
    org: OrgId,
    (transfer, at, amount): (TransferId, DateTime<Utc>, Usd),
    after: Option<CallId>,
    most: i64,
) -> Result<Vec<PaidCall>, sqlx::Error> {
    let until = at + APART;
    let mut since = at;
    for before in BEFORE {
        since = at - before;
        if store::paid_sum(conn, org, transfer, (since, until)).await? == amount {
            break;
        }
    }
    store::paid_calls(conn, org, transfer, (since, until), after, most).await
}
