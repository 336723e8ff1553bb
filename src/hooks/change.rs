//! Changing an address, its secret, whether it is on; and its end.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::add::{HookError, Wish};
use super::endpoint::{Hook, purpose};
use super::sign::SigningSecret;
use super::store;
use crate::audit::{self, Action, Target};
use crate::base::ids::HookId;
use crate::orgs::{Acting, Permission};
use crate::vault::Vault;

async fn lock(conn: &mut PgConnection, acting: &Acting<'_>, id: HookId) -> Result<Hook, HookError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    store::lock(conn, acting.org, id).await?.ok_or(HookError::NotFound)
}

fn target(hook: &Hook) -> Target {
    Target::new("webhook", hook.id, hook.description.clone())
}

/// Changes where it is and what it is told, in the caller's transaction. What waits goes to the new address.
///
/// # Errors
/// See [`HookError`].
pub async fn edit(conn: &mut PgConnection, acting: &Acting<'_>, id: HookId, wish: Wish) -> Result<(), HookError> {
    let hook = lock(conn, acting, id).await?;
    let wish = wish.checked()?;
    if hook.url == wish.url.as_str() && hook.description == wish.description && hook.events == wish.codes() {
        return Ok(());
    }
    store::update(conn, acting.org, id, &wish).await?;
    let before = json!({ "host": hook.host(), "events": hook.events });
    let entry = acting.entry(Action::WebhookChanged).on(target(&hook));
    Ok(audit::record(conn, entry.change(before, wish.shown())).await?)
}

/// Gives it another secret, in the caller's transaction. The old one signs too for `grace`; one that was still in its grace
/// ends. `seen` is when the asker's page saw it changed last, so that a form that comes twice rotates once.
///
/// # Errors
/// `Changed` where it is not as it was seen, and what else [`HookError`] says.
pub async fn rotate(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    vault: &Vault,
    id: HookId,
    seen: DateTime<Utc>,
    grace: TimeDelta,
) -> Result<SigningSecret, HookError> {
    let hook = lock(conn, acting, id).await?;
    if hook.updated_at != seen {
        return Err(HookError::Changed);
    }
    let secret = SigningSecret::fresh();
    let sealed = vault.seal(conn, acting.org, &purpose(acting.org, id), secret.bytes()).await?;
    let until = store::replace_secret(conn, acting.org, id, &sealed, grace).await?;
    let entry = acting.entry(Action::WebhookRotated).on(target(&hook));
    audit::record(conn, entry.change(Value::Null, json!({ "old_signs_until": until }))).await?;
    Ok(secret)
}

/// Switches it on or off, in the caller's transaction. What waits is held while it is off and sent once it is on again;
/// what happens meanwhile is not told. False when it was so already.
///
/// # Errors
/// See [`HookError`].
pub async fn switch(conn: &mut PgConnection, acting: &Acting<'_>, id: HookId, on: bool) -> Result<bool, HookError> {
    let hook = lock(conn, acting, id).await?;
    if hook.disabled_at.is_none() == on {
        return Ok(false);
    }
    let action = if on {
        store::enable(conn, acting.org, id).await?;
        Action::WebhookEnabled
    } else {
        store::disable(conn, acting.org, id, "").await?;
        Action::WebhookDisabled
    };
    audit::record(conn, acting.entry(action).on(target(&hook))).await?;
    Ok(true)
}

/// Deletes it with everything that waits for it, in the caller's transaction.
///
/// # Errors
/// See [`HookError`].
pub async fn delete(conn: &mut PgConnection, acting: &Acting<'_>, id: HookId) -> Result<(), HookError> {
    let hook = lock(conn, acting, id).await?;
    store::delete(conn, acting.org, id).await?;
    let before = json!({ "host": hook.host(), "events": hook.events });
    let entry = acting.entry(Action::WebhookDeleted).on(target(&hook));
    Ok(audit::record(conn, entry.change(before, Value::Null)).await?)
}
