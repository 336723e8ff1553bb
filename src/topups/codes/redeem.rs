//! Redeeming a code.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::code::{CodeError, CodeKey, PlainCode};
use super::throttle::Throttle;
use crate::audit::{self, Action, Target};
use crate::base::ids::RedemptionId;
use crate::base::{Digest, Usd};
use crate::ledger::{self, Code, HouseAccount, Posting};
use crate::orgs::{Acting, OrgError, Permission};
use crate::topups::store::{self, CodeRow, Redemption};

#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error(transparent)]
    Code(#[from] CodeError),
    /// Unknown, used up, too old, or revoked: which of them is not told.
    #[error("This code cannot be redeemed: it is not known here, was used already, or is no longer valid.")]
    Refused,
    #[error("Your organization has redeemed as many codes of this kind as one may.")]
    OrgLimit,
    #[error("This form redeemed another code before. Open the page again.")]
    Differs,
    #[error("too many tries")]
    TooMany,
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for RedeemError {
    fn from(error: sqlx::Error) -> RedeemError {
        RedeemError::Org(error.into())
    }
}

/// How a redemption went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redeemed {
    Now(Usd),
    /// The same form had redeemed it before.
    Before(Usd),
}

/// Redeems a code for the organization that somebody acts in: counts the use, posts the credits and writes it down, in
/// the caller's transaction. The same id again redeems nothing again, and says so.
///
/// The caller commits after `Refused` as well, so that the try is counted, and rolls back after any other error.
///
/// # Errors
/// See [`RedeemError`].
pub async fn redeem(
    conn: &mut PgConnection,
    key: &CodeKey,
    acting: &Acting<'_>,
    id: RedemptionId,
    text: &str,
) -> Result<Redeemed, RedeemError> {
    // A typing mistake tells nothing of any code, so it is not counted.
    let code = PlainCode::parse(text)?;
    let digest = key.digest(&code)?;
    // Under the lock of the organization its tries come one after the other, and so do its uses of a batch.
    acting.lock_staying(conn, Permission::HandleCredits).await?;
    if let Some(earlier) = store::redemption(conn, acting.org, id).await? {
        return if earlier.digest == digest { Ok(Redeemed::Before(earlier.amount)) } else { Err(RedeemError::Differs) };
    }
    let throttle = Throttle::of(acting.person.id, acting.org, &acting.origin.ip);
    if throttle.is_closed(conn).await? {
        return Err(RedeemError::TooMany);
    }
    let found = store::lock_code(conn, &digest).await?;
    let Some(row) = found.filter(CodeRow::is_good) else {
        throttle.note_failure(conn).await?;
        return Err(RedeemError::Refused);
    };
    if store::count_redemptions(conn, acting.org, row.batch).await? >= i64::from(row.uses_per_org) {
        return Err(RedeemError::OrgLimit);
    }
    take(conn, acting, id, &digest, &row).await?;
    Ok(Redeemed::Now(row.amount))
}

async fn take(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    id: RedemptionId,
    digest: &Digest,
    row: &CodeRow,
) -> Result<(), RedeemError> {
    store::count_use(conn, digest).await?;
    let new = Redemption { id, batch: row.batch, digest: *digest, amount: row.amount };
    if !store::insert_redemption(conn, acting.org, &new, acting.person.id).await? {
        return Err(RedeemError::Differs);
    }
    let posting = Posting {
        code: Code::Redeem,
        reference: id.to_string(),
        debit: HouseAccount::Promotions.id(),
        credit: ledger::credit_account(acting.org),
        amount: row.amount,
        org: Some(acting.org),
        memo: row.batch.to_string(),
    };
    ledger::post(conn, posting).await.map_err(anyhow::Error::new)?;
    let entry = acting.entry(Action::CodeRedeemed).on(Target::new("redemption", id, ""));
    let after = json!({ "amount": row.amount.exact(), "batch": row.batch });
    audit::record(conn, entry.change(Value::Null, after)).await?;
    Ok(())
}
