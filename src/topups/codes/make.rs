//! Making codes, and revoking what is left of them.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::code::{CodeKey, PlainCode};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::{BatchId, PersonId};
use crate::base::{Digest, Origin, Usd};
use crate::db::moment;
use crate::topups::store;

/// Codes of one batch; they are printed at once.
pub const MAX_CODES: u32 = 10_000;
/// What one use may give.
const MAX_AMOUNT: Usd = Usd::from_whole(100_000);
const MAX_USES: u32 = 1_000_000;
const MAX_NOTE: usize = 200;

/// Codes to make. One that waits for a second operator is stored like this, so later versions must still read it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

/// Codes that are ready to be stored, as their digests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    pub id: BatchId,
    pub new: NewBatch,
    pub digests: Vec<Digest>,
}

/// Who made a batch in the console; nobody on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MadeBy {
    pub maker: Option<PersonId>,
    /// The second operator, where it needed one.
    pub confirmed_by: Option<PersonId>,
}

impl NewBatch {
    /// What all of it may give away.
    #[must_use]
    pub fn worth(&self) -> Usd {
        let uses = Decimal::from(self.codes) * Decimal::from(self.uses_per_code);
        Usd::new(self.amount.amount() * uses)
    }
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
    let (prepared, codes) = prepare(conn, key, new).await?;
    let entry = Entry::new(Chain::House, Actor::Operator, Action::CodesMade, &Origin::here());
    put(conn, &prepared, MadeBy::default(), entry).await?;
    Ok((prepared.id, codes))
}

/// Thinks codes up and stores nothing: none of them works before [`put`].
///
/// # Errors
/// See [`MakeError`].
pub async fn prepare(
    conn: &mut PgConnection,
    key: &CodeKey,
    new: &NewBatch,
) -> Result<(Prepared, Vec<PlainCode>), MakeError> {
    check(new)?;
    not_over(conn, new).await?;
    let codes: Vec<PlainCode> = (0..new.codes).map(|_| PlainCode::fresh()).collect();
    let digests = codes.iter().map(|code| key.digest(code)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok((Prepared { id: BatchId::fresh(), new: new.clone(), digests }, codes))
}

/// From here on the codes work. `entry` is the beginning of what stands in the log.
///
/// # Errors
/// `Expired` where their time is over by now; database errors.
pub async fn put(conn: &mut PgConnection, prepared: &Prepared, by: MadeBy, entry: Entry) -> Result<(), MakeError> {
    let Prepared { id, new, digests } = prepared;
    not_over(conn, new).await?;
    store::insert_batch(conn, *id, new, by, digests).await?;
    let after = json!({
        "amount": new.amount.exact(),
        "codes": new.codes,
        "uses_per_code": new.uses_per_code,
        "uses_per_org": new.uses_per_org,
        "expires_at": new.expires_at,
    });
    let entry = entry.on(Target::new("code_batch", id, &new.note));
    audit::record(conn, entry.change(Value::Null, after)).await?;
    Ok(())
}

async fn not_over(conn: &mut PgConnection, new: &NewBatch) -> Result<(), MakeError> {
    let now = moment(conn).await?;
    if new.expires_at.is_some_and(|at| at <= now) { Err(MakeError::Expired) } else { Ok(()) }
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
/// it was revoked before. `entry` is the beginning of what stands in the log, where something changed.
///
/// # Errors
/// Database errors only.
pub async fn revoke(conn: &mut PgConnection, id: BatchId, entry: Entry) -> Result<Option<bool>, sqlx::Error> {
    let Some(changed) = store::revoke_batch(conn, id).await? else { return Ok(None) };
    if changed {
        audit::record(conn, entry.on(Target::new("code_batch", id, ""))).await?;
    }
    Ok(Some(changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_worth_all_uses_of_all_codes() {
        let new = NewBatch {
            amount: Usd::from_hundredths(250),
            codes: 10,
            uses_per_code: 3,
            uses_per_org: 1,
            expires_at: None,
            note: String::new(),
        };
        assert_eq!(new.worth(), Usd::from_whole(75));
        // The most that a form takes is still a number, and far above any limit.
        let most = NewBatch { amount: MAX_AMOUNT, codes: MAX_CODES, uses_per_code: MAX_USES, ..new };
        assert_eq!(most.worth().exact(), "1000000000000000");
    }
}
