//! The mark of the auditor: one row for all nodes; and calls that come late.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use crate::base::ids::{CallId, OrgId};
use crate::db::interval;

/// What the last audit left, and whether everything has to be looked at.
pub struct Mark {
    pub now: DateTime<Utc>,
    pub until: Option<DateTime<Utc>>,
    pub transfers_until: DateTime<Utc>,
    pub hours_until: DateTime<Utc>,
    pub is_full_due: bool,
}

/// The moment of the transaction is that of its first statement, which is this. What is due later than anything is ever put off was
/// written by a clock that was ahead.
pub async fn take(conn: &mut PgConnection) -> Result<Option<Mark>, sqlx::Error> {
    sqlx::query_as!(
        Mark,
        r#"select now() as "now!", until, transfers_until, hours_until,
            full_due <= now() or full_due > now() + interval '25 hours' or coalesce(until > now(), false) as "is_full_due!"
           from audit_mark where due <= now() or due > now() + interval '25 hours' for update skip locked"#
    )
    .fetch_optional(conn)
    .await
}

pub struct Kept {
    pub until: Option<DateTime<Utc>>,
    pub over: DateTime<Utc>,
    pub compared: DateTime<Utc>,
    /// When everything was looked at: until it is again.
    pub full: Option<TimeDelta>,
    pub drifts: i32,
    pub rest: TimeDelta,
}

pub async fn keep(conn: &mut PgConnection, kept: Kept) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update audit_mark set until = $1, hours_until = $2, transfers_until = $3,
            full_due = coalesce(now() + $4::interval, full_due), drifts = $5,
            due = clock_timestamp() + $6::interval, audited_at = clock_timestamp()",
        kept.until,
        kept.over,
        kept.compared,
        kept.full.map(interval),
        kept.drifts,
        interval(kept.rest),
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Where nothing is kept, or everything was not what was looked at, the next audit is due after `rest`. Else it is after
/// `every`, and one of everything after `again` or `rest`.
pub async fn put_off(
    conn: &mut PgConnection,
    rest: TimeDelta,
    every: TimeDelta,
    again: TimeDelta,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update audit_mark set
            due = now() + case when until is null or full_due > now() then $1::interval else $2::interval end,
            full_due = case when until is null or full_due > now() then full_due else now() + greatest($1, $3::interval) end",
        interval(rest),
        interval(every),
        interval(again),
    )
    .execute(conn)
    .await
    .map(drop)
}

/// When an audit last ended, and how much it found.
pub async fn last(pool: &PgPool) -> Result<(Option<DateTime<Utc>>, i32), sqlx::Error> {
    let mark = sqlx::query!(r#"select audited_at, drifts as "drifts!" from audit_mark"#).fetch_one(pool).await?;
    Ok((mark.audited_at, mark.drifts))
}

/// Notes calls that were settled long after they were begun, in the transaction of their rows.
pub async fn note_late(conn: &mut PgConnection, calls: &[(OrgId, CallId)]) -> Result<(), sqlx::Error> {
    let (orgs, ids): (Vec<_>, Vec<_>) = calls.iter().map(|(org, call)| (org.0, call.0)).unzip();
    sqlx::query!(
        "insert into audited_late (org_id, id) select * from unnest($1::uuid[], $2::uuid[]) on conflict do nothing",
        &orgs,
        &ids,
    )
    .execute(conn)
    .await
    .map(drop)
}

/// What is kept has them: all that were begun before `until`.
pub async fn late_are_counted(conn: &mut PgConnection, until: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!("update audited_late set counted = true where not counted and id < call_floor($1)", until)
        .execute(conn)
        .await
        .map(drop)
}

/// Forgets those that are counted and whose transfer was compared, which is as old as their mark, give or take what two clocks
/// differ by.
pub async fn forget_late(conn: &mut PgConnection, compared: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from audited_late where counted and settled_at < $1::timestamptz - interval '5 minutes'",
        compared
    )
    .execute(conn)
    .await
    .map(drop)
}
