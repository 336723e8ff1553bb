//! Closing the days that have ended.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::digest::Sealed;
use super::trial::{self, Balance};
use super::{CREDITS, store};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::{Origin, SigningKey, Usd};
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
/// No statement of a close runs longer.
const BEGIN: &str = "begin isolation level repeatable read; set local statement_timeout = '300s'; \
                     set local max_parallel_workers_per_gather = 0";

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

/// Closes every day that ended at least `after` ago and is not closed, in order. Nothing where none is due, or another process is at it.
///
/// # Errors
/// Database errors only; books that do not add up are a finding of the close.
pub async fn close_due(pool: &PgPool, key: &SigningKey, after: TimeDelta) -> Result<Vec<Close>, sqlx::Error> {
    let Some(ready) = ended_before(pool, after).await? else { return Ok(Vec::new()) };
    let mut tx = pool.begin_with(BEGIN).await?;
    if !store::lock(&mut tx).await? {
        return Ok(Vec::new());
    }
    let days = due(&mut tx, ready).await?;
    if days.is_empty() {
        return Ok(Vec::new());
    }
    let mut findings: Vec<String> = reconcile::verify(&mut tx).await?.drifts.iter().map(said).collect();
    findings.extend(earlier_days(&mut tx).await?);
    let mut closed = Vec::with_capacity(days.len());
    for day in days {
        closed.push(close(&mut tx, day, findings.clone(), key).await?);
    }
    tx.commit().await?;
    Ok(closed)
}

/// Days before this one are over, and nothing is added to them any more. `None` while that cannot be said of any.
async fn ended_before(pool: &PgPool, after: TimeDelta) -> Result<Option<NaiveDate>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let now = store::moment(&mut conn).await? - after;
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

async fn due(conn: &mut PgConnection, ready: NaiveDate) -> Result<Vec<NaiveDate>, sqlx::Error> {
    let first = match store::latest_close(conn).await? {
        Some(last) => last.day.checked_add_days(Days::new(1)),
        None => ledger::first_day(conn).await?,
    };
    let Some(first) = first else { return Ok(Vec::new()) };
    Ok(first.iter_days().take_while(|day| *day < ready).take(MAX_DAYS).collect())
}

fn said(drift: &Drift) -> String {
    format!("{}: {} should be {} and is {}", drift.rule, drift.subject, drift.expected, drift.found)
}

/// Whether the days that were closed still add up to what the closes say.
async fn earlier_days(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let Some(last) = store::latest_close(conn).await? else { return Ok(Vec::new()) };
    let closed = store::cumulative_before(conn, None).await?;
    let booked = ledger::movements(conn, None, end_of(last.day)).await?;
    let key = |one: &ledger::Movement| (one.code.clone(), one.debit.clone(), one.credit.clone());
    let sums = |rows: &[ledger::Movement]| -> std::collections::BTreeMap<_, _> {
        rows.iter().map(|row| (key(row), (row.amount, row.transfers))).collect()
    };
    let (closed, booked) = (sums(&closed), sums(&booked));
    let keys: std::collections::BTreeSet<_> = closed.keys().chain(booked.keys()).collect();
    let differs = keys.into_iter().filter(|key| closed.get(key) != booked.get(key));
    let line = |key: &(String, String, String)| {
        let amount = |sums: &std::collections::BTreeMap<_, (Usd, i64)>| {
            sums.get(key).map_or(Usd::ZERO, |(amount, _)| *amount).exact()
        };
        format!(
            "closed days = their transfers: {} from {} to {} was closed as {} and is {}",
            key.0,
            key.1,
            key.2,
            amount(&closed),
            amount(&booked)
        )
    };
    Ok(differs.map(line).collect())
}

async fn close(
    conn: &mut PgConnection,
    day: NaiveDate,
    mut findings: Vec<String>,
    key: &SigningKey,
) -> Result<Close, sqlx::Error> {
    let last = store::latest_close(conn).await?;
    let mut accounts = match &last {
        Some(last) => store::closed_totals(conn, last.day).await?,
        None => std::collections::BTreeMap::new(),
    };
    let (from, until) = (start_of(day), end_of(day));
    let mut movements = ledger::movements(conn, Some(from), until).await?;
    movements.sort_by(|a, b| (&a.code, &a.debit, &a.credit).cmp(&(&b.code, &b.debit, &b.credit)));
    trial::add(&mut accounts, &movements);
    let org_movements = ledger::org_movements(conn, from, until).await?;
    let moved: Usd = org_movements.iter().map(|one| one.came_in - one.went_out).sum();
    let mine = |one: &ledger::Movement| {
        let side = |name: &str, sign: Usd| if name == CREDITS { sign } else { Usd::ZERO };
        side(&one.credit, one.amount) + side(&one.debit, -one.amount)
    };
    let chart: Usd = movements.iter().map(mine).sum();
    if moved != chart {
        findings.push(format!(
            "credits of the day = those of its organizations: {} and {}",
            chart.exact(),
            moved.exact()
        ));
    }
    let sum: Usd = accounts.values().map(Balance::net).sum();
    if !sum.is_zero() {
        findings.push(format!("debits = credits: off by {}", sum.exact()));
    }
    findings.truncate(MAX_FINDINGS);
    let totals: Vec<(String, Balance)> = accounts.into_iter().collect();
    let closed_at = store::moment(conn).await?;
    let mut closed = Close {
        day,
        number: last.as_ref().map_or(1, |last| last.number + 1),
        closed_at,
        transfers: movements.iter().map(|one| one.transfers).sum(),
        findings: i32::try_from(findings.len()).unwrap_or(i32::MAX),
        report: findings.join("\n"),
        digest: Vec::new(),
        signature: Vec::new(),
    };
    let previous = last.map(|last| last.digest).unwrap_or_default();
    closed.digest = seal(conn, &closed, &previous, &totals, &movements, &org_movements).await?;
    closed.signature = key.sign(&closed.digest);
    write(conn, &closed, &totals, &movements, &org_movements).await?;
    note(conn, &closed).await?;
    Ok(closed)
}

/// What organizations have at the end of the day, before it is written down.
async fn seal(
    conn: &mut PgConnection,
    closed: &Close,
    previous: &[u8],
    totals: &[(String, Balance)],
    movements: &[ledger::Movement],
    org_movements: &[ledger::OrgMovement],
) -> Result<Vec<u8>, sqlx::Error> {
    let mut orgs: Vec<store::ClosedOrg> = Vec::new();
    for one in org_movements {
        let change = one.came_in - one.went_out;
        match orgs.last_mut().filter(|last| last.org == one.org) {
            Some(last) => last.posted += change,
            None => {
                let before = store::closed_before(conn, one.org, closed.day).await?;
                let posted = before.map_or(Usd::ZERO, |before| before.posted) + change;
                orgs.push(store::ClosedOrg { org: one.org, posted });
            }
        }
    }
    let sealed = Sealed {
        previous,
        number: closed.number,
        day: closed.day,
        transfers: closed.transfers,
        report: &closed.report,
        totals,
        movements,
        orgs: &orgs,
    };
    Ok(sealed.digest())
}

async fn write(
    conn: &mut PgConnection,
    closed: &Close,
    totals: &[(String, Balance)],
    movements: &[ledger::Movement],
    org_movements: &[ledger::OrgMovement],
) -> Result<(), sqlx::Error> {
    store::insert_close(conn, closed).await?;
    store::insert_totals(conn, closed.day, totals).await?;
    store::insert_movements(conn, closed.day, movements).await?;
    store::insert_orgs(conn, closed.day, org_movements).await
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
