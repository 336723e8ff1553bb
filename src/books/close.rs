//! Closing the days that have ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::checks::{self, Check, UsageDay};
use super::digest::Sealed;
use super::trial::{self, Balance};
use super::{CREDITS, store};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::OrgId;
use crate::base::{Origin, SigningKey, Usd};
use crate::db::moment;
use crate::gateway::reconcile;
use crate::ledger::{self, Drift};

/// What the key that signs closes is derived for.
pub const KEY_PURPOSE: &str = "daily closes";
/// The server closes a day so long after its end, when nobody is in a hurry.
pub const AFTER: TimeDelta = TimeDelta::minutes(5);
/// Days of one run; the next one goes on where this one stops.
const MAX_DAYS: usize = 62;
/// Findings that are kept of one close.
const MAX_FINDINGS: usize = 200;
/// Lines about organizations that one run keeps in memory. More days than that go into the next run.
const MAX_LINES: usize = 500_000;
/// What is read and checked: one moment, and no row of it is locked. No statement runs longer.
const READ: &str = "begin isolation level repeatable read read only; set local statement_timeout = '300s'; \
                    set local max_parallel_workers_per_gather = 0";
/// What is written: only what was read before.
const WRITE: &str = "begin; set local statement_timeout = '300s'";

/// A closed day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    pub day: NaiveDate,
    pub number: i64,
    pub closed_at: DateTime<Utc>,
    /// Transfers of the day.
    pub transfers: i64,
    pub findings: i32,
    /// What the checks found, a line each.
    pub report: String,
    pub digest: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Close {
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings == 0
    }
}

