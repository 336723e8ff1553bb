//! Switching auto top-up on, changing it, and switching it off.

use sqlx::PgConnection;

use super::attempt::TryAutoTopup;
use super::cause::Cause;
use super::rule::{RuleError, Wanted};
use crate::audit::{self, Action};
use crate::base::ids::OrgId;
use crate::db::moment;
use crate::ledger::{self, Threshold, WatchKind};
use crate::orgs::{Acting, OrgError, Permission};
use crate::topups::fees::Schedule;
use crate::topups::store;

/// Switches auto top-up on, or changes it, in the caller's transaction. A balance that is below the threshold already
/// is topped up at once.
///
/// # Errors
/// See [`RuleError`].
pub async fn turn_on(
    conn: &mut PgConnection,
    schedule: &Schedule,
    acting: &Acting<'_>,
    wanted: &Wanted,
) -> Result<(), RuleError> {
    let org = acting.org;
    acting.lock(conn, Permission::HandleCredits).await?;
    let method = store::payment_method(conn, org, wanted.method).await?.ok_or(RuleError::Method)?;
    wanted.check(schedule, &method)?;
    // Every crossing counts: a purchase may lift the balance only a little above the threshold.
    let credit = ledger::set_watch(conn, org, WatchKind::AutoTopup, Threshold::each_time(wanted.below)).await?;
    let before = store::lock_rule(conn, org).await?;
    let version = store::save_rule(conn, org, wanted, acting.person.id).await?;
    if credit.posted < wanted.below {
        TryAutoTopup { org, cause: Cause::Set(version) }.enqueue(conn, 0).await?;
    }
    let before = before.map_or(serde_json::Value::Null, |rule| rule.shown());
    audit::record(conn, acting.entry(Action::AutoTopupChanged).change(before, wanted.shown())).await?;
    Ok(())
}

/// Switches auto top-up off in the caller's transaction. A charge that was sent already may still come through. False
/// when it was off.
///
/// # Errors
/// `NotAllowed`, and database errors.
pub async fn turn_off(conn: &mut PgConnection, acting: &Acting<'_>) -> Result<bool, OrgError> {
    acting.lock(conn, Permission::HandleCredits).await?;
    ledger::clear_watch(conn, acting.org, WatchKind::AutoTopup).await?;
    let Some(rule) = store::lock_rule(conn, acting.org).await?.filter(|rule| rule.enabled) else { return Ok(false) };
    store::stop_rule(conn, acting.org, "").await?;
    let entry = acting.entry(Action::AutoTopupStopped);
    audit::record(conn, entry.change(rule.shown(), serde_json::json!({ "enabled": false }))).await?;
    Ok(true)
}

/// Tries anew, where the organization may be charged again: what came meanwhile was passed over. In the transaction that
/// opens it.
///
/// # Errors
/// Database errors only.
pub async fn opened(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    if store::rule(conn, org).await?.is_none_or(|rule| !rule.enabled) {
        return Ok(());
    }
    let cause = Cause::Opened(moment(conn).await?.timestamp_micros());
    TryAutoTopup { org, cause }.enqueue(conn, 0).await
}

/// Stops everything by which an organization that ends would be charged or written to, and forgets whom it told.
///
/// # Errors
/// Database errors only.
pub async fn erase(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    ledger::clear_watch(conn, org, WatchKind::AutoTopup).await?;
    ledger::clear_watch(conn, org, WatchKind::LowBalance).await?;
    store::stop_rule(conn, org, "").await?;
    store::erase_alert(conn, org).await
}
