//! The rows of the journal that concern one organization.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::close::{end_of, start_of};
use super::store;
use crate::base::ids::{OrgId, TransferId};
use crate::base::paging::{Rows, fetch_limit};
use crate::ledger::{self, Booked, JournalFilter};

/// Closed days that are read for a page; the next page goes on.
const MAX_DAYS: i64 = 31;

/// A page of rows, newest first, and the place at which the next one begins.
#[derive(Clone, Debug)]
pub struct OrgRows {
    pub rows: Vec<Booked>,
    pub older: Option<(DateTime<Utc>, TransferId)>,
}

/// The rows of one organization are rare among all, and no index knows whose they are: every settlement would pay for it.
/// So only days on which something moved there are read, and so many of them for a page. `filter` names the organization as
/// its account. Runs in a transaction.
///
/// # Errors
/// Database errors only.
pub async fn org_rows(
    conn: &mut PgConnection,
    org: OrgId,
    filter: &JournalFilter,
    most: u16,
) -> Result<OrgRows, sqlx::Error> {
    let closed = store::latest_close(conn).await?.map(|close| end_of(close.day));
    let last = [filter.before.map(|(at, _)| at), filter.until].into_iter().flatten().min();
    let days = store::days_with_rows(conn, org, last.map(|at| at.date_naive()), &filter.code, MAX_DAYS + 1).await?;
    // What is not closed yet, then day by day.
    let open = closed.unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    let spans = std::iter::once((open, None)).chain(days.iter().map(|(day, _)| (start_of(*day), Some(end_of(*day)))));
    let mut rows: Vec<Booked> = Vec::new();
    let mut next = None;
    for (scans, (from, until)) in spans.enumerate() {
        if filter.from.is_some_and(|earliest| until.is_some_and(|until| until <= earliest)) {
            break;
        }
        if scans > usize::try_from(MAX_DAYS).unwrap_or(usize::MAX) {
            next = until;
            break;
        }
        let within = JournalFilter {
            from: Some(filter.from.map_or(from, |earliest| earliest.max(from))),
            until: [filter.until, until].into_iter().flatten().min(),
            ..filter.clone()
        };
        let left = fetch_limit(most) - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        rows.extend(ledger::journal(conn, &within, left).await?);
        if rows.len() > usize::from(most) {
            break;
        }
    }
    let page = Rows::of(rows, most);
    let older = match next {
        _ if page.more => page.rows.last().map(|last| (last.at, last.id)),
        Some(at) => Some((at, TransferId(Uuid::nil()))),
        None => None,
    };
    Ok(OrgRows { rows: page.rows, older })
}
