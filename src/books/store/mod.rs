//! Every query about closes. Transfers are the ledger's.

mod checks;

pub use checks::*;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::close::Close;
use super::trial::Balance;
use crate::base::Usd;
use crate::base::ids::OrgId;
use crate::ledger::{DayMovement, Movement, OrgMovement};

/// Any numbers that nothing else locks.
const WRITING: i64 = 7_306_204_920;
const READING: i64 = 7_306_204_930;

/// False while another process works out what is to be closed.
pub async fn lock_reading(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "locked!""#, READING).fetch_one(conn).await
}

/// Waits until nobody else writes closes.
pub async fn lock_writing(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock($1)", WRITING).fetch_one(conn).await?;
    Ok(())
}

/// The newest close.
///
/// # Errors
/// Database errors only.
pub async fn latest_close(conn: &mut PgConnection) -> Result<Option<Close>, sqlx::Error> {
    sqlx::query_as!(
        Close,
        "select day, number, closed_at, transfers, findings, report, digest, signature
         from book_close order by day desc limit 1",
    )
    .fetch_optional(conn)
    .await
}

/// # Errors
/// Database errors only.
pub async fn close_of(conn: &mut PgConnection, day: NaiveDate) -> Result<Option<Close>, sqlx::Error> {
    sqlx::query_as!(
        Close,
        "select day, number, closed_at, transfers, findings, report, digest, signature from book_close where day = $1",
        day,
    )
    .fetch_optional(conn)
    .await
}

/// Closes before a day, newest first.
///
/// # Errors
/// Database errors only.
pub async fn closes(conn: &mut PgConnection, before: Option<NaiveDate>, most: i64) -> Result<Vec<Close>, sqlx::Error> {
    sqlx::query_as!(
        Close,
        "select day, number, closed_at, transfers, findings, report, digest, signature from book_close
         where $1::date is null or day < $1 order by day desc limit $2",
        before,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Closes after a number, in order.
pub async fn closes_after(conn: &mut PgConnection, number: i64, most: i64) -> Result<Vec<Close>, sqlx::Error> {
    sqlx::query_as!(
        Close,
        "select day, number, closed_at, transfers, findings, report, digest, signature from book_close
         where number > $1 order by number limit $2",
        number,
        most,
    )
    .fetch_all(conn)
    .await
}

/// The last closed day that had ended by a moment.
pub async fn close_ended_by(conn: &mut PgConnection, at: DateTime<Utc>) -> Result<Option<NaiveDate>, sqlx::Error> {
    sqlx::query_scalar!(
        "select day from book_close where day < ($1::timestamptz at time zone 'utc')::date order by day desc limit 1",
        at,
    )
    .fetch_optional(conn)
    .await
}

/// Both sides of every account at the end of a closed day.
///
/// # Errors
/// Database errors only.
pub async fn closed_totals(conn: &mut PgConnection, day: NaiveDate) -> Result<BTreeMap<String, Balance>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select account, debits as "debits: Usd", credits as "credits: Usd" from book_total where day = $1
           order by account collate "C""#,
        day,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.account, Balance { debits: row.debits, credits: row.credits })).collect())
}

/// What moved on a closed day.
///
/// # Errors
/// Database errors only.
pub async fn closed_movements(conn: &mut PgConnection, day: NaiveDate) -> Result<Vec<Movement>, sqlx::Error> {
    sqlx::query_as!(
        Movement,
        r#"select code, debit, credit, amount as "amount: Usd", transfers from book_movement where day = $1
           order by code collate "C", debit collate "C", credit collate "C""#,
        day,
    )
    .fetch_all(conn)
    .await
}

/// What moved between two accounts for one reason on a closed day.
#[derive(Clone, Debug)]
pub struct ClosedLine {
    pub day: NaiveDate,
    pub movement: Movement,
}

/// The movements of all closed days in a span, both days included.
///
/// # Errors
/// Database errors only.
pub async fn lines_between(
    conn: &mut PgConnection,
    from: NaiveDate,
    until: NaiveDate,
) -> Result<Vec<ClosedLine>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select day, code, debit, credit, amount as "amount: Usd", transfers from book_movement
           where day between $1 and $2 order by day, code collate "C", debit collate "C", credit collate "C""#,
        from,
        until,
    )
    .fetch_all(conn)
    .await?;
    let line = |day, code, debit, credit, amount, transfers| ClosedLine {
        day,
        movement: Movement { code, debit, credit, amount, transfers },
    };
    Ok(rows.into_iter().map(|r| line(r.day, r.code, r.debit, r.credit, r.amount, r.transfers)).collect())
}

