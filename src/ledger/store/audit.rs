//! Sums for the auditor. Each query returns only what does not add up, bounded.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::holds::OVERDUE;
use crate::base::Usd;
use crate::db::interval;

/// An audit reports this many findings of a kind at most.
const MAX_FINDINGS: i64 = 100;

/// A balance beside the sum that it should equal.
pub struct Difference {
    pub subject: String,
    pub expected: Usd,
    pub found: Usd,
}

/// How many of these accounts there are, and whether the journal refuses changes.
pub async fn foundations(conn: &mut PgConnection, accounts: &[Uuid]) -> Result<(i64, bool), sqlx::Error> {
    let row = sqlx::query!(
        r#"select (select count(*) from ledger_account where id = any($1)) as "accounts!",
            exists (select from pg_trigger where tgrelid = 'transfer'::regclass and tgname = 'transfer_append_only') as "guarded!""#,
        accounts,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.accounts, row.guarded))
}

pub async fn audit_counts(conn: &mut PgConnection) -> Result<(i64, i64, i64), sqlx::Error> {
    let row = sqlx::query!(
        r#"select (select count(*) from ledger_account) as "accounts!", (select count(*) from transfer) as "transfers!",
            (select count(*) from hold) as "holds!""#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.accounts, row.transfers, row.holds))
}

pub async fn drifted_credits(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"with moved as (
              select account, sum(amount) as amount from (
                 select credit_account as account, amount from transfer
                 union all
                 select debit_account, -amount from transfer
              ) sides group by account
           )
           select 'credit of ' || c.org_id as "subject!", coalesce(m.amount, 0) as "expected!: Usd", c.posted as "found: Usd"
           from credit c left join moved m on m.account = c.org_id
           where c.posted <> coalesce(m.amount, 0)
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

pub async fn drifted_credit_holds(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'held credit of ' || c.org_id as "subject!", coalesce(h.amount, 0) as "expected!: Usd", c.held as "found: Usd"
           from credit c left join (select org_id, sum(amount) as amount from hold group by org_id) h using (org_id)
           where c.held <> coalesce(h.amount, 0)
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

pub async fn drifted_meter_holds(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'held of ' || m.kind || ' meter ' || m.id as "subject!", coalesce(h.amount, 0) as "expected!: Usd",
            m.held as "found: Usd"
           from meter m left join (
              select org_id, unnest(meters) as id, sum(amount) as amount from hold group by 1, 2
           ) h on h.org_id = m.org_id and h.id = m.id
           where m.held <> coalesce(h.amount, 0)
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

pub async fn drifted_byok_holds(conn: &mut PgConnection) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"select 'held for providers of ' || m.kind || ' meter ' || m.id as "subject!",
            coalesce(h.amount, 0) as "expected!: Usd", m.held_byok as "found: Usd"
           from meter m left join (
              select org_id, unnest(meters) as id, sum(byok) as amount from hold where byok > 0 group by 1, 2
           ) h on h.org_id = m.org_id and h.id = m.id
           where m.held_byok <> coalesce(h.amount, 0)
           limit $1"#,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

/// The same from what was found right up to `since`, and what has come since.
pub async fn drifted_credits_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<Difference>, sqlx::Error> {
    sqlx::query_as!(
        Difference,
        r#"with moved as (
              select account, sum(amount) as amount from (
                 select credit_account as account, amount from transfer where id >= call_floor($1)
                 union all
                 select debit_account, -amount from transfer where id >= call_floor($1)
                 union all
                 select id, amount from audited where kind = 'posted'
              ) sides group by account
           )
           select 'credit of ' || c.org_id as "subject!", coalesce(m.amount, 0) as "expected!: Usd", c.posted as "found: Usd"
           from credit c left join moved m on m.account = c.org_id
           where c.posted <> coalesce(m.amount, 0)
           limit $2"#,
        since,
        MAX_FINDINGS,
    )
    .fetch_all(conn)
    .await
}

/// Takes what is posted now for the sum of all transfers. Only for books that were just found right, in the same snapshot.
pub async fn keep_posted(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into audited (org_id, kind, id, amount, own) select org_id, 'posted', org_id, posted, 0 from credit",
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Adds what was moved from a moment on to the sums that are kept, up to another one if there is one; or takes it off, with a
/// `sign` of -1.
pub async fn shift_posted(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    sign: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into audited (org_id, kind, id, amount, own)
         select c.org_id, 'posted', c.org_id, sum(sides.amount) * $3::int, 0 from (
            select id, credit_account as account, amount from transfer where id >= call_floor($1)
            union all
            select id, debit_account, -amount from transfer where id >= call_floor($1)
         ) sides join credit c on c.org_id = sides.account
         where $2::timestamptz is null or sides.id < call_floor($2)
         group by c.org_id
         on conflict (org_id, kind, id) do update set amount = audited.amount + excluded.amount",
        from,
        until,
        sign,
    )
    .execute(conn)
    .await
    .map(drop)
}

/// Of transfers since a moment; of all with none.
pub async fn orphan_transfers(
    conn: &mut PgConnection,
    since: Option<DateTime<Utc>>,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select 'transfer ' || t.id as "subject!" from transfer t
           left join ledger_account d on d.id = t.debit_account
           left join ledger_account c on c.id = t.credit_account
           where (d.id is null or c.id is null)
            and t.id >= call_floor(coalesce($2::timestamptz, 'epoch'))
           limit $1"#,
        MAX_FINDINGS,
        since,
    )
    .fetch_all(conn)
    .await
}

pub async fn overdue_holds(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select 'hold ' || id || ' expired at ' || expires_at as "subject!" from hold
           where expires_at < now() - $2::interval
           limit $1"#,
        MAX_FINDINGS,
        interval(OVERDUE),
    )
    .fetch_all(conn)
    .await
}

/// Zero by construction, for each transfer is both sides; checked all the same.
pub async fn sum_of_all_accounts(conn: &mut PgConnection) -> Result<Usd, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select (coalesce((select sum(posted) from credit), 0) + coalesce((
              select sum(case when c.kind <> 'credit' then amount else 0 end - case when d.kind <> 'credit' then amount else 0 end)
              from transfer t
              left join ledger_account d on d.id = t.debit_account
              left join ledger_account c on c.id = t.credit_account
           ), 0)) as "sum!: Usd""#,
    )
    .fetch_one(conn)
    .await
}
