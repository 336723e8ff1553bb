//! Posting: one movement of money, at most once.

use sqlx::PgConnection;

use super::store::{self, NewTransfer};
use super::transfer::Code;
use crate::base::Usd;
use crate::base::ids::{AccountId, OrgId, TransferId};

/// An intent to move money. `(code, reference)` makes it unique: a repetition changes nothing.
#[derive(Clone, Debug)]
pub struct Posting {
    pub code: Code,
    pub reference: String,
    pub debit: AccountId,
    pub credit: AccountId,
    pub amount: Usd,
    pub org: Option<OrgId>,
    pub memo: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Posted {
    Now(TransferId),
    /// The same intent had been posted before.
    Before(TransferId),
}

#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("an amount must be above zero")]
    NotPositive,
    #[error("an earlier posting of the same code and reference moved another amount or other accounts")]
    Differs,
    #[error("not enough credits are free for this")]
    Insufficient,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Moves money between two accounts in the caller's transaction.
///
/// # Errors
/// `Differs` when the reference was used for something else; `Insufficient` when an organization's free
/// credits do not cover the debit and the code may not overdraw; the caller then rolls back.
pub async fn post(conn: &mut PgConnection, posting: Posting) -> Result<Posted, PostError> {
    if !posting.amount.is_positive() {
        return Err(PostError::NotPositive);
    }
    let transfer = NewTransfer {
        id: TransferId::fresh(),
        code: posting.code,
        reference: posting.reference,
        debit: posting.debit,
        credit: posting.credit,
        amount: posting.amount,
        org: posting.org,
        memo: posting.memo,
    };
    if let Some(earlier) = store::insert_or_find_transfer(conn, &transfer).await? {
        let same =
            earlier.amount == transfer.amount && earlier.debit == transfer.debit && earlier.credit == transfer.credit;
        return if same { Ok(Posted::Before(earlier.id)) } else { Err(PostError::Differs) };
    }
    let overdraw = transfer.code.may_overdraw();
    if !store::move_credit(conn, &transfer, overdraw).await? {
        return Err(PostError::Insufficient);
    }
    Ok(Posted::Now(transfer.id))
}