/// The sums of all closed movements before a day (all of them without one).
///
/// # Errors
/// Database errors only.
pub async fn cumulative_before(conn: &mut PgConnection, day: Option<NaiveDate>) -> Result<Vec<Movement>, sqlx::Error> {
    sqlx::query_as!(
        Movement,
        r#"select code as "code!", debit as "debit!", credit as "credit!", sum(amount) as "amount!: Usd",
            sum(transfers)::bigint as "transfers!"
           from book_movement where $1::date is null or day < $1 group by 1, 2, 3 order by 1, 2, 3"#,
        day,
    )
    .fetch_all(conn)
    .await
}

/// What an organization had at the end of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClosedOrg {
    pub org: OrgId,
    pub posted: Usd,
}

/// What organizations had at the end of a day on which something moved, in the order of their ids.
pub async fn closed_orgs(conn: &mut PgConnection, day: NaiveDate) -> Result<Vec<ClosedOrg>, sqlx::Error> {
    sqlx::query_as!(
        ClosedOrg,
        r#"select org_id as "org: OrgId", posted as "posted: Usd" from org_close where day = $1 order by org_id"#,
        day,
    )
    .fetch_all(conn)
    .await
}

/// The sum of what all organizations had when they were last closed.
pub async fn sum_of_orgs(conn: &mut PgConnection) -> Result<Usd, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(sum(posted), 0) as "sum!: Usd" from (
              select distinct on (org_id) posted from org_close order by org_id, day desc
           ) last"#
    )
    .fetch_one(conn)
    .await
}

/// What an organization had at the end of the last closed day before this one; nothing where it never had any.
pub async fn closed_before(
    conn: &mut PgConnection,
    org: OrgId,
    day: NaiveDate,
) -> Result<Option<ClosedOrg>, sqlx::Error> {
    sqlx::query_as!(
        ClosedOrg,
        r#"select org_id as "org: OrgId", posted as "posted: Usd" from org_close
           where org_id = $1 and day < $2 order by day desc limit 1"#,
        org.0,
        day,
    )
    .fetch_optional(conn)
    .await
}

/// What organizations had when they were last closed. Those that never were are not in it.
pub async fn last_posted(conn: &mut PgConnection, orgs: &[OrgId]) -> Result<Vec<(OrgId, Usd)>, sqlx::Error> {
    let orgs: Vec<Uuid> = orgs.iter().map(|org| org.0).collect();
    let rows = sqlx::query!(
        r#"select x.org_id as "org!: OrgId", c.posted as "posted: Usd" from unnest($1::uuid[]) as x(org_id)
           cross join lateral (
              select posted from org_close c where c.org_id = x.org_id order by c.day desc limit 1
           ) c"#,
        &orgs,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.org, row.posted)).collect())
}

/// What moved on the credits of an organization on closed days in a span, both days included.
pub async fn closed_days(
    conn: &mut PgConnection,
    org: OrgId,
    from: NaiveDate,
    until: NaiveDate,
) -> Result<Vec<DayMovement>, sqlx::Error> {
    sqlx::query_as!(
        DayMovement,
        r#"select day, code, came_in as "came_in: Usd", went_out as "went_out: Usd", transfers from org_day
           where org_id = $1 and day between $2 and $3 order by day, code"#,
        org.0,
        from,
        until,
    )
    .fetch_all(conn)
    .await
}

/// The sums of an organization's closed days by month, in order.
pub async fn closed_months(conn: &mut PgConnection, org: OrgId) -> Result<Vec<DayMovement>, sqlx::Error> {
    sqlx::query_as!(
        DayMovement,
        r#"select date_trunc('month', day::timestamp)::date as "day!", '' as "code!", sum(came_in) as "came_in!: Usd",
            sum(went_out) as "went_out!: Usd", sum(transfers)::bigint as "transfers!"
           from org_day where org_id = $1 group by 1 order by 1"#,
        org.0,
    )
    .fetch_all(conn)
    .await
}

