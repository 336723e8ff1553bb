//! Opening and ending holds.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::TimeDelta;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::decide::Books;
use super::super::hold::{ExpiredHold, Granted, Want};
use super::{CreditState, meters};
use crate::base::Usd;
use crate::base::ids::{CallId, MeterId, OrgId};
use crate::db::{interval, row_type};

/// A hold that this transaction ended.
#[derive(Clone, Debug)]
pub struct EndedHold {
    pub amount: Usd,
    /// What a provider might have taken itself.
    pub byok: Usd,
    pub meters: Vec<MeterId>,
}

/// A hold whose time has been over for so long should have been swept long before.
pub const OVERDUE: TimeDelta = TimeDelta::seconds(60);

/// Holds that are open, and those of them that are [`OVERDUE`].
///
/// # Errors
/// Database errors only.
pub async fn count_holds(conn: &mut PgConnection) -> Result<(i64, i64), sqlx::Error> {
    let row = sqlx::query!(
        r#"select count(*) as "open!",
            count(*) filter (where expires_at < now() - $1::interval) as "over!" from hold"#,
        interval(OVERDUE),
    )
    .fetch_one(conn)
    .await?;
    Ok((row.open, row.over))
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

/// What a batch of holds raises on one organization's credit.
#[derive(Debug, sqlx::Encode)]
struct CreditHold {
    org: OrgId,
    amount: Usd,
}
row_type!(CreditHold, "credit_hold");

/// What a batch of holds raises on one meter.
#[derive(Debug, sqlx::Encode)]
struct MeterHold {
    org: OrgId,
    id: MeterId,
    amount: Usd,
}
row_type!(MeterHold, "meter_hold");

/// One hold.
#[derive(Debug, sqlx::Encode)]
struct HoldLine<'a> {
    org: OrgId,
    id: CallId,
    amount: Usd,
    meters: &'a [MeterId],
    memo: &'a str,
}
row_type!(HoldLine<'a>, "hold_line");

impl<'a> HoldLine<'a> {
    fn of(want: &'a Want, granted: Granted) -> HoldLine<'a> {
        let Want { call, org, meters, memo, .. } = want;
        HoldLine { org: *org, id: *call, amount: granted.amount, meters, memo }
    }
}

/// What a batch may come to at providers themselves, on one meter or for one hold.
#[derive(Debug, sqlx::Encode)]
struct ByokHold {
    org: OrgId,
    id: Uuid,
    amount: Usd,
}
row_type!(ByokHold, "byok_hold");

/// Writes all these holds and raises `held` on their rows, or does nothing. False when something does not fit or does
/// not exist. One call of a function of `migrations/0028_calls.sql`, so that the common case, in which a whole batch
/// fits, costs one round trip; where it does not, [`lock_books`] and the rules of `decide` say who gets how much, and
/// this writes that. A batch with calls on provider accounts of an organization's own is one call of a function around
/// that one.
pub async fn hold_all(conn: &mut PgConnection, held: &[(&Want, Granted)], ttl: Duration) -> Result<bool, sqlx::Error> {
    // In the order in which everybody locks rows.
    let mut by_org: BTreeMap<OrgId, Usd> = BTreeMap::new();
    let mut by_meter: BTreeMap<(OrgId, MeterId), (Usd, Usd)> = BTreeMap::new();
    for (want, granted) in held {
        *by_org.entry(want.org).or_default() += granted.amount;
        for meter in &want.meters {
            let (amount, byok) = by_meter.entry((want.org, *meter)).or_default();
            *amount += granted.amount;
            *byok += granted.byok;
        }
    }
    let credits: Vec<CreditHold> = by_org.into_iter().map(|(org, amount)| CreditHold { org, amount }).collect();
    let meters: Vec<MeterHold> =
        by_meter.iter().map(|((org, id), (amount, _))| MeterHold { org: *org, id: *id, amount: *amount }).collect();
    let holds: Vec<HoldLine<'_>> = held.iter().map(|(want, granted)| HoldLine::of(want, *granted)).collect();
    let ttl = interval(TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX));
    if held.iter().all(|(_, granted)| granted.byok.is_zero()) {
        return sqlx::query_scalar!(
            r#"select hold_calls($1, $2, $3, $4) as "fits!""#,
            &credits as &[CreditHold],
            &meters as &[MeterHold],
            &holds as &[HoldLine<'_>],
            ttl,
        )
        .fetch_one(conn)
        .await;
    }
    let byok = by_meter.into_iter().filter(|(_, (_, byok))| byok.is_positive());
    let byok: Vec<ByokHold> = byok.map(|((org, id), (_, amount))| ByokHold { org, id: id.0, amount }).collect();
    let own = held.iter().filter(|(_, granted)| granted.byok.is_positive());
    let own: Vec<ByokHold> =
        own.map(|(want, granted)| ByokHold { org: want.org, id: want.call.0, amount: granted.byok }).collect();
    sqlx::query_scalar!(
        r#"select hold_own_calls($1, $2, $3, $4, $5, $6) as "fits!""#,
        &credits as &[CreditHold],
        &meters as &[MeterHold],
        &holds as &[HoldLine<'_>],
        ttl,
        &byok as &[ByokHold],
        &own as &[ByokHold],
    )
    .fetch_one(conn)
    .await
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
           returning h.id as "id: CallId", h.amount as "amount: Usd", h.byok as "byok: Usd", h.meters as "meters: Vec<MeterId>""#,
        &orgs,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, EndedHold { amount: row.amount, byok: row.byok, meters: row.meters }))
        .collect())
}

/// Whether a call is running, as far as the books know.
///
/// # Errors
/// Database errors only.
pub async fn is_held(conn: &mut PgConnection, org: OrgId, call: CallId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select from hold where org_id = $1 and id = $2) as "held!""#, org.0, call.0,)
        .fetch_one(conn)
        .await
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
