//! Writing an event and whom it is for, in the transaction of what it tells of.

use sqlx::PgConnection;

use super::event::{EventKind, Payload, TEST};
use super::store;
use crate::base::ids::{HookEventId, HookId, OrgId};

/// Tells the addresses of an organization that want it. `reference` is what happened, unique for ever: telling it again
/// does nothing. Where nobody wants it nothing is written.
///
/// # Errors
/// Database errors only.
pub async fn emit(
    conn: &mut PgConnection,
    org: OrgId,
    kind: EventKind,
    reference: &str,
    payload: Payload,
) -> Result<(), sqlx::Error> {
    let hooks = store::wanting(conn, org, kind.code()).await?;
    if hooks.is_empty() {
        return Ok(());
    }
    write(conn, org, kind.code(), reference, payload, &hooks).await?;
    Ok(())
}

/// Keeps the addresses of an organization as they are until the end of the transaction. For whoever tells of several things,
/// and writes into the log between them: addresses are locked before the log.
///
/// # Errors
/// Database errors only.
pub async fn hold(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    store::hold(conn, org).await
}

/// Sends one address a message to try it, in the caller's transaction. False when the organization had one sent within the
/// same five seconds, to whichever address.
///
/// # Errors
/// Database errors only.
pub async fn emit_test(conn: &mut PgConnection, org: OrgId, hook: HookId, by: &str) -> Result<bool, sqlx::Error> {
    let moment = HookEventId::fresh().moment().timestamp().div_euclid(5);
    let payload = Payload::new().with("webhook", hook.to_string()).with("asked_by", by);
    write(conn, org, TEST, &format!("test:{moment}"), payload, &[hook]).await
}

async fn write(
    conn: &mut PgConnection,
    org: OrgId,
    kind: &str,
    reference: &str,
    payload: Payload,
    hooks: &[HookId],
) -> Result<bool, sqlx::Error> {
    let id = HookEventId::fresh();
    let body = payload.body(id, kind, org);
    let new = store::insert_event(conn, org, id, kind, reference, &body).await?;
    if new {
        store::insert_deliveries(conn, org, id, hooks).await?;
    }
    Ok(new)
}
