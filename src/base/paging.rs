//! Pages of a list: a bounded number of rows, and the key to go on from.

/// No list shows more rows than this on one page.
pub const MAX_ROWS: u16 = 100;

/// Rows of one page, and whether older ones exist.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    pub rows: Vec<T>,
    pub more: bool,
}

impl<T> Rows<T> {
    /// Takes what a query for `limit + 1` rows returned; the extra row only tells that there is more.
    #[must_use]
    pub fn of(mut rows: Vec<T>, limit: u16) -> Rows<T> {
        let more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        Rows { rows, more }
    }
}

/// How many rows to fetch for a page of `limit`.
#[must_use]
pub fn fetch_limit(limit: u16) -> i64 {
    i64::from(limit.min(MAX_ROWS)) + 1
}
