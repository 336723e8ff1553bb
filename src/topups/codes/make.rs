//! Making codes, and revoking what is left of them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::code::{CodeKey, PlainCode};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::BatchId;
use crate::base::{Origin, Usd};
use crate::topups::store;

/// Codes of one batch; they are printed at once.
pub const MAX_CODES: u32 = 10_000;
/// What one use may give.
const MAX_AMOUNT: Usd = Usd::from_whole(100_000);
const MAX_USES: u32 = 1_000_000;
const MAX_NOTE: usize = 200;

/// Codes to make.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// What one use gives.
    pub amount: Usd,
    pub codes: u32,
    pub uses_per_code: u32,
    /// Uses of one organization, of all codes of the batch together.
    pub uses_per_org: u32,
    /// From here on none of them works.
    pub expires_at: Option<DateTime<Utc>>,
    pub note: String,
}

/// A batch as an operator sees it.
#[derive(Clone, Debug)]
pub struct Batch {
    pub id: BatchId,
    pub amount: Usd,
    pub codes: i32,
    pub uses_per_code: i32,
    pub uses_per_org: i32,
    pub expires_at: Option<DateTime<Utc>>,
    pub note: String,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// Uses so far, and what they gave.
    pub used: i64,
    pub given: Usd,
}

#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error("the amount must be above zero, at most {}, and of whole cents", MAX_AMOUNT.display())]
    Amount,
    #[error("a batch has 1 to {MAX_CODES} codes")]
    Codes,
    #[error("a code has 1 to {MAX_USES} uses, and an organization as many of a batch")]
    Uses,
    #[error("the note must have at most {MAX_NOTE} characters")]
    Note,
    #[error("the codes would have expired already")]
    Expired,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// Makes codes and returns them. They are never shown again.
///
/// # Errors
/// See [`MakeError`]; then none was made.
pub async fn make(
    conn: &mut PgConnection,
    key: &CodeKey,
    new: &NewBatch,
) -> Result<(BatchId, Vec<PlainCode>), MakeError> {
    make_as(conn, key, new, Entry::new(Chain::House, Actor::Operator, Action::CodesMade, &Origin::here())).await
}

/// As [`make`], by whomever the beginning of the entry names.
///
/// # Errors
/// See [`MakeError`]; then none was made.
pub async fn make_as(
    conn: &mut PgConnection,
    key: &CodeKey,
    new: &NewBatch,
    entry: Entry,
) -> Result<(BatchId, Vec<PlainCode>), MakeError> {
    check(new)?;
    let now = store::now(conn).await?;
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(MakeError::Expired);
    }
    let id = BatchId::fresh();
    let codes: Vec<PlainCode> = (0..new.codes).map(|_| PlainCode::fresh()).collect();
    let digests = codes.iter().map(|code| key.digest(code)).collect::<anyhow::Result<Vec<_>>>()?;
    store::insert_batch(conn, id, new, &digests).await?;
    let after = json!({
        "amount": new.amount.exact(),
        "codes": new.codes,
        "uses_per_code": new.uses_per_code,
        "uses_per_org": new.uses_per_org,
        "expires_at": new.expires_at,
    });
    let entry = entry.on(Target::new("code_batch", id, &new.note));
    audit::record(conn, entry.change(Value::Null, after)).await?;
    Ok((id, codes))
}

fn check(new: &NewBatch) -> Result<(), MakeError> {
    if !new.amount.is_positive() || new.amount > MAX_AMOUNT || new.amount.whole_cents().is_none() {
        return Err(MakeError::Amount);
    }
    if new.codes == 0 || new.codes > MAX_CODES {
        return Err(MakeError::Codes);
    }
    if [new.uses_per_code, new.uses_per_org].iter().any(|uses| *uses == 0 || *uses > MAX_USES) {
        return Err(MakeError::Uses);
    }
    if new.note.chars().count() > MAX_NOTE || new.note.chars().any(char::is_control) {
        return Err(MakeError::Note);
    }
    Ok(())
}

/// Makes what is left of a batch worthless. What was redeemed stays. `None` when there is no such batch; false when
/// it was revoked before.
///
/// # Errors
/// Database errors only.
pub async fn revoke(conn: &mut PgConnection, id: BatchId) -> Result<Option<bool>, sqlx::Error> {
    let Some(changed) = store::revoke_batch(conn, id).await? else { return Ok(None) };
    if changed {
        let entry = Entry::new(Chain::House, Actor::Operator, Action::CodesRevoked, &Origin::here());
        audit::record(conn, entry.on(Target::new("code_batch", id, ""))).await?;
    }
    Ok(Some(changed))
}
