//! The journal.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::transfer::Code;
use crate::base::Usd;
use crate::base::ids::{AccountId, OrgId, TransferId};

/// A row for the journal.
#[derive(Clone, Debug)]
pub struct NewTransfer {
    pub id: TransferId,
    pub code: Code,
    pub reference: String,
    pub debit: AccountId,
    pub credit: AccountId,
    pub amount: Usd,
    pub org: Option<OrgId>,
    pub memo: String,
}

/// A transfer that was found under the same code and reference.
pub struct Earlier {
    pub id: TransferId,
    pub debit: AccountId,
    pub credit: AccountId,
    pub amount: Usd,
}

/// Inserts a transfer, or returns the one that its code and reference name already.
pub async fn insert_or_find_transfer(
    conn: &mut PgConnection,
    transfer: &NewTransfer,
) -> Result<Option<Earlier>, sqlx::Error> {
    let inserted = sqlx::query!(
        "insert into transfer (id, code, reference, debit_account, credit_account, amount, org_id, memo)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (code, reference) do nothing",
        transfer.id.0,
        transfer.code.as_str(),
        transfer.reference,
        transfer.debit.0,
        transfer.credit.0,
        transfer.amount.amount(),
        transfer.org.map(|org| org.0),
        transfer.memo,
    )
    .execute(&mut *conn)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(None);
    }
    let earlier = sqlx::query_as!(
        Earlier,
        r#"select id as "id: TransferId", debit_account as "debit: AccountId", credit_account as "credit: AccountId",
            amount as "amount: Usd"
           from transfer where code = $1 and reference = $2"#,
        transfer.code.as_str(),
        transfer.reference,
    )
    .fetch_one(conn)
    .await?;
    Ok(Some(earlier))
}

/// Credits that moved between two organizations, seen from one of them.
#[derive(Clone, Debug)]
pub struct Moved {
    pub id: TransferId,
    /// The organization on the other side.
    pub other: OrgId,
    /// Positive when credits came in.
    pub amount: Usd,
    pub at: DateTime<Utc>,
}

/// The latest moves of credits into an organization and out of it, newest first.
///
/// # Errors
/// Database errors only.
pub async fn moves(conn: &mut PgConnection, org: OrgId, limit: i64) -> Result<Vec<Moved>, sqlx::Error> {
    // Each side by its own index; what is read is bounded however many there are.
    sqlx::query_as!(
        Moved,
        r#"select id as "id!: TransferId", other as "other!: OrgId", amount as "amount!: Usd", at as "at!" from (
              (select id, debit_account as other, amount, created_at as at from transfer
               where credit_account = $1 and code = 'move' order by id desc limit $2)
              union all
              (select id, credit_account, -amount, created_at from transfer
               where debit_account = $1 and code = 'move' order by id desc limit $2)
           ) sides order by id desc limit $2"#,
        org.0,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// What an account got by the transfers of these codes and references, less what it gave by them.
///
/// # Errors
/// Database errors only.
pub async fn net_of(
    conn: &mut PgConnection,
    account: AccountId,
    references: &[(Code, String)],
) -> Result<Usd, sqlx::Error> {
    let (codes, references) = columns(references);
    sqlx::query_scalar!(
        r#"select coalesce(sum(case when debit_account = $1 then amount else -amount end), 0) as "net!: Usd"
           from transfer where (code, reference) in (select * from unnest($2::text[], $3::text[]))
            and $1 in (debit_account, credit_account)"#,
        account.0,
        &codes,
        &references,
    )
    .fetch_one(conn)
    .await
}

fn columns(references: &[(Code, String)]) -> (Vec<String>, Vec<String>) {
    references.iter().map(|(code, reference)| (code.as_str().to_owned(), reference.clone())).unzip()
}

/// A transfer as an operator reads it.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: DateTime<Utc>,
    pub code: String,
    /// Names of the accounts.
    pub debit: String,
    pub credit: String,
    pub amount: Usd,
}

/// The transfers of these codes and references, oldest first.
///
/// # Errors
/// Database errors only.
pub async fn lines_of(conn: &mut PgConnection, references: &[(Code, String)]) -> Result<Vec<Line>, sqlx::Error> {
    let (codes, references) = columns(references);
    sqlx::query_as!(
        Line,
        r#"select t.created_at as at, t.code, coalesce(d.name, '') as "debit!", coalesce(c.name, '') as "credit!",
            t.amount as "amount: Usd"
           from transfer t left join ledger_account d on d.id = t.debit_account
           left join ledger_account c on c.id = t.credit_account
           where (t.code, t.reference) in (select * from unnest($1::text[], $2::text[])) order by t.id"#,
        &codes,
        &references,
    )
    .fetch_all(conn)
    .await
}
