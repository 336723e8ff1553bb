//! Moving credits from somebody's own organization to one that they handle the credits of.

use serde_json::json;
use sqlx::PgConnection;

use super::acting::Acting;
use super::role::{Permission, Role};
use super::{OrgError, store};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Usd;
use crate::base::ids::{MoveId, OrgId};
use crate::ledger::{self, Code, PostError, Posted, Posting, credit_account};

#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("The amount must be above zero.")]
    NotPositive,
    #[error("Your personal organization has less than that free. Nothing was moved.")]
    Insufficient,
    #[error("One of the two organizations is frozen. Nothing was moved.")]
    Frozen,
    #[error("This form moved another amount before. Open the page again.")]
    Differs,
    #[error(transparent)]
    Org(#[from] OrgError),
}

impl From<sqlx::Error> for MoveError {
    fn from(error: sqlx::Error) -> MoveError {
        MoveError::Org(error.into())
    }
}

/// Moves credits out of `from`, the acting person's personal organization, into the one they act in. The same id again
/// moves nothing again, and says so. Runs in the caller's transaction, which is rolled back on any error.
///
/// # Errors
/// See [`MoveError`]; `Insufficient` is decided under the ledger's lock, so running calls keep what they hold.
pub async fn move_credits(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    from: OrgId,
    id: MoveId,
    amount: Usd,
) -> Result<Posted, MoveError> {
    let to = acting.org;
    let (locked, _) = acting.lock_team(conn, Permission::HandleCredits).await?;
    let owner = store::hold_role(conn, from, acting.person.id).await?;
    let source = store::personal_org(conn, acting.person.id).await?;
    if source.as_ref().is_some_and(|org| org.frozen_at.is_some()) || !store::is_open(conn, to).await? {
        return Err(MoveError::Frozen);
    }
    let personal = source.is_some_and(|org| org.id == from);
    if !personal || owner.as_deref() != Some(Role::Owner.as_str()) || from == to {
        return Err(OrgError::NotAllowed.into());
    }
    let posting = Posting {
        code: Code::Move,
        reference: id.to_string(),
        debit: credit_account(from),
        credit: credit_account(to),
        amount,
        org: Some(to),
        memo: format!("moved by {}", acting.person.id),
    };
    let posted = ledger::post(conn, posting).await.map_err(|error| match error {
        PostError::NotPositive => MoveError::NotPositive,
        PostError::Insufficient => MoveError::Insufficient,
        PostError::Differs => MoveError::Differs,
        PostError::Database(error) => error.into(),
    })?;
    if let Posted::Now(transfer) = posted {
        // Two logs; in the order of their ids, so that two moves never wait for each other.
        let mut chains = [(from, json!({ "to": to })), (to, json!({ "from": from }))];
        chains.sort_by_key(|(org, _)| *org);
        for (org, side) in chains {
            let mut after = side;
            after["amount"] = json!(amount.exact());
            after["transfer"] = json!(transfer);
            let actor = Actor::Person(acting.person.id);
            let entry = Entry::new(Chain::Org(org), actor, Action::CreditsMoved, acting.origin)
                .named(&acting.person.name)
                .on(Target::new("organization", to, locked.name.clone()))
                .change(serde_json::Value::Null, after);
            audit::record(conn, entry).await?;
        }
    }
    Ok(posted)
}
