//! Sending a message again by hand.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::store;
use crate::audit::{self, Action, Target};
use crate::base::ids::{DeliveryId, HookId};
use crate::orgs::{Acting, OrgError, Permission};

/// Tries of one message in all; whoever needs more has another problem.
pub(super) const MAX_ATTEMPTS: i32 = 100;

#[derive(Debug, thiserror::Error)]
pub enum AgainError {
    #[error("There is no such message.")]
    NotFound,
    #[error("The address is switched off. Switch it on first; what waits is then sent by itself.")]
    Off,
    #[error("It was tried {MAX_ATTEMPTS} times, which is as often as one message is.")]
    TooOften,
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What became of the wish to send a message again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It waits for nobody else now.
    Sent,
    /// It was about to be sent, or is being sent right now: what was asked for happens anyway.
    OnItsWay,
}

/// Lets a message be sent again at once, the same bytes under the same id, with all its tries before it, in the caller's
/// transaction. Gives the address that it goes to.
///
/// # Errors
/// See [`AgainError`].
pub async fn send_again(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    id: DeliveryId,
) -> Result<(HookId, Again), AgainError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    let org = acting.org;
    let delivery = store::delivery(conn, org, id).await?.ok_or(AgainError::NotFound)?;
    // Locks are taken in the order of the dispatcher: the address first.
    let hook = store::lock(conn, org, delivery.hook).await?.ok_or(AgainError::NotFound)?;
    if hook.disabled_at.is_some() {
        return Err(AgainError::Off);
    }
    if delivery.attempts >= MAX_ATTEMPTS {
        return Err(AgainError::TooOften);
    }
    if !store::put_back(conn, org, id).await? {
        return Ok((hook.id, Again::OnItsWay));
    }
    let entry = acting.entry(Action::WebhookSentAgain).on(Target::new("webhook", hook.id, hook.description));
    audit::record(conn, entry.change(Value::Null, json!({ "message": delivery.event, "type": delivery.kind }))).await?;
    Ok((hook.id, Again::Sent))
}