/// Closed days on which something moved on the credits of an organization, and how many rows each has, newest first.
///
/// # Errors
/// Database errors only.
pub async fn days_with_rows(
    conn: &mut PgConnection,
    org: OrgId,
    until: Option<NaiveDate>,
    code: &str,
    most: i64,
) -> Result<Vec<(NaiveDate, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select day, sum(transfers)::bigint as "transfers!" from org_day
           where org_id = $1 and ($2::date is null or day <= $2) and ($3 = '' or code = $3)
           group by day order by day desc limit $4"#,
        org.0,
        until,
        code,
        most,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.day, row.transfers)).collect())
}

pub async fn insert_close(conn: &mut PgConnection, close: &Close) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into book_close (day, number, closed_at, transfers, findings, report, digest, signature)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        close.day,
        close.number,
        close.closed_at,
        close.transfers,
        close.findings,
        close.report,
        close.digest,
        close.signature,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn insert_totals(
    conn: &mut PgConnection,
    day: NaiveDate,
    totals: &[(String, Balance)],
) -> Result<(), sqlx::Error> {
    for (account, balance) in totals {
        sqlx::query!(
            "insert into book_total (day, account, debits, credits) values ($1, $2, $3, $4)",
            day,
            account,
            balance.debits.amount(),
            balance.credits.amount(),
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub async fn insert_movements(
    conn: &mut PgConnection,
    day: NaiveDate,
    movements: &[Movement],
) -> Result<(), sqlx::Error> {
    for movement in movements {
        sqlx::query!(
            "insert into book_movement (day, code, debit, credit, amount, transfers) values ($1, $2, $3, $4, $5, $6)",
            day,
            movement.code,
            movement.debit,
            movement.credit,
            movement.amount.amount(),
            movement.transfers,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// What moved on each organization's credits, and what each has at the end of the day.
pub async fn insert_orgs(
    conn: &mut PgConnection,
    day: NaiveDate,
    movements: &[OrgMovement],
    ends: &[ClosedOrg],
) -> Result<(), sqlx::Error> {
    let orgs: Vec<Uuid> = movements.iter().map(|one| one.org.0).collect();
    let codes: Vec<String> = movements.iter().map(|one| one.code.clone()).collect();
    let came_in: Vec<_> = movements.iter().map(|one| one.came_in.amount()).collect();
    let went_out: Vec<_> = movements.iter().map(|one| one.went_out.amount()).collect();
    let transfers: Vec<i64> = movements.iter().map(|one| one.transfers).collect();
    sqlx::query!(
        "insert into org_day (org_id, day, code, came_in, went_out, transfers)
         select x.org_id, $1, x.code, x.came_in, x.went_out, x.transfers
         from unnest($2::uuid[], $3::text[], $4::numeric[], $5::numeric[], $6::bigint[])
            as x(org_id, code, came_in, went_out, transfers)",
        day,
        &orgs,
        &codes,
        &came_in,
        &went_out,
        &transfers,
    )
    .execute(&mut *conn)
    .await?;
    let orgs: Vec<Uuid> = ends.iter().map(|one| one.org.0).collect();
    let posted: Vec<_> = ends.iter().map(|one| one.posted.amount()).collect();
    sqlx::query!(
        "insert into org_close (org_id, day, posted)
         select x.org_id, $1, x.posted from unnest($2::uuid[], $3::numeric[]) as x(org_id, posted)",
        day,
        &orgs,
        &posted,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Organizations that had calls in a week and were not told of it, in the order of their ids, after one.
pub async fn orgs_to_tell(
    conn: &mut PgConnection,
    monday: NaiveDate,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    after: Option<OrgId>,
    most: i64,
) -> Result<Vec<OrgId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select o.id as "id: OrgId" from org o
           where o.deleted_at is null and ($4::uuid is null or o.id > $4)
            and not exists (select from week_told w where w.org_id = o.id and w.week = $1)
            and exists (select from usage_hour u where u.org_id = o.id and u.hour >= $2 and u.hour < $3)
           order by o.id limit $5"#,
        monday,
        from,
        to,
        after.map(|org| org.0),
        most,
    )
    .fetch_all(conn)
    .await
}

/// False when it was told before.
pub async fn insert_week_told(conn: &mut PgConnection, org: OrgId, monday: NaiveDate) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query!("insert into week_told (org_id, week) values ($1, $2) on conflict do nothing", org.0, monday)
            .execute(conn)
            .await?;
    Ok(done.rows_affected() == 1)
}
