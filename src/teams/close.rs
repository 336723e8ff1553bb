//! The end of an organization: asked for, undone, or done by a job after seven days.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use crate::accounts::Links;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::OrgId;
use crate::base::{Origin, Viewer};
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::keys;
use crate::ledger;
use crate::mail;
use crate::orgs::mails;
use crate::orgs::{self, Acting, MAX_MEMBERS, OrgError, Permission, UNDO_FOR};
use crate::pictures;
use crate::presets;
use crate::topups;
use crate::{hooks, integrations, notices, privacy, vault};

/// What a deleted organization is called where its number still stands.
const ERASED_NAME: &str = "Deleted organization";

/// Asks for the end of an organization. Its keys are refused from the commit on, so nothing new is spent; calls that run
/// end and are settled as always. Everybody in it is mailed. Runs in the caller's transaction.
///
/// # Errors
/// Those of [`Acting::lock_team`]: a personal organization ends with its account.
pub async fn ask_deletion(conn: &mut PgConnection, acting: &Acting<'_>, links: &Links) -> Result<(), OrgError> {
    let (locked, _) = acting.lock_team(conn, Permission::Own).await?;
    let at = orgs::ask_deletion(conn, acting.org, UNDO_FOR).await?;
    let seconds = i32::try_from(UNDO_FOR.num_seconds()).unwrap_or(i32::MAX);
    jobs::enqueue_after(conn, &DeleteOrg { org: acting.org }, &job_key(acting.org), seconds).await?;
    let on = Viewer::ANYBODY.moment_in_zone(at);
    for member in orgs::member_rows(conn, acting.org, MAX_MEMBERS).await? {
        mails::will_be_deleted(conn, links, &member, (acting.org, &locked.name), acting.person, &on).await?;
    }
    let entry = acting.entry(Action::OrgDeletionAsked).on(Target::new("organization", acting.org, locked.name));
    Ok(audit::record(conn, entry.change(Value::Null, json!({ "delete_after": at }))).await?)
}

/// Keeps an organization after all. Exactly the keys that worked before work again, for none of them was touched. False
/// when nobody had asked for its deletion.
///
/// # Errors
/// Those of [`Acting::lock`].
pub async fn undo_deletion(conn: &mut PgConnection, acting: &Acting<'_>) -> Result<bool, OrgError> {
    let (locked, _) = acting.lock(conn, Permission::Own).await?;
    let Some(at) = locked.delete_after else { return Ok(false) };
    orgs::undo_deletion(conn, acting.org).await?;
    topups::auto::opened(conn, acting.org).await?;
    let entry = acting.entry(Action::OrgDeletionUndone).on(Target::new("organization", acting.org, locked.name));
    audit::record(conn, entry.change(json!({ "delete_after": at }), Value::Null)).await?;
    Ok(true)
}

/// Ends an organization that nobody is left in: there is nobody to undo it, so the job does it at once. Its keys are refused
/// from the commit on; calls that run end and are settled first. Runs in the transaction that took the last member away, under
/// the organization's lock.
///
/// # Errors
/// Database errors only.
pub async fn end_if_empty(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    if orgs::count_members(conn, org).await? > 0 {
        return Ok(());
    }
    let at = orgs::ask_deletion(conn, org, TimeDelta::zero()).await?;
    jobs::enqueue(conn, &DeleteOrg { org }, &job_key(org)).await?;
    let entry = Entry::new(Chain::Org(org), Actor::System, Action::OrgDeletionAsked, &Origin::here());
    audit::record(conn, entry.change(Value::Null, json!({ "delete_after": at }))).await
}

/// An organization ends once, so it has one such job.
fn job_key(org: OrgId) -> String {
    format!("delete_org:{org}")
}

/// The job that ends an organization once its time is over. Running it early, twice or on two nodes does nothing more:
/// it looks at the row again, under its lock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteOrg {
    pub org: OrgId,
}

impl TaskHandler for DeleteOrg {
    const IDENTIFIER: &'static str = "delete_org";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or_else(|| "no database".to_owned())?;
        let text = |error: sqlx::Error| error.to_string();
        let mut tx = pool.begin().await.map_err(text)?;
        delete(&mut tx, self.org).await?;
        tx.commit().await.map_err(text)
    }
}

/// Erases what is personal. Balances, transfers, calls and the log keep their rows; what was left of the credits stays
/// in the books under the organization's number and can be spent by nobody.
async fn delete(conn: &mut PgConnection, org: OrgId) -> Result<(), String> {
    let text = |error: sqlx::Error| error.to_string();
    let locked = orgs::lock_org(conn, org).await.map_err(text)?;
    if locked.is_none() || !orgs::is_due(conn, org).await.map_err(text)? {
        return Ok(());
    }
    // Keys are refused by now, mostly for a week, so a hold that is left ends soon: its call does, or the sweeper ends it.
    let credit = ledger::credit_state(conn, org).await.map_err(text)?;
    if !credit.held.is_zero() {
        return Err("calls of this organization are still open; it is tried again".to_owned());
    }
    orgs::erase(conn, org, ERASED_NAME).await.map_err(text)?;
    topups::billing::forget(conn, org).await.map_err(text)?;
    topups::auto::erase(conn, org).await.map_err(text)?;
    topups::forget_customers(conn, org).await.map_err(text)?;
    presets::erase(conn, org).await.map_err(text)?;
    integrations::erase(conn, org).await.map_err(text)?;
    privacy::erase(conn, org).await.map_err(text)?;
    hooks::erase(conn, org).await.map_err(text)?;
    notices::erase(conn, org).await.map_err(text)?;
    vault::erase(conn, org).await.map_err(text)?;
    pictures::remove(conn, pictures::Owner::Org(org)).await.map_err(text)?;
    let keys = keys::erase_all(conn, org).await.map_err(text)?;
    audit::erase_chain(conn, Chain::Org(org)).await.map_err(text)?;
    mail::forget_org(conn, org).await.map_err(text)?;
    let after = json!({ "keys_deleted": keys, "credits_left": credit.posted.exact() });
    let entry = Entry::new(Chain::Org(org), Actor::System, Action::OrgDeleted, &Origin::here());
    audit::record(conn, entry.change(Value::Null, after)).await.map_err(text)
}