/// The first moment of a day, by UTC.
#[must_use]
pub fn start_of(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// The moment at which a day is over.
#[must_use]
pub fn end_of(day: NaiveDate) -> DateTime<Utc> {
    start_of(day.checked_add_days(Days::new(1)).unwrap_or(day))
}

/// Two days that ended without a close are too many.
const LATE: TimeDelta = TimeDelta::days(2);

/// Whether the books should have been closed further than a day by now.
#[must_use]
pub fn is_late(closed: NaiveDate, now: DateTime<Utc>) -> bool {
    now - end_of(closed) > LATE
}

/// Closes every day that ended at least `after` ago and is not closed, in order. Nothing where none is due, or another process is at it.
///
/// Checking the books takes as long as they are large, and the house's chain of the audit log is locked from its first entry to
/// the commit. So everything is read, checked and worked out in one transaction that locks nothing, and written in a second one
/// that reads nothing of the books. What is sealed is still what was checked:
/// - The second transaction writes what the first one has in memory. It neither sums nor checks again.
/// - Nothing can have been added to these days in between, nor before the first one looked: a transfer carries the beginning of
///   its transaction, and every transaction that began in these days had ended when [`ended_before`] looked, before the
///   snapshot was taken. Transfers are never changed or deleted.
/// - What is carried on, balances and the digest of the close before, hangs on the last close alone. The second transaction
///   holds the lock under which closes are written, and writes only if that close is still the last one. So of two processes that
///   have worked out the same days, one writes them.
///
/// # Errors
/// Database errors only; books that do not add up are a finding of the close.
pub async fn close_due(pool: &PgPool, key: &SigningKey, after: TimeDelta) -> Result<Vec<Close>, sqlx::Error> {
    let Some(ready) = ended_before(pool, after).await? else { return Ok(Vec::new()) };
    let mut tx = pool.begin_with(READ).await?;
    // Only saves work: whoever closes at the same time is found out below.
    if !store::lock_reading(&mut tx).await? {
        return Ok(Vec::new());
    }
    let (last, worked_out) = work_out(&mut tx, ready, key).await?;
    tx.rollback().await?;
    if worked_out.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = pool.begin_with(WRITE).await?;
    store::lock_writing(&mut tx).await?;
    if store::latest_close(&mut tx).await? != last {
        return Ok(Vec::new());
    }
    for day in &worked_out {
        write(&mut tx, day).await?;
    }
    // Last, for here the chain is locked.
    for day in &worked_out {
        note(&mut tx, &day.closed).await?;
    }
    tx.commit().await?;
    Ok(worked_out.into_iter().map(|day| day.closed).collect())
}

/// A day with everything that is written of it.
struct WorkedOut {
    closed: Close,
    totals: Vec<(String, Balance)>,
    movements: Vec<ledger::Movement>,
    org_movements: Vec<ledger::OrgMovement>,
    orgs: Vec<store::ClosedOrg>,
    checks: Vec<Check>,
    usage: UsageDay,
}

/// What the run before left off at.
struct Carried {
    last: Option<Close>,
    accounts: BTreeMap<String, Balance>,
    /// What organizations had that moved in this run.
    posted: HashMap<OrgId, Usd>,
}

/// The days that are due, checked and worked out in the snapshot of `conn`, and the close that they follow.
async fn work_out(
    conn: &mut PgConnection,
    ready: NaiveDate,
    key: &SigningKey,
) -> Result<(Option<Close>, Vec<WorkedOut>), sqlx::Error> {
    let last = store::latest_close(conn).await?;
    let days = due(conn, last.as_ref(), ready).await?;
    if days.is_empty() {
        return Ok((last, Vec::new()));
    }
    let drifts = reconcile::verify(conn).await?.drifts;
    let mut found =
        Found { findings: drifts.iter().map(said).collect(), checks: checks::of_books(conn, &drifts).await? };
    earlier_days(conn, last.as_ref(), &mut found).await?;
    let accounts = match &last {
        Some(last) => store::closed_totals(conn, last.day).await?,
        None => BTreeMap::new(),
    };
    let mut carried = Carried { last: last.clone(), accounts, posted: HashMap::new() };
    let (mut closed, mut lines) = (Vec::with_capacity(days.len()), 0);
    for day in days {
        let day = close(conn, &mut carried, day, found.clone(), key).await?;
        lines += day.org_movements.len();
        closed.push(day);
        if lines >= MAX_LINES {
            break;
        }
    }
    Ok((last, closed))
}

/// Days before this one are over, and nothing is added to them any more. `None` while that cannot be said of any.
async fn ended_before(pool: &PgPool, after: TimeDelta) -> Result<Option<NaiveDate>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let now = moment(&mut conn).await? - after;
    // A transfer carries the beginning of its transaction.
    let oldest = ledger::oldest_transaction(&mut conn).await?.map_or(now, |at| at.min(now));
    let today = oldest.date_naive();
    let last = store::latest_close(&mut conn).await?.map(|close| close.day);
    let first = match last {
        Some(day) => day.checked_add_days(Days::new(1)),
        None => ledger::first_day(&mut conn).await?,
    };
    Ok(first.filter(|first| *first < today).map(|_| today))
}

async fn due(conn: &mut PgConnection, last: Option<&Close>, ready: NaiveDate) -> Result<Vec<NaiveDate>, sqlx::Error> {
    let first = match last {
        Some(last) => last.day.checked_add_days(Days::new(1)),
        None => ledger::first_day(conn).await?,
    };
    let Some(first) = first else { return Ok(Vec::new()) };
    Ok(first.iter_days().take_while(|day| *day < ready).take(MAX_DAYS).collect())
}

fn said(drift: &Drift) -> String {
    format!("{}: {} should be {} and is {}", drift.rule, drift.subject, drift.expected, drift.found)
}

/// What a run checks once for all its days.
#[derive(Clone)]
struct Found {
    findings: Vec<String>,
    checks: Vec<Check>,
}

impl Found {
    /// Notes how one more rule went.
    fn checked(&mut self, rule: &str, compared: usize, amount: Usd, findings: Vec<String>) {
        let compared = i64::try_from(compared).unwrap_or(i64::MAX);
        self.checks.push(Check::of(rule, (compared, amount), findings.len()));
        self.findings.extend(findings.into_iter().map(|finding| format!("{rule}: {finding}")));
    }
}

