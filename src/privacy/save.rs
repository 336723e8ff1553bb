//! Changing the settings, and deleting what was kept.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::settings::{MAX_KEEP_DAYS, Settings};
use super::store;
use crate::audit::{self, Action};
use crate::orgs::{Acting, OrgError, Permission};
use crate::vault::{Vault, VaultError};

/// Changes the settings in the caller's transaction. They count for the next call on every node that hears of them.
///
/// # Errors
/// `NotAllowed`, and database errors.
pub async fn save(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    vault: &Vault,
    settings: Settings,
) -> Result<(), OrgError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    let settings = Settings { keep_days: settings.keep_days.clamp(1, MAX_KEEP_DAYS), ..settings };
    let before = store::settings(conn, acting.org).await?;
    if before == settings {
        return Ok(());
    }
    if settings.log_texts {
        // Whoever keeps texts finds the key that seals them; none is made beside a call.
        vault.of(conn, acting.org).await.map_err(|error| match error {
            VaultError::Database(error) => OrgError::Database(error),
            VaultError::Seal(error) => OrgError::Internal(error.into()),
        })?;
    }
    store::save(conn, acting.org, &settings).await?;
    let entry = acting.entry(Action::PrivacyChanged).change(shown(&before), shown(&settings));
    Ok(audit::record(conn, entry).await?)
}

/// Deletes every text that was kept of the organization's calls. Returns how many there were.
///
/// # Errors
/// As [`save`].
pub async fn delete_texts(conn: &mut PgConnection, acting: &Acting<'_>) -> Result<u64, OrgError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    let deleted = store::delete_texts(conn, acting.org).await?;
    if deleted > 0 {
        let entry = acting.entry(Action::TextsDeleted).change(Value::Null, json!({ "deleted": deleted }));
        audit::record(conn, entry).await?;
    }
    Ok(deleted)
}

fn shown(settings: &Settings) -> Value {
    json!({
        "paid_training": settings.paid_training,
        "free_training": settings.free_training,
        "zero_retention": settings.zero_retention,
        "log_texts": settings.log_texts,
        "keep_days": settings.keep_days,
        "analytics_cookies": settings.analytics_cookies,
        "keys_see_balance": settings.keys_see_balance,
    })
}
