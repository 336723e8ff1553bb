//! What organizations own.

use sqlx::PgConnection;

use super::NewTransfer;
use crate::base::Usd;
use crate::base::ids::OrgId;

/// An organization's balance: `available = posted - held`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CreditState {
    pub org: OrgId,
    pub posted: Usd,
    pub held: Usd,
}

impl CreditState {
    #[must_use]
    pub fn available(&self) -> Usd {
        self.posted - self.held
    }
}

pub async fn insert_credit(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into ledger_account (id, kind, name, org_id) values ($1, 'credit', $2, $1)",
        org.0,
        format!("credit:{org}"),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("insert into credit (org_id) values ($1)", org.0).execute(conn).await?;
    Ok(())
}

/// Reads a balance. A figure to show, not to decide on: only a locked row decides.
///
/// # Errors
/// `RowNotFound` for an unknown organization.
pub async fn credit_state(conn: &mut PgConnection, org: OrgId) -> Result<CreditState, sqlx::Error> {
    sqlx::query_as!(
        CreditState,
        r#"select org_id as "org: OrgId", posted as "posted: Usd", held as "held: Usd" from credit where org_id = $1"#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// As [`credit_state`], and nothing changes it until the transaction ends: a figure to decide on.
///
/// # Errors
/// Database errors only.
pub async fn lock_credit(conn: &mut PgConnection, org: OrgId) -> Result<Option<CreditState>, sqlx::Error> {
    sqlx::query_as!(
        CreditState,
        r#"select org_id as "org: OrgId", posted as "posted: Usd", held as "held: Usd"
           from credit where org_id = $1 for update"#,
        org.0,
    )
    .fetch_optional(conn)
    .await
}

/// Applies a posted transfer to the organizations on its sides. False when a debit is not covered
/// by free credits and must be.
pub async fn move_credit(conn: &mut PgConnection, transfer: &NewTransfer, overdraw: bool) -> Result<bool, sqlx::Error> {
    // Both rows in the order of organizations, as everywhere.
    let mut sides = [(transfer.debit.0, -transfer.amount), (transfer.credit.0, transfer.amount)];
    sides.sort();
    for (account, change) in sides {
        let row = sqlx::query!(
            r#"update credit set posted = posted + $2 where org_id = $1 returning posted as "posted: Usd", held as "held: Usd""#,
            account,
            change.amount(),
        )
        .fetch_optional(&mut *conn)
        .await?;
        let short = row.is_some_and(|credit| change.is_negative() && credit.posted < credit.held);
        if short && !overdraw {
            return Ok(false);
        }
    }
    Ok(true)
}
