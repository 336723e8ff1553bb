//! Changing the routing settings of an organization.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::settings::{Settings, Wrong};
use super::store;
use crate::audit::{self, Action};
use crate::catalog::Catalog;
use crate::orgs::{Acting, OrgError, Permission};

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Wrong(#[from] Wrong),
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Changes the settings in the caller's transaction. Every node uses them for the next call that it hears of.
///
/// # Errors
/// What is wrong with them, `NotAllowed`, and database errors.
pub async fn save(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    catalog: &Catalog,
    settings: Settings,
) -> Result<(), SettingsError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    let before = store::settings(conn, acting.org).await?;
    let settings = settings.checked(catalog, &before)?;
    if before == settings {
        return Ok(());
    }
    store::save_settings(conn, acting.org, &settings).await?;
    let entry = acting.entry(Action::PreferencesChanged).change(shown(&before), shown(&settings));
    audit::record(conn, entry).await?;
    Ok(())
}

fn shown(settings: &Settings) -> Value {
    json!({
        "allowed_providers": settings.policy.allowed,
        "always_enforce": settings.policy.enforced,
        "ignored_providers": settings.policy.ignored,
        "default_sort": settings.policy.sort.map(crate::routing::Sort::as_str),
        "default_model": settings.default_model,
    })
}
