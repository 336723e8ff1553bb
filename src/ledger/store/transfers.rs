//! The journal.

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