/// Whether the days that were closed still add up to what the closes say.
async fn earlier_days(conn: &mut PgConnection, last: Option<&Close>, found: &mut Found) -> Result<(), sqlx::Error> {
    const RULE: &str = "closed days = their transfers";
    let Some(last) = last else {
        found.checked(RULE, 0, Usd::ZERO, Vec::new());
        return Ok(());
    };
    let closed = store::cumulative_before(conn, None).await?;
    let booked = ledger::movements(conn, None, end_of(last.day)).await?;
    let key = |one: &ledger::Movement| (one.code.clone(), one.debit.clone(), one.credit.clone());
    let sums = |rows: &[ledger::Movement]| -> BTreeMap<_, _> {
        rows.iter().map(|row| (key(row), (row.amount, row.transfers))).collect()
    };
    let (closed, booked) = (sums(&closed), sums(&booked));
    let keys: BTreeSet<_> = closed.keys().chain(booked.keys()).collect();
    let (compared, amount) = (keys.len(), booked.values().map(|(amount, _)| *amount).sum());
    let differs = keys.into_iter().filter(|key| closed.get(key) != booked.get(key));
    let line = |key: &(String, String, String)| {
        let amount = |sums: &BTreeMap<_, (Usd, i64)>| sums.get(key).map_or(Usd::ZERO, |(amount, _)| *amount).exact();
        format!("{} from {} to {} was closed as {} and is {}", key.0, key.1, key.2, amount(&closed), amount(&booked))
    };
    let findings = differs.map(line).collect();
    found.checked(RULE, compared, amount, findings);
    Ok(())
}

async fn close(
    conn: &mut PgConnection,
    carried: &mut Carried,
    day: NaiveDate,
    mut found: Found,
    key: &SigningKey,
) -> Result<WorkedOut, sqlx::Error> {
    let (from, until) = (start_of(day), end_of(day));
    let mut movements = ledger::movements(conn, Some(from), until).await?;
    movements.sort_by(|a, b| (&a.code, &a.debit, &a.credit).cmp(&(&b.code, &b.debit, &b.credit)));
    trial::add(&mut carried.accounts, &movements);
    let org_movements = ledger::org_movements(conn, from, until).await?;
    let moved: Usd = org_movements.iter().map(|one| one.came_in - one.went_out).sum();
    let mine = |one: &ledger::Movement| {
        let side = |name: &str, sign: Usd| if name == CREDITS { sign } else { Usd::ZERO };
        side(&one.credit, one.amount) + side(&one.debit, -one.amount)
    };
    let chart: Usd = movements.iter().map(mine).sum();
    let off = (moved != chart).then(|| format!("{} and {}", chart.exact(), moved.exact()));
    found.checked(
        "credits of the day = those of its organizations",
        org_movements.len(),
        moved,
        off.into_iter().collect(),
    );
    let sum: Usd = carried.accounts.values().map(Balance::net).sum();
    let off = (!sum.is_zero()).then(|| format!("off by {}", sum.exact()));
    let debits = carried.accounts.values().map(|balance| balance.debits).sum();
    found.checked("debits = credits", carried.accounts.len(), debits, off.into_iter().collect());
    let usage = checks::usage_of(conn, day).await?;
    against_usage(&usage, &mut found);
    let Found { mut findings, checks } = found;
    findings.truncate(MAX_FINDINGS);
    let orgs = balances(conn, carried, &org_movements).await?;
    let totals: Vec<(String, Balance)> =
        carried.accounts.iter().map(|(name, balance)| (name.clone(), *balance)).collect();
    let mut closed = Close {
        day,
        number: carried.last.as_ref().map_or(1, |last| last.number + 1),
        closed_at: moment(conn).await?,
        transfers: movements.iter().map(|one| one.transfers).sum(),
        findings: i32::try_from(findings.len()).unwrap_or(i32::MAX),
        report: findings.join("\n"),
        digest: Vec::new(),
        signature: Vec::new(),
    };
    let previous = carried.last.as_ref().map(|last| last.digest.clone()).unwrap_or_default();
    let sealed = Sealed {
        previous: &previous,
        number: closed.number,
        day,
        transfers: closed.transfers,
        report: &closed.report,
        totals: &totals,
        movements: &movements,
        orgs: &orgs,
        checks: &checks,
        usage: Some(&usage),
    };
    closed.digest = sealed.digest();
    closed.signature = key.sign(&closed.digest);
    carried.last = Some(closed.clone());
    Ok(WorkedOut { closed, totals, movements, org_movements, orgs, checks, usage })
}

