//! Writing a settlement.

use sqlx::PgConnection;

use crate::base::Usd;
use crate::base::ids::{AccountId, MeterId, OrgId, TransferId};
use crate::db::row_type;

/// What a settlement changes on one organization's credit.
#[derive(Clone, Debug, sqlx::Encode)]
pub struct CreditChange {
    pub org: OrgId,
    pub charge: Usd,
    pub release: Usd,
}
row_type!(CreditChange, "credit_change");

/// What a settlement changes on one meter.
#[derive(Clone, Debug, sqlx::Encode)]
pub struct MeterChange {
    pub org: OrgId,
    pub id: MeterId,
    pub spend: Usd,
    pub release: Usd,
}
row_type!(MeterChange, "meter_change");

/// What providers took themselves for the calls of one meter, and what was held of it.
#[derive(Clone, Debug, sqlx::Encode)]
pub struct ByokChange {
    pub org: OrgId,
    pub id: MeterId,
    pub spend: Usd,
    pub release: Usd,
}
row_type!(ByokChange, "byok_change");

/// A transfer that a settlement posts.
#[derive(Clone, Debug, sqlx::Encode)]
pub struct TransferLine {
    pub id: TransferId,
    pub code: &'static str,
    pub reference: String,
    pub debit: AccountId,
    pub credit: AccountId,
    pub amount: Usd,
    pub org: Option<OrgId>,
    pub memo: &'static str,
}
row_type!(TransferLine, "transfer_line");

/// Everything that a settlement changes in the books, in the order in which rows are locked.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub credits: Vec<CreditChange>,
    pub meters: Vec<MeterChange>,
    /// Meters of `meters`, where a provider has taken something itself.
    pub byok: Vec<ByokChange>,
    pub transfers: Vec<TransferLine>,
}

/// Charges and releases on credits, then spending and releases on meters, and the transfers, in one statement: each
/// round trip less is one that every call behind waits less.
///
/// Credits are locked in the order of organizations before the first meter is touched, because what the meters are
/// joined with counts the changed credits. A window that the clock has passed starts at this spending. A clock that
/// looks earlier than the row (a transaction that began before midnight and waited) never turns a window back.
pub async fn apply(conn: &mut PgConnection, changes: &Changes) -> Result<(), sqlx::Error> {
    if changes.credits.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "with changed_credit as (
            update credit c set posted = c.posted - d.charge, held = c.held - d.release
            from (
                select x.org_id, x.charge, x.release
                from unnest($1::credit_change[]) as x
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
                cross join unnest($2::meter_change[]) as x
                join meter l on l.org_id = x.org_id and l.id = x.id
                order by x.org_id, x.id
                for update of l
            ) d
            where m.org_id = d.org_id and m.id = d.id
         )
         insert into transfer (id, code, reference, debit_account, credit_account, amount, org_id, memo)
         select * from unnest($3::transfer_line[])",
        &changes.credits as &[CreditChange],
        &changes.meters as &[MeterChange],
        &changes.transfers as &[TransferLine],
    )
    .execute(&mut *conn)
    .await?;
    if changes.byok.is_empty() {
        return Ok(());
    }
    // The same rows again: they are locked, and their windows were rolled.
    sqlx::query!(
        "update meter m set held_byok = m.held_byok - x.release, byok_total = m.byok_total + x.spend,
            byok_day = m.byok_day + x.spend, byok_week = m.byok_week + x.spend, byok_month = m.byok_month + x.spend
         from unnest($1::byok_change[]) as x where m.org_id = x.org_id and m.id = x.id",
        &changes.byok as &[ByokChange],
    )
    .execute(conn)
    .await?;
    Ok(())
}
