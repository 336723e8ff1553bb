//! The auditor: do the balances equal the rows they stand for, to the last digit?

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{HouseAccount, store};
use crate::base::Usd;

/// Something that does not add up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drift {
    /// Which rule is broken.
    pub rule: &'static str,
    /// Which account, meter or hold.
    pub subject: String,
    pub expected: String,
    pub found: String,
}

impl Drift {
    #[must_use]
    pub fn of(rule: &'static str, subject: String, expected: Usd, found: Usd) -> Drift {
        Drift { rule, subject, expected: expected.exact(), found: found.exact() }
    }
}

/// What an audit looked at and what it found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    pub accounts: i64,
    pub transfers: i64,
    pub holds: i64,
    pub drifts: Vec<Drift>,
}

impl Report {
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.drifts.is_empty()
    }
}

/// Whether this is a database with books at all, and all of it. A new one has the accounts of the house from its first migration
/// on; a restore that broke off has tables with no rows, which contradict nothing, or lacks the rules, which come last.
///
/// # Errors
/// Database errors only.
pub async fn is_whole(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let house = HouseAccount::ALL.map(|account| account.id().0);
    let (found, guarded) = store::foundations(conn, &house).await?;
    Ok(guarded && usize::try_from(found).is_ok_and(|found| found == house.len()))
}

/// Checks the invariants of the ledger. Run it in one repeatable-read transaction,
/// so that all sums see the same moment.
///
/// # Errors
/// Database errors only; a broken book is a finding, not an error.
pub async fn verify(conn: &mut PgConnection) -> Result<Report, sqlx::Error> {
    let (accounts, transfers, holds) = store::audit_counts(conn).await?;
    let mut drifts = Vec::new();
    for row in store::drifted_credits(conn).await? {
        drifts.push(Drift::of("posted = sum of transfers", row.subject, row.expected, row.found));
    }
    open_ends(conn, None, &mut drifts).await?;
    let sum = store::sum_of_all_accounts(conn).await?;
    if !sum.is_zero() {
        drifts.push(Drift::of("sum over all accounts = 0", "all accounts".into(), Usd::ZERO, sum));
    }
    Ok(Report { accounts, transfers, holds, drifts })
}

/// The same from what an audit found right up to `since`, which [`keep_audited`] and [`shift_audited`] keep, and what has come since.
/// Something that it finds may also be a row that came late and was not noted; [`verify`] tells.
///
/// # Errors
/// Database errors only.
pub async fn verify_since(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<Drift>, sqlx::Error> {
    let mut drifts = Vec::new();
    for row in store::drifted_credits_since(conn, since).await? {
        drifts.push(Drift::of("posted = sum of transfers", row.subject, row.expected, row.found));
    }
    open_ends(conn, Some(since), &mut drifts).await?;
    Ok(drifts)
}

/// What does not grow with the books, and transfers since a moment.
async fn open_ends(
    conn: &mut PgConnection,
    since: Option<DateTime<Utc>>,
    drifts: &mut Vec<Drift>,
) -> Result<(), sqlx::Error> {
    for row in store::drifted_credit_holds(conn).await? {
        drifts.push(Drift::of("held = sum of open holds", row.subject, row.expected, row.found));
    }
    for row in store::drifted_meter_holds(conn).await? {
        drifts.push(Drift::of("held of a meter = sum of its open holds", row.subject, row.expected, row.found));
    }
    for row in store::drifted_byok_holds(conn).await? {
        drifts.push(Drift::of("held for providers = sum of its open holds", row.subject, row.expected, row.found));
    }
    for subject in store::orphan_transfers(conn, since).await? {
        drifts.push(Drift::of("every transfer names known accounts", subject, Usd::ZERO, Usd::ZERO));
    }
    for subject in store::overdue_holds(conn).await? {
        drifts.push(Drift::of("no hold outlives its time by 60 s", subject, Usd::ZERO, Usd::ZERO));
    }
    Ok(())
}

/// Keeps what each balance is as the sum of all its transfers. Only after [`verify`] found nothing, in its transaction.
///
/// # Errors
/// Database errors only.
pub async fn keep_audited(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    store::keep_posted(conn).await
}

/// Adds the transfers from `from` on, to before `until` if there is one, to the sums that are kept; takes them off with a `sign` of -1.
/// Only in the transaction in which an audit found nothing.
///
/// # Errors
/// Database errors only.
pub async fn shift_audited(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    sign: i32,
) -> Result<(), sqlx::Error> {
    store::shift_posted(conn, from, until, sign).await
}