/// The day's calls, their sums per hour, and the transfers that they were paid with.
fn against_usage(usage: &UsageDay, found: &mut Found) {
    let count = |number: i64| usize::try_from(number).unwrap_or_default();
    let same = usage.calls == usage.hours_calls && usage.hours_off().is_zero();
    let hours = (!same).then(|| {
        format!(
            "{} calls of {} are summed up as {} of {}",
            usage.calls,
            usage.calls_cost.exact(),
            usage.hours_calls,
            usage.hours_cost.exact()
        )
    });
    found.checked(
        "calls of the day = sums of its hours",
        count(usage.calls),
        usage.calls_cost,
        hours.into_iter().collect(),
    );
    let booked = (!usage.booked_off().is_zero())
        .then(|| format!("{} was booked for calls of {}", usage.booked.exact(), usage.paid_cost.exact()));
    found.checked(
        "usage transfers of the day = the calls that they paid for",
        count(usage.transfers),
        usage.booked,
        booked.into_iter().collect(),
    );
}

/// What the organizations of a day have at its end, in the order of their ids. What they had before is asked for once in a
/// run, for all that are new in it together.
async fn balances(
    conn: &mut PgConnection,
    carried: &mut Carried,
    movements: &[ledger::OrgMovement],
) -> Result<Vec<store::ClosedOrg>, sqlx::Error> {
    let mut changes: BTreeMap<OrgId, Usd> = BTreeMap::new();
    for one in movements {
        *changes.entry(one.org).or_default() += one.came_in - one.went_out;
    }
    let new: Vec<OrgId> = changes.keys().copied().filter(|org| !carried.posted.contains_key(org)).collect();
    if !new.is_empty() {
        carried.posted.extend(store::last_posted(conn, &new).await?);
    }
    let end = |(org, change): (OrgId, Usd)| {
        let posted = carried.posted.entry(org).or_default();
        *posted += change;
        store::ClosedOrg { org, posted: *posted }
    };
    Ok(changes.into_iter().map(end).collect())
}

async fn write(conn: &mut PgConnection, day: &WorkedOut) -> Result<(), sqlx::Error> {
    let WorkedOut { closed, totals, movements, org_movements, orgs, checks, usage } = day;
    store::insert_close(conn, closed).await?;
    store::insert_totals(conn, closed.day, totals).await?;
    store::insert_movements(conn, closed.day, movements).await?;
    store::insert_checks(conn, closed.day, checks, usage).await?;
    store::insert_orgs(conn, closed.day, org_movements, orgs).await
}

/// The audit log, whose daily anchors leave the database, has the digest too.
async fn note(conn: &mut PgConnection, closed: &Close) -> Result<(), sqlx::Error> {
    let entry = Entry::new(Chain::House, Actor::System, Action::BooksClosed, &Origin::here()).on(Target::new(
        "day",
        closed.day,
        closed.day.to_string(),
    ));
    let after = json!({
        "number": closed.number,
        "transfers": closed.transfers,
        "findings": closed.findings,
        "digest": hex::encode(&closed.digest),
    });
    audit::record(conn, entry.change(Value::Null, after)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_where_the_next_begins() {
        let day = NaiveDate::from_ymd_opt(2026, 12, 31).unwrap_or_default();
        assert_eq!(end_of(day).to_rfc3339(), "2027-01-01T00:00:00+00:00");
    }
}
