//! One switch for all keys of an organization.
//!
//! It stands on the organization and no key is touched, so that letting them go on brings back exactly what worked.

use serde_json::json;
use sqlx::PgConnection;

use super::by::By;
use super::mails;
use crate::accounts::Links;
use crate::audit::{self, Action};
use crate::orgs::{self, Acting, OrgError, Permission};

/// Refuses every key of the organization, on every node within a second of the commit. Calls that run end and are
/// settled as always. Owners are mailed. False when it was so before.
///
/// # Errors
/// Those of [`Acting::lock`], and database errors.
pub async fn stop_all(conn: &mut PgConnection, acting: &Acting<'_>, links: &Links) -> Result<bool, OrgError> {
    switch(conn, acting, links, true).await
}

/// Lets the keys go on as they were. Owners are mailed. False when they were not stopped.
///
/// # Errors
/// As [`stop_all`].
pub async fn resume_all(conn: &mut PgConnection, acting: &Acting<'_>, links: &Links) -> Result<bool, OrgError> {
    switch(conn, acting, links, false).await
}

async fn switch(conn: &mut PgConnection, acting: &Acting<'_>, links: &Links, stop: bool) -> Result<bool, OrgError> {
    let (locked, _) = acting.lock(conn, Permission::ManageAllKeys).await?;
    if !orgs::set_keys_stopped(conn, acting.org, stop.then_some(acting.person.id)).await? {
        return Ok(false);
    }
    mails::switched(conn, links, acting, &locked.name, stop).await?;
    let action = if stop { Action::KeysStopped } else { Action::KeysResumed };
    let entry = By::from(*acting).entry(acting.org, action);
    audit::record(conn, entry.change(json!({ "keys_stopped": !stop }), json!({ "keys_stopped": stop }))).await?;
    Ok(true)
}
