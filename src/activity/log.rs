//! The log: one row a call, newest first, filtered and paged by address.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::filter::{Ids, LogFilter};
use super::store;
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, OrgId, PersonId};
use crate::base::paging::fetch_limit;

/// A count of the log stops here: what lies beyond is "more than".
pub const MAX_COUNTED: i64 = 10_000;
/// Calls of an organization that one look goes through. Most filters find a page within the first hundred.
const SCANNED: i64 = 5_000;
/// Looks of one page, so that it goes through ten thousand calls; what they did not find is on the next.
const LOOKS: usize = 2;
/// New calls that are counted; beyond it there are "more".
pub const MAX_NEW: i64 = 100;
/// An answer that came faster than this came in one piece, which says nothing of how fast it was written.
const SHORTEST_FOR_SPEED_MS: i64 = 250;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogRow {
    pub call: CallId,
    pub created_at: DateTime<Utc>,
    pub key: KeyId,
    pub member: Option<PersonId>,
    pub app: String,
    pub model_asked: String,
    /// Empty when none answered.
    pub model: String,
    pub provider: String,
    pub streamed: bool,
    pub status: String,
    pub cancelled: bool,
    pub http_status: i16,
    pub finish_reason: String,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cached_tokens: i64,
    pub reasoning_tokens: i64,
    pub cost: Usd,
    pub is_byok: bool,
    /// What the provider takes itself, where it is an account of the organization's own.
    pub upstream_cost: Usd,
    pub first_token_ms: Option<i32>,
    pub duration_ms: i32,
}

impl LogRow {
    /// The model that answered, else the one that was asked for.
    #[must_use]
    pub fn shown_model(&self) -> &str {
        if self.model.is_empty() { &self.model_asked } else { &self.model }
    }

    /// As [`speed_tenths`].
    #[must_use]
    pub fn speed_tenths(&self) -> Option<i64> {
        speed_tenths(self.completion_tokens, self.first_token_ms, self.duration_ms)
    }

    /// Whether tokens were counted. A call that nobody answered has none, which is not the same as zero.
    #[must_use]
    pub fn has_tokens(&self) -> bool {
        self.status == "success" || self.prompt_tokens > 0 || self.completion_tokens > 0
    }
}

/// Tenths of output tokens per second, counted from the first token; `None` where that says nothing.
#[must_use]
pub fn speed_tenths(completion_tokens: i64, first_token_ms: Option<i32>, duration_ms: i32) -> Option<i64> {
    let milliseconds = i64::from(duration_ms) - i64::from(first_token_ms.unwrap_or(0));
    (completion_tokens > 0 && milliseconds >= SHORTEST_FOR_SPEED_MS).then(|| completion_tokens * 10_000 / milliseconds)
}

/// A page of the log.
#[derive(Clone, Debug, Default)]
pub struct LogPage {
    pub rows: Vec<LogRow>,
    /// There are older calls, or there may be.
    pub more: bool,
    /// From where the next page goes on: what it shows is older than this.
    pub next: Option<CallId>,
    /// Where the look for calls that fit ended, if it did so before the page was full. The next page goes on from there.
    pub searched_to: Option<DateTime<Utc>>,
}

/// A page of an organization's log, newest first. It costs about the same however rare the calls are that fit, and however
/// many there are: the sums per hour tell which hours have none, and the look is bounded.
///
/// # Errors
/// Database errors only.
pub async fn log(conn: &mut PgConnection, org: OrgId, filter: &LogFilter, limit: u16) -> Result<LogPage, sqlx::Error> {
    let wanted = fetch_limit(limit);
    let shown = usize::try_from(wanted - 1).unwrap_or_default();
    let (mut ids, mut rows) = (filter.ids(), Vec::new());
    let mut over = false;
    for _ in 0..LOOKS {
        if filter.has_sums() {
            match store::newest_hour(conn, org, filter, ids).await? {
                Some(hour) => ids = ids.until_end_of(hour),
                None => over = true,
            }
        }
        if over {
            break;
        }
        let missing = wanted - i64::try_from(rows.len()).unwrap_or(wanted);
        rows.extend(store::log_rows(conn, org, filter, ids, (SCANNED, missing)).await?);
        if rows.len() > shown {
            break;
        }
        match store::scan_end(conn, org, filter.key, ids, SCANNED).await? {
            Some(last) => ids = Ids { to: last, ..ids },
            None => over = true,
        }
    }
    let full = rows.len() > shown;
    rows.truncate(shown);
    let next = match rows.last() {
        Some(last) if full => Some(last.call),
        _ => (!over).then_some(ids.to),
    };
    let searched_to = (!full && !over).then(|| ids.to.moment());
    Ok(LogPage { rows, more: next.is_some(), next, searched_to })
}

/// How many calls a key made, at most one more than [`MAX_COUNTED`].
///
/// # Errors
/// Database errors only.
pub async fn count_of_key(conn: &mut PgConnection, org: OrgId, key: KeyId) -> Result<i64, sqlx::Error> {
    store::count_of_key(conn, org, key, MAX_COUNTED + 1).await
}

/// How many calls that fit are newer than one, at most one more than [`MAX_NEW`].
///
/// # Errors
/// Database errors only.
pub async fn count_newer(
    conn: &mut PgConnection,
    org: OrgId,
    filter: &LogFilter,
    than: CallId,
) -> Result<i64, sqlx::Error> {
    let ids = LogFilter { before: None, ..filter.clone() }.ids();
    let after = CallId(uuid::Uuid::from_u128(than.0.as_u128().saturating_add(1)));
    let ids = Ids { from: ids.from.max(after), ..ids };
    store::count_calls(conn, org, filter, ids, (SCANNED, MAX_NEW + 1)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_shown_only_where_it_was_measured() {
        assert_eq!(speed_tenths(100, Some(400), 2_400), Some(500));
        assert_eq!(speed_tenths(100, None, 2_000), Some(500), "no stream");
        assert_eq!(speed_tenths(100, Some(400), 400 + 249), None, "all of it came at once");
        assert_eq!(speed_tenths(0, Some(400), 2_400), None);
    }
}
