//! The way through calls, from the newest to the oldest, a piece at a time.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::filter::{Ids, LogFilter};
use super::store;
use crate::base::ids::{CallId, OrgId};

/// Goes over no call twice. Nothing stays open between two pieces, so a slow reader costs the database nothing.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub org: OrgId,
    pub filter: LogFilter,
    ids: Ids,
    over: bool,
}

/// The next piece. Its bounds are ids, so that a call that is written before they are read moves none of the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub ids: Ids,
    /// How many calls of it to read at most: more than there were when it was cut.
    pub most: i64,
    /// From where the next one goes on; `None` at the end.
    next: Option<CallId>,
}

impl Walk {
    /// Through everything that the filter lets through and that began before `now`.
    pub fn new(org: OrgId, filter: &LogFilter, now: DateTime<Utc>) -> Walk {
        let to = filter.to.map_or(now, |to| to.min(now));
        let filter = LogFilter { to: Some(to), before: None, ..filter.clone() };
        Walk { org, ids: filter.ids(), filter, over: false }
    }

    /// The newest `size` of what is left; `None` at the end. The sums per hour tell which hours have nothing that fits.
    pub async fn cut(&mut self, conn: &mut PgConnection, size: i64) -> Result<Option<Piece>, sqlx::Error> {
        if self.over {
            return Ok(None);
        }
        let mut ids = self.ids;
        if self.filter.has_sums() {
            match store::newest_hour(conn, self.org, &self.filter, ids).await? {
                Some(hour) => ids = ids.until_end_of(hour),
                None => {
                    self.over = true;
                    return Ok(None);
                }
            }
        }
        let next = store::scan_end(conn, self.org, self.filter.key, ids, size).await?;
        let ids = next.map_or(ids, |last| Ids { from: last, ..ids });
        Ok(Some(Piece { ids, most: 2 * size, next }))
    }

    /// Leaves a piece behind, after it was read.
    pub fn pass(&mut self, piece: Piece) {
        match piece.next {
            Some(last) => self.ids.to = last,
            None => self.over = true,
        }
    }

    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// What began at or after this was gone through.
    pub fn reached(&self) -> DateTime<Utc> {
        self.ids.latest()
    }
}
