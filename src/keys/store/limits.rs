//! Limits that are near, and the marks of meters that came near one.

use sqlx::PgConnection;

use super::super::near_limits::{Mark, NearLimit, Whose};
use crate::base::Usd;
use crate::base::ids::{MeterId, OrgId, PersonId};

/// The first mark after another, of whichever organization. It is the caller's until the end of the transaction; those that
/// are somebody else's are passed over.
pub async fn next_mark(conn: &mut PgConnection, after: Option<(OrgId, i64)>) -> Result<Option<Mark>, sqlx::Error> {
    let (org, id) = after.map_or((None, None), |(org, id)| (Some(org.0), Some(id)));
    sqlx::query_as!(
        Mark,
        r#"select org_id as "org: OrgId", id, meter_id as "meter: MeterId" from limit_mark
           where $1::uuid is null or (org_id, id) > ($1, $2::bigint)
           order by org_id, id limit 1 for update skip locked"#,
        org,
        id,
    )
    .fetch_optional(conn)
    .await
}

pub async fn end_mark(conn: &mut PgConnection, mark: &Mark) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from limit_mark where org_id = $1 and id = $2", mark.org.0, mark.id).execute(conn).await?;
    Ok(())
}

/// Limits of a meter that are used to 80 or 100 percent and were not told of in this window. What a call may cost is held
/// before it runs, so the last cents of a limit are seldom spent: from half a percent below, it is used up.
pub async fn near_limits(conn: &mut PgConnection, org: OrgId, meter: MeterId) -> Result<Vec<NearLimit>, sqlx::Error> {
    sqlx::query_as!(
        NearLimit,
        r#"with today as (
            select (clock_timestamp() at time zone 'utc')::date as day,
                date_trunc('week', clock_timestamp() at time zone 'utc')::date as week,
                date_trunc('month', clock_timestamp() at time zone 'utc')::date as month
        )
        select m.org_id as "org!: OrgId", m.id as "meter!: MeterId", m.kind as "kind!", w.span as "span!",
            w.since as "since!", w.amount as "limit!: Usd", w.spent as "spent!: Usd", p.percent as "percent!"
        from meter m
        cross join today t
        cross join lateral (values
            ('total', date '1970-01-01', m.limit_total,
                m.spent_total + case when m.include_byok then m.byok_total else 0 end),
            ('day', t.day, m.limit_day, case when m.day = t.day
                then m.spent_day + case when m.include_byok then m.byok_day else 0 end else 0 end),
            ('week', t.week, m.limit_week, case when m.week = t.week
                then m.spent_week + case when m.include_byok then m.byok_week else 0 end else 0 end),
            ('month', t.month, m.limit_month, case when m.month = t.month
                then m.spent_month + case when m.include_byok then m.byok_month else 0 end else 0 end)
        ) as w (span, since, amount, spent)
        cross join (values (80, 800), (100, 995)) as p (percent, tenths)
        where m.org_id = $1 and m.id = $2 and w.amount > 0 and w.spent * 1000 >= w.amount * p.tenths
            and not exists (
                select from limit_told l where l.org_id = m.org_id and l.meter_id = m.id and l.span = w.span
                    and l.since = w.since and l.percent = p.percent and l.amount = w.amount)
        order by p.percent desc, w.span"#,
        org.0,
        meter.0,
    )
    .fetch_all(conn)
    .await
}

/// False when it was told of before.
pub async fn insert_told(conn: &mut PgConnection, near: &NearLimit) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into limit_told (org_id, meter_id, span, since, percent, amount) values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing",
        near.org.0,
        near.meter.0,
        near.span,
        near.since,
        near.percent,
        near.limit.amount(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Windows that are over are not told of again anyway; what has no window is.
pub async fn forget_told(conn: &mut PgConnection, days: i32) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from limit_told where (org_id, meter_id, span, since, percent, amount) in (
            select org_id, meter_id, span, since, percent, amount from limit_told
            where told_at < now() - make_interval(days => $1) and span <> 'total' order by told_at limit 1000)",
        days,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Of a key that is not deleted, in an organization that is not. One that a program issued is nobody's: programs make thousands.
pub async fn whose_limit(conn: &mut PgConnection, org: OrgId, meter: MeterId) -> Result<Option<Whose>, sqlx::Error> {
    sqlx::query_as!(
        Whose,
        r#"select o.name as org_name, k.name,
            case when k.issued_by is null then k.created_by end as "person: PersonId"
           from api_key k join org o on o.id = k.org_id
           where k.org_id = $1 and k.id = $2 and k.deleted_at is null and o.deleted_at is null"#,
        org.0,
        meter.0,
    )
    .fetch_optional(conn)
    .await
}

/// Of somebody who is a member now.
pub async fn whose_cap(conn: &mut PgConnection, org: OrgId, meter: MeterId) -> Result<Option<Whose>, sqlx::Error> {
    sqlx::query_as!(
        Whose,
        r#"select o.name as org_name, p.name, p.id as "person?: PersonId"
           from membership m join org o on o.id = m.org_id join person p on p.id = m.person_id
           where m.org_id = $1 and m.meter_id = $2"#,
        org.0,
        meter.0,
    )
    .fetch_optional(conn)
    .await
}
