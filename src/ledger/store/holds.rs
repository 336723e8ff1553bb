//! Opening and ending holds.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::decide::Books;
use super::super::hold::{ExpiredHold, Granted, Want};
use super::{CreditState, meters};
use crate::base::Usd;
use crate::base::ids::{CallId, MeterId, OrgId};
use crate::db::uuid_array;

/// A hold that this transaction ended.
#[derive(Clone, Debug)]
pub struct EndedHold {
    pub amount: Usd,
    pub meters: Vec<MeterId>,
}

/// Locks every credit and meter that the calls go through, in the one order.
pub async fn lock_books(conn: &mut PgConnection, wants: &[Want]) -> Result<Books, sqlx::Error> {
    let mut orgs: Vec<Uuid> = wants.iter().map(|want| want.org.0).collect();
    orgs.sort_unstable();
    orgs.dedup();
    let credits = sqlx::query_as!(
        CreditState,
        r#"select org_id as "org: OrgId", posted as "posted: Usd", held as "held: Usd"
           from credit where org_id = any($1) order by org_id for update"#,
        &orgs,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut wanted: Vec<(Uuid, Uuid)> =
        wants.iter().flat_map(|want| want.meters.iter().map(|meter| (want.org.0, meter.0))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let meters = meters::lock_meters(conn, &wanted).await?;
    Ok(Books {
        credits: credits.into_iter().map(|credit| (credit.org, credit)).collect(),
        meters: meters.into_iter().map(|meter| (meter.id, meter)).collect(),
    })
}

/// Writes all these holds and raises `held` on their rows, or does nothing. False when something does not fit or does
/// not exist. One statement, so that the common case, in which a whole batch fits, costs one round trip; where it does
/// not, [`lock_books`] and the rules of `decide` say who gets how much, and this writes that.
///
/// Locks are taken in the one order: credits by organization, then meters. What is compared is what the locks
/// returned, so it is as the last transaction before left it.
pub async fn hold_all(conn: &mut PgConnection, held: &[(&Want, Granted)], ttl: Duration) -> Result<bool, sqlx::Error> {
    let columns = Columns::of(held);
    let fits = sqlx::query_scalar!(
        r#"with wanted_credit as (
            select c.org_id, c.posted, c.held, x.amount
            from unnest($1::uuid[], $2::numeric[]) as x (org_id, amount)
            join credit c on c.org_id = x.org_id
            order by c.org_id
            for update of c
         ), wanted_meter as (
            select m.org_id, m.id, x.amount, m.held,
                least(
                    m.limit_total - m.spent_total - case when m.include_byok then m.byok_total else 0 end,
                    m.limit_day - case when m.day < d.today then 0
                        else m.spent_day + case when m.include_byok then m.byok_day else 0 end end,
                    m.limit_week - case when m.week < d.monday then 0
                        else m.spent_week + case when m.include_byok then m.byok_week else 0 end end,
                    m.limit_month - case when m.month < d.first then 0
                        else m.spent_month + case when m.include_byok then m.byok_month else 0 end end
                ) as most
            from (
                select count(*) as credits, (clock_timestamp() at time zone 'utc')::date as today,
                    date_trunc('week', clock_timestamp() at time zone 'utc')::date as monday,
                    date_trunc('month', clock_timestamp() at time zone 'utc')::date as first
                from wanted_credit
            ) d
            cross join unnest($3::uuid[], $4::uuid[], $5::numeric[]) as x (org_id, id, amount)
            join meter m on m.org_id = x.org_id and m.id = x.id
            order by m.org_id, m.id
            for update of m
         ), verdict as (
            select c.fits and m.fits as fits
            from (
                select count(*) = cardinality($1::uuid[]) and bool_and(posted >= 0 and held + amount <= posted) as fits
                from wanted_credit
            ) c, (
                select count(*) = cardinality($4::uuid[]) and coalesce(bool_and(held + amount <= most), true) as fits
                from wanted_meter
            ) m
         ), raised_credit as (
            update credit c set held = c.held + w.amount
            from wanted_credit w, verdict v
            where v.fits and c.org_id = w.org_id
         ), raised_meter as (
            update meter m set held = m.held + w.amount
            from wanted_meter w, verdict v
            where v.fits and m.org_id = w.org_id and m.id = w.id
         ), written as (
            insert into hold (org_id, id, amount, meters, memo, expires_at)
            select x.org_id, x.id, x.amount, x.meters::uuid[], x.memo, now() + make_interval(secs => $11)
            from verdict v,
                unnest($6::uuid[], $7::uuid[], $8::numeric[], $9::text[], $10::text[])
                as x (org_id, id, amount, meters, memo)
            where v.fits
         )
         select coalesce(fits, false) as "fits!" from verdict"#,
        &columns.orgs,
        &columns.org_amounts as &[Usd],
        &columns.meter_orgs,
        &columns.meter_ids,
        &columns.meter_amounts as &[Usd],
        &columns.hold_orgs,
        &columns.hold_ids,
        &columns.hold_amounts as &[Usd],
        &columns.hold_meters,
        &columns.hold_memos as &[&str],
        ttl.as_secs_f64(),
    )
    .fetch_one(conn)
    .await?;
    Ok(fits)
}

/// What a batch of holds changes, column by column.
struct Columns<'a> {
    orgs: Vec<Uuid>,
    org_amounts: Vec<Usd>,
    meter_orgs: Vec<Uuid>,
    meter_ids: Vec<Uuid>,
    meter_amounts: Vec<Usd>,
    hold_orgs: Vec<Uuid>,
    hold_ids: Vec<Uuid>,
    hold_amounts: Vec<Usd>,
    hold_meters: Vec<String>,
    hold_memos: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(held: &[(&'a Want, Granted)]) -> Columns<'a> {
        let mut by_org: HashMap<Uuid, Usd> = HashMap::new();
        let mut by_meter: HashMap<(Uuid, Uuid), Usd> = HashMap::new();
        for (want, granted) in held {
            *by_org.entry(want.org.0).or_default() += granted.amount;
            for meter in &want.meters {
                *by_meter.entry((want.org.0, meter.0)).or_default() += granted.amount;
            }
        }
        let (orgs, org_amounts) = by_org.into_iter().unzip();
        let (meter_keys, meter_amounts): (Vec<(Uuid, Uuid)>, Vec<Usd>) = by_meter.into_iter().unzip();
        let (meter_orgs, meter_ids) = meter_keys.into_iter().unzip();
        Columns {
            orgs,
            org_amounts,
            meter_orgs,
            meter_ids,
            meter_amounts,
            hold_orgs: held.iter().map(|(want, _)| want.org.0).collect(),
            hold_ids: held.iter().map(|(want, _)| want.call.0).collect(),
            hold_amounts: held.iter().map(|(_, granted)| granted.amount).collect(),
            hold_meters: held.iter().map(|(want, _)| uuid_array(want.meters.iter().map(|meter| meter.0))).collect(),
            hold_memos: held.iter().map(|(want, _)| want.memo.as_str()).collect(),
        }
    }
}

/// Deletes open holds. A hold that is not returned had ended before.
pub async fn end_holds(
    conn: &mut PgConnection,
    calls: impl Iterator<Item = (OrgId, CallId)>,
) -> Result<HashMap<CallId, EndedHold>, sqlx::Error> {
    let mut calls: Vec<(Uuid, Uuid)> = calls.map(|(org, call)| (org.0, call.0)).collect();
    calls.sort_unstable();
    let (orgs, ids): (Vec<Uuid>, Vec<Uuid>) = calls.into_iter().unzip();
    let rows = sqlx::query!(
        r#"delete from hold h
           using (
              select l.org_id, l.id
              from unnest($1::uuid[], $2::uuid[]) as x (org_id, id)
              join hold l on l.org_id = x.org_id and l.id = x.id
              order by l.org_id, l.id
              for update of l
           ) d
           where h.org_id = d.org_id and h.id = d.id
           returning h.id as "id: CallId", h.amount as "amount: Usd", h.meters as "meters: Vec<MeterId>""#,
        &orgs,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, EndedHold { amount: row.amount, meters: row.meters })).collect())
}

/// Expired holds, locked; those that another node is ending right now are skipped.
pub async fn expired_holds(conn: &mut PgConnection, most: i64) -> Result<Vec<ExpiredHold>, sqlx::Error> {
    sqlx::query_as!(
        ExpiredHold,
        r#"select id as "call: CallId", org_id as "org: OrgId", amount as "amount: Usd", memo
           from hold where expires_at < now()
           order by expires_at limit $1
           for update skip locked"#,
        most,
    )
    .fetch_all(conn)
    .await
}
