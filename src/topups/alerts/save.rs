//! Changing the alert.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::alert::{Alert, AlertError};
use crate::audit::{self, Action};
use crate::ledger::{self, Threshold, WatchKind};
use crate::orgs::{Acting, Permission};
use crate::topups::store;

/// Changes the alert in the caller's transaction. It does not fire for a balance that is low already, only when it falls
/// below the amount again.
///
/// # Errors
/// Those of [`Alert::checked`], `NotAllowed`, and database errors.
pub async fn save(conn: &mut PgConnection, acting: &Acting<'_>, alert: Alert) -> Result<(), AlertError> {
    let alert = alert.checked()?;
    acting.lock(conn, Permission::HandleCredits).await?;
    let before = store::alert(conn, acting.org).await?;
    // Also where nothing else changes: an organization that an older version made has no watch yet.
    if alert.enabled {
        ledger::set_watch(conn, acting.org, WatchKind::LowBalance, Threshold::once(alert.below)).await?;
    } else {
        ledger::clear_watch(conn, acting.org, WatchKind::LowBalance).await?;
    }
    if before == alert {
        return Ok(());
    }
    store::save_alert(conn, acting.org, &alert).await?;
    // Addresses are personal, so they stand in the part of the entry that can be erased.
    let more = |alert: &Alert| alert.more.iter().map(ToString::to_string).collect::<Vec<_>>();
    let entry = acting.entry(Action::AlertChanged).change(shown(&before), shown(&alert));
    audit::record(conn, entry.note(json!({ "before": more(&before), "after": more(&alert) }))).await?;
    Ok(())
}

fn shown(alert: &Alert) -> Value {
    json!({
        "enabled": alert.enabled,
        "below": alert.below.exact(),
        "owners": alert.to_owners,
        "billing": alert.to_billing,
        "further_addresses": alert.more.len(),
    })
}
