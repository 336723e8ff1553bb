//! Meters: counters with limits.

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::meter::{Limits, MeterKind, MeterState, Spent};
use crate::base::Usd;
use crate::base::ids::{MeterId, OrgId};

pub async fn insert_meter(
    conn: &mut PgConnection,
    org: OrgId,
    id: MeterId,
    kind: MeterKind,
    limits: Limits,
    include_byok: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into meter (org_id, id, kind, limit_total, limit_day, limit_week, limit_month, include_byok)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        org.0,
        id.0,
        kind.as_str(),
        limits.total.map(Usd::amount),
        limits.day.map(Usd::amount),
        limits.week.map(Usd::amount),
        limits.month.map(Usd::amount),
        include_byok,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn update_limits(
    conn: &mut PgConnection,
    org: OrgId,
    id: MeterId,
    limits: Limits,
    include_byok: bool,
) -> Result<(), sqlx::Error> {
    let done = sqlx::query!(
        "update meter set limit_total = $3, limit_day = $4, limit_week = $5, limit_month = $6, include_byok = $7
         where org_id = $1 and id = $2",
        org.0,
        id.0,
        limits.total.map(Usd::amount),
        limits.day.map(Usd::amount),
        limits.week.map(Usd::amount),
        limits.month.map(Usd::amount),
        include_byok,
    )
    .execute(conn)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// Sets windows that lie ahead of the clock to those of now. Rows that somebody else has locked wait for the next time.
/// A database whose clock is behind for a moment has none ahead, so `at_least`, the day of the program's own clock, counts too.
pub async fn turn_back(conn: &mut PgConnection, at_least: NaiveDate) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "with now as (
            select d.today, date_trunc('week', d.today)::date as monday, date_trunc('month', d.today)::date as first
            from (select greatest((clock_timestamp() at time zone 'utc')::date, $1) as today) d
         ), ahead as (
            select m.org_id, m.id from meter m cross join now n
            where m.day > n.today + 1 or m.week > n.monday + 7 or m.month > (n.first + interval '1 month')::date
            order by m.org_id, m.id
            for update of m skip locked
         )
         update meter m set day = least(m.day, n.today), week = least(m.week, n.monday), month = least(m.month, n.first)
         from ahead a cross join now n
         where m.org_id = a.org_id and m.id = a.id",
        at_least,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

struct Row {
    org: OrgId,
    id: MeterId,
    kind: String,
    limit_total: Option<Usd>,
    limit_day: Option<Usd>,
    limit_week: Option<Usd>,
    limit_month: Option<Usd>,
    include_byok: bool,
    held: Usd,
    held_byok: Usd,
    spent_total: Usd,
    spent_day: Usd,
    spent_week: Usd,
    spent_month: Usd,
    byok_total: Usd,
    byok_day: Usd,
    byok_week: Usd,
    byok_month: Usd,
    day: chrono::NaiveDate,
    week: chrono::NaiveDate,
    month: chrono::NaiveDate,
    today: chrono::NaiveDate,
    last_used_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl From<Row> for MeterState {
    fn from(row: Row) -> MeterState {
        MeterState {
            org: row.org,
            id: row.id,
            kind: row.kind,
            limits: Limits { total: row.limit_total, day: row.limit_day, week: row.limit_week, month: row.limit_month },
            include_byok: row.include_byok,
            held: row.held,
            held_byok: row.held_byok,
            spent: Spent { total: row.spent_total, day: row.spent_day, week: row.spent_week, month: row.spent_month },
            byok: Spent { total: row.byok_total, day: row.byok_day, week: row.byok_week, month: row.byok_month },
            day: row.day,
            week: row.week,
            month: row.month,
            today: row.today,
            last_used_at: row.last_used_at,
        }
    }
}

/// Reads meters as `m`. The checked queries take nothing but literals, so what they share is a macro.
macro_rules! select_meters {
    ($from:literal, $($value:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select m.org_id as "org: OrgId", m.id as "id: MeterId", kind,
                limit_total as "limit_total: Usd", limit_day as "limit_day: Usd", limit_week as "limit_week: Usd",
                limit_month as "limit_month: Usd", include_byok, held as "held: Usd", held_byok as "held_byok: Usd",
                spent_total as "spent_total: Usd", spent_day as "spent_day: Usd", spent_week as "spent_week: Usd",
                spent_month as "spent_month: Usd", byok_total as "byok_total: Usd", byok_day as "byok_day: Usd",
                byok_week as "byok_week: Usd", byok_month as "byok_month: Usd", day, week, month,
                (clock_timestamp() at time zone 'utc')::date as "today!", last_used_at
                "#
                + $from,
            $($value),*
        )
    };
}

pub async fn lock_meters(conn: &mut PgConnection, wanted: &[(Uuid, Uuid)]) -> Result<Vec<MeterState>, sqlx::Error> {
    let (orgs, ids): (Vec<Uuid>, Vec<Uuid>) = wanted.iter().copied().unzip();
    let rows = select_meters!(
        r#"from unnest($1::uuid[], $2::uuid[]) as x (org_id, id)
           join meter m on m.org_id = x.org_id and m.id = x.id
           order by m.org_id, m.id
           for update of m"#,
        &orgs,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(MeterState::from).collect())
}

/// Reads meters of one organization, for pages and the API.
///
/// # Errors
/// Database errors only.
pub async fn meter_states(
    conn: &mut PgConnection,
    org: OrgId,
    ids: &[MeterId],
) -> Result<Vec<MeterState>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = select_meters!("from meter m where org_id = $1 and id = any($2)", org.0, &ids,).fetch_all(conn).await?;
    Ok(rows.into_iter().map(MeterState::from).collect())
}

/// Meters of one kind of which at least `percent` of some limit may be used, the last used first. What was spent in a
/// window that has passed still counts here, so the caller looks again at [`MeterState::tightest`].
///
/// # Errors
/// Database errors only.
pub async fn meters_near_limit(
    conn: &mut PgConnection,
    org: OrgId,
    kind: MeterKind,
    percent: u8,
    most: i64,
) -> Result<Vec<MeterState>, sqlx::Error> {
    let rows = select_meters!(
        r#"from meter m
           where org_id = $1 and kind = $2 and (
              (spent_total + byok_total) * 100 >= limit_total * $3::integer
              or (spent_day + byok_day) * 100 >= limit_day * $3::integer
              or (spent_week + byok_week) * 100 >= limit_week * $3::integer
              or (spent_month + byok_month) * 100 >= limit_month * $3::integer)
           order by last_used_at desc nulls last, id limit $4"#,
        org.0,
        kind.as_str(),
        i32::from(percent),
        most,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(MeterState::from).collect())
}
