//! What a second operator has to agree to, besides grants and corrections: large batches of codes, and new operators.
//! Until then nothing of it is there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use super::adjust::ALONE_WITHIN;
use super::store;
use super::waiting::{self, OPEN_FOR, Waiting};
use crate::accounts::operator::{self, By, Refusal, StaffError, StaffRole};
use crate::accounts::{self, Person};
use crate::audit::Entry;
use crate::base::ids::{BatchId, ConfirmationId, PersonId};
use crate::base::{Digest, Usd};
use crate::db::moment;
use crate::topups::codes::{self, MadeBy, MakeError, NewBatch, Prepared};

/// What is asked for. It is stored, so later versions must still read it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Wish {
    /// Codes that somebody has and that do not work yet.
    Codes {
        batch: BatchId,
        new: NewBatch,
        /// In hex, until it is decided.
        #[serde(default)]
        digests: Vec<String>,
    },
    Operator {
        person: PersonId,
    },
}

impl Wish {
    #[must_use]
    pub fn codes(prepared: &Prepared) -> Wish {
        let digests = prepared.digests.iter().map(Digest::to_hex).collect();
        Wish::Codes { batch: prepared.id, new: prepared.new.clone(), digests }
    }

    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Wish::Codes { .. } => "codes",
            Wish::Operator { .. } => "operator",
        }
    }
}

/// One as it is kept.
#[derive(Clone, Debug)]
pub struct Confirmation {
    pub id: ConfirmationId,
    pub wish: sqlx::types::Json<Wish>,
    pub reason: String,
    /// `pending`, `confirmed`, `rejected` or `withdrawn`.
    pub state: String,
    pub made_by: PersonId,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub decided_by: Option<PersonId>,
    pub decided_at: Option<DateTime<Utc>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error("There is no such confirmation.")]
    NotFound,
    #[error(transparent)]
    Waiting(#[from] Waiting),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("The codes would have expired already. Reject it.")]
    CodesOver,
    #[error("They have no account any more, or their address is not proven. Reject it.")]
    NobodyThere,
    #[error("They are an operator already. Reject it.")]
    OperatorAlready,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// What an operator gave away alone lately: grants and corrections, and codes whether used or not.
///
/// # Errors
/// Database errors only.
pub async fn given_alone(conn: &mut PgConnection, person: PersonId) -> Result<Usd, sqlx::Error> {
    let booked = store::booked_alone(conn, person, ALONE_WITHIN).await?;
    Ok(booked + codes::made_alone(conn, person, ALONE_WITHIN).await?)
}

/// Lets it wait for a second operator.
///
/// # Errors
/// Database errors only.
pub async fn ask(
    conn: &mut PgConnection,
    wish: &Wish,
    reason: &str,
    by: PersonId,
) -> Result<ConfirmationId, sqlx::Error> {
    let id = ConfirmationId::fresh();
    store::insert_confirmation(conn, id, wish, reason, by, OPEN_FOR).await?;
    Ok(id)
}

/// What was agreed to and done.
pub struct Confirmed {
    pub one: Confirmation,
    /// Who became an operator, and what they were and are.
    pub staff: Option<(Person, (Value, Value))>,
}

/// Agrees, and does it. Of two who do so at once, one finds it decided. `entry` is the beginning of the entry about codes.
///
/// # Errors
/// See [`ConfirmError`].
pub async fn confirm(
    conn: &mut PgConnection,
    id: ConfirmationId,
    by: PersonId,
    entry: Entry,
) -> Result<Confirmed, ConfirmError> {
    let mut staff = None;
    let one = open(conn, id).await?;
    operator::may_confirm(conn, one.made_by, by).await??;
    store::decide_confirmation(conn, id, "confirmed", by).await?;
    match &one.wish.0 {
        Wish::Codes { batch, new, digests } => {
            let digests = digests.iter().map(|text| digest(text)).collect::<anyhow::Result<Vec<_>>>()?;
            let prepared = Prepared { id: *batch, new: new.clone(), digests };
            let made_by = MadeBy { maker: Some(one.made_by), confirmed_by: Some(by) };
            codes::put(conn, &prepared, made_by, entry).await.map_err(|error| match error {
                MakeError::Expired => ConfirmError::CodesOver,
                MakeError::Database(error) => error.into(),
                other => ConfirmError::Internal(other.into()),
            })?;
        }
        Wish::Operator { person } => {
            let person: Person = accounts::find_person(conn, *person).await?.ok_or(ConfirmError::NobodyThere)?;
            let made = operator::change_staff(conn, &person, Some(StaffRole::Operator), By::Two).await;
            let changed = made.map_err(|error| match error {
                StaffError::Database(error) => error.into(),
                StaffError::Already => ConfirmError::OperatorAlready,
                StaffError::Unproven | StaffError::LastOperator => ConfirmError::NobodyThere,
            })?;
            staff = Some((person, changed));
        }
    }
    Ok(Confirmed { one, staff })
}

fn digest(hex_text: &str) -> anyhow::Result<Digest> {
    Digest::from_bytes(&hex::decode(hex_text)?).ok_or_else(|| anyhow::anyhow!("a stored digest has another length"))
}

/// Ends one that waits, without doing it: whoever asked withdraws it, anybody else rejects it.
///
/// # Errors
/// See [`ConfirmError`].
pub async fn end(
    conn: &mut PgConnection,
    id: ConfirmationId,
    by: PersonId,
    withdraw: bool,
) -> Result<Confirmation, ConfirmError> {
    let one = open(conn, id).await?;
    let state = waiting::ending(one.made_by == by, withdraw)?;
    store::decide_confirmation(conn, id, state, by).await?;
    Ok(one)
}

async fn open(conn: &mut PgConnection, id: ConfirmationId) -> Result<Confirmation, ConfirmError> {
    let one = store::lock_confirmation(conn, id).await?.ok_or(ConfirmError::NotFound)?;
    waiting::still_open(&one.state, one.expires_at, moment(conn).await?)?;
    Ok(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_reads_back() {
        let new = NewBatch {
            amount: Usd::from_whole(5),
            codes: 2,
            uses_per_code: 1,
            uses_per_org: 1,
            expires_at: None,
            note: "spring".into(),
        };
        let digests = vec![Digest::of("a"), Digest::of("b")];
        let wish = Wish::codes(&Prepared { id: BatchId::fresh(), new, digests: digests.clone() });
        let text = serde_json::to_string(&wish).expect("text");
        assert!(text.contains("\"kind\":\"codes\""), "{text}");
        let again: Wish = serde_json::from_str(&text).expect("a wish");
        assert_eq!(again, wish);
        let Wish::Codes { digests: kept, .. } = again else { panic!("codes") };
        let read: Vec<Digest> = kept.iter().filter_map(|text| digest(text).ok()).collect();
        assert_eq!(read, digests);
    }
}
