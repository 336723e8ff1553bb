//! Writing a settlement.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{CreditChange, MeterChange, NewTransfer};
use crate::base::Usd;
use crate::base::ids::{MeterId, OrgId};

/// Charges and releases on credits, then spending and releases on meters, and the transfers, in one statement: each
/// round trip less is one that every call behind waits less.
///
/// Credits are locked in the order of organizations before the first meter is touched, because what the meters are
/// joined with counts the changed credits. A window that the clock has passed starts at this spending. A clock that
/// looks earlier than the row (a transaction that began before midnight and waited) never turns a window back.
pub async fn apply(
    conn: &mut PgConnection,
    credits: &BTreeMap<OrgId, CreditChange>,
    meters: &BTreeMap<(OrgId, MeterId), MeterChange>,
    transfers: &[NewTransfer],
) -> Result<(), sqlx::Error> {
    if credits.is_empty() {
        return Ok(());
    }
    let orgs: Vec<Uuid> = credits.keys().map(|org| org.0).collect();
    let charges: Vec<Usd> = credits.values().map(|change| change.charge).collect();
    let releases: Vec<Usd> = credits.values().map(|change| change.release).collect();
    let (meter_orgs, meter_ids): (Vec<Uuid>, Vec<Uuid>) = meters.keys().map(|(org, id)| (org.0, id.0)).unzip();
    let meter_spends: Vec<Usd> = meters.values().map(|change| change.spend).collect();
    let meter_releases: Vec<Usd> = meters.values().map(|change| change.release).collect();
    let ids: Vec<Uuid> = transfers.iter().map(|t| t.id.0).collect();
    let codes: Vec<String> = transfers.iter().map(|t| t.code.as_str().to_owned()).collect();
    let references: Vec<String> = transfers.iter().map(|t| t.reference.clone()).collect();
    let debits: Vec<Uuid> = transfers.iter().map(|t| t.debit.0).collect();
    let credited: Vec<Uuid> = transfers.iter().map(|t| t.credit.0).collect();
    let amounts: Vec<Usd> = transfers.iter().map(|t| t.amount).collect();
    let owners: Vec<Option<Uuid>> = transfers.iter().map(|t| t.org.map(|org| org.0)).collect();
    let memos: Vec<String> = transfers.iter().map(|t| t.memo.clone()).collect();
    sqlx::query!(
        "with changed_credit as (
            update credit c set posted = c.posted - d.charge, held = c.held - d.release
            from (
                select x.org_id, x.charge, x.release
                from unnest($1::uuid[], $2::numeric[], $3::numeric[]) as x (org_id, charge, release)
                join credit l on l.org_id = x.org_id
                order by x.org_id
                for update of l
            ) d
            where c.org_id = d.org_id
            returning 1
         ), changed_meter as (
            update meter m set
                held = m.held - d.release,
                spent_total = m.spent_total + d.spend,
                spent_day = d.spend + case when m.day >= d.today then m.spent_day else 0 end,
                spent_week = d.spend + case when m.week >= d.monday then m.spent_week else 0 end,
                spent_month = d.spend + case when m.month >= d.first then m.spent_month else 0 end,
                byok_day = case when m.day >= d.today then m.byok_day else 0 end,
                byok_week = case when m.week >= d.monday then m.byok_week else 0 end,
                byok_month = case when m.month >= d.first then m.byok_month else 0 end,
                day = greatest(m.day, d.today),
                week = greatest(m.week, d.monday),
                month = greatest(m.month, d.first),
                last_used_at = clock_timestamp()
            from (
                select x.org_id, x.id, x.spend, x.release,
                    (clock_timestamp() at time zone 'utc')::date as today,
                    date_trunc('week', clock_timestamp() at time zone 'utc')::date as monday,
                    date_trunc('month', clock_timestamp() at time zone 'utc')::date as first
                from (select count(*) from changed_credit) as after
                cross join unnest($4::uuid[], $5::uuid[], $6::numeric[], $7::numeric[]) as x (org_id, id, spend, release)
                join meter l on l.org_id = x.org_id and l.id = x.id
                order by x.org_id, x.id
                for update of l
            ) d
            where m.org_id = d.org_id and m.id = d.id
         )
         insert into transfer (id, code, reference, debit_account, credit_account, amount, org_id, memo)
         select * from unnest($8::uuid[], $9::text[], $10::text[], $11::uuid[], $12::uuid[], $13::numeric[],
            $14::uuid[], $15::text[])",
        &orgs,
        &charges as &[Usd],
        &releases as &[Usd],
        &meter_orgs,
        &meter_ids,
        &meter_spends as &[Usd],
        &meter_releases as &[Usd],
        &ids,
        &codes,
        &references,
        &debits,
        &credited,
        &amounts as &[Usd],
        &owners as &[Option<Uuid>],
        &memos,
    )
    .execute(conn)
    .await?;
    Ok(())
}
