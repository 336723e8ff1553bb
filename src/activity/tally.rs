//! Sums of exactly the calls that a filter lets through. The sums per hour know no status, cost, finish or id, so these are
//! added up from the calls themselves: at once where that goes through few, else piece by piece.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::chart::{Group, Measures, Slice};
use super::filter::LogFilter;
use super::span::{Buckets, Span};
use super::spend::totals;
use super::store::{self, CellRow, TallyQuery};
use super::walk::Walk;
use crate::base::ids::OrgId;

/// Calls that one statement goes through: a fraction of a second's work.
pub const TALLY_PIECE: i64 = 20_000;
/// Sums that are kept apart; what comes beyond is summed without a name.
const MAX_CELLS: usize = 100_000;
/// Steps of a tally at once: more than one where calls were written meanwhile.
const MAX_STEPS: usize = 3;

/// Sums that are being added up.
#[derive(Clone, Debug)]
pub struct Tally {
    walk: Walk,
    buckets: Buckets,
    group: Option<Group>,
    cells: HashMap<(Option<String>, i32), CellRow>,
}

impl Tally {
    /// Of everything that the filter lets through within the buckets and that began before `now`.
    #[must_use]
    pub fn new(org: OrgId, filter: &LogFilter, buckets: Buckets, group: Option<Group>, now: DateTime<Utc>) -> Tally {
        let Span { from, to } = buckets.span();
        let filter = LogFilter { from: Some(from), to: Some(to), ..filter.clone() };
        Tally { walk: Walk::new(org, &filter, now), buckets, group, cells: HashMap::new() }
    }

    /// Adds the next piece; false at the end.
    ///
    /// # Errors
    /// Database errors only; asked again it goes on where it was.
    pub async fn step(&mut self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let Some(piece) = self.walk.cut(conn, TALLY_PIECE).await? else { return Ok(false) };
        let query = TallyQuery {
            org: self.walk.org,
            filter: &self.walk.filter,
            ids: piece.ids,
            scan: piece.most,
            edges: &self.buckets.edges,
            group: self.group,
        };
        let cells = store::tally_cells(conn, &query).await?;
        self.walk.pass(piece);
        cells.into_iter().for_each(|cell| self.add(cell));
        Ok(!self.walk.is_over())
    }

    fn add(&mut self, mut cell: CellRow) {
        let mut place = (cell.name.clone(), cell.bucket);
        if self.cells.len() >= MAX_CELLS && !self.cells.contains_key(&place) {
            (place.0, cell.name) = (None, None);
        }
        let more = cell.sums;
        self.cells.entry(place).and_modify(|sum| sum.sums += more).or_insert(cell);
    }

    /// What began at or after this is in the sums.
    #[must_use]
    pub fn reached(&self) -> DateTime<Utc> {
        self.walk.reached()
    }

    /// What was added up so far.
    #[must_use]
    pub fn measures(self) -> Measures {
        Measures { buckets: self.buckets, cells: self.cells.into_values().collect() }
    }
}

/// Through how many calls a tally would go, at most.
///
/// # Errors
/// Database errors only.
pub async fn reach(conn: &mut PgConnection, org: OrgId, filter: &LogFilter, span: Span) -> Result<u64, sqlx::Error> {
    if filter.id.is_some() {
        return Ok(1);
    }
    // An index leads to the calls of a key; no other filter makes the way shorter.
    let slice = Slice { key: filter.key, ..Slice::default() };
    Ok(totals(conn, org, span, &slice).await?.requests)
}

/// The sums where a few steps find all of them, as [`reach`] tells; `None` where they do not.
///
/// # Errors
/// Database errors only.
pub async fn tally_at_once(
    conn: &mut PgConnection,
    org: OrgId,
    filter: &LogFilter,
    (buckets, group): (Buckets, Option<Group>),
    now: DateTime<Utc>,
) -> Result<Option<Measures>, sqlx::Error> {
    let mut tally = Tally::new(org, filter, buckets, group, now);
    for _ in 0..MAX_STEPS {
        if !tally.step(conn).await? {
            return Ok(Some(tally.measures()));
        }
    }
    Ok(None)
}
