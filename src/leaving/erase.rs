//! The job that erases an account when its week has passed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

use super::EraseCalls;
use super::erase_calls::CALLS_END_WITHIN_SECONDS;
use super::store;
use crate::accounts::operator;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Origin;
use crate::base::ids::PersonId;
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::mail;
use crate::{hooks, integrations, keys, notices, orgs, presets, privacy, teams, topups, vault};

/// An account that cannot be erased yet is looked at again after so long.
const AGAIN_SECONDS: i32 = 24 * 60 * 60;

/// Erases one account, if the request of that moment still stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EraseAccount {
    pub person: PersonId,
    /// Tells a request from one that was taken back and made anew.
    pub due: DateTime<Utc>,
}

impl EraseAccount {
    #[must_use]
    pub fn key(&self) -> String {
        format!("erase:{}:{}", self.person, self.due.timestamp())
    }
}

impl TaskHandler for EraseAccount {
    const IDENTIFIER: &'static str = "erase_account";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        erase(pool, &self).await.map_err(|error| {
            tracing::error!(person = %self.person, %error, "an account was not erased yet");
            error.to_string()
        })
    }
}

async fn erase(pool: &PgPool, job: &EraseAccount) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    store::lock_person(&mut tx, job.person).await?;
    if !store::is_due(&mut tx, job.person, job.due).await? {
        return tx.commit().await;
    }
    let owns = !store::sole_ownerships(&mut tx, job.person).await?.is_empty();
    if owns || operator::is_last_operator(&mut tx, job.person).await? {
        // Everybody else left an organization to this person meanwhile, or made them its owner; or the instance.
        let why = if owns { "owns an organization with members alone" } else { "is the only operator" };
        tracing::warn!(person = %job.person, "an account {why}; it is kept for a day");
        jobs::enqueue_after(&mut tx, job, &format!("{}:again", job.key()), AGAIN_SECONDS).await?;
        return tx.commit().await;
    }
    erase_all(&mut tx, job.person).await?;
    tx.commit().await
}

/// In one transaction: whoever reads sees the person whole or not at all.
async fn erase_all(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    let here = Origin::here();
    audit::record(conn, Entry::new(Chain::Person(person), Actor::System, Action::AccountErased, &here)).await?;
    for org in store::teams_of(conn, person).await? {
        orgs::lock_org(conn, org).await?;
        orgs::delete_membership(conn, org, person).await?;
        let stopped = keys::disable_all_of(conn, org, person).await?;
        let entry = |action| Entry::new(Chain::Org(org), Actor::System, action, &here);
        orgs::revoke_all_of(conn, org, person, entry).await?;
        let entry = Entry::new(Chain::Org(org), Actor::System, Action::MemberLeft, &here);
        let entry =
            entry.on(Target::new("person", person, "")).change(json!(null), json!({ "keys_disabled": stopped }));
        audit::record(conn, entry).await?;
        // Nobody is left who could delete it, and it knows as much about who left as their own one does.
        teams::end_if_empty(conn, org).await?;
    }
    let personal = store::personal_org(conn, person).await?;
    if let Some(org) = personal {
        topups::auto::erase(conn, org).await?;
        topups::forget_customers(conn, org).await?;
        presets::erase(conn, org).await?;
        integrations::erase(conn, org).await?;
        privacy::erase(conn, org).await?;
        hooks::erase(conn, org).await?;
        notices::erase(conn, org).await?;
        vault::erase(conn, org).await?;
    }
    let role = operator::hold_role(conn, person).await?;
    let had = store::addresses_of(conn, person).await?;
    store::erase_mails(conn, person, &had).await?;
    store::erase_from_readers(conn, &had).await?;
    if let Some(org) = personal {
        mail::forget_org(conn, org).await?;
        // Receipts stay, because tax law wants them.
        topups::billing::forget(conn, org).await?;
    }
    let invitations = store::erase_invitations(conn, &had).await?;
    store::erase_traces(conn, person, &had).await?;
    store::erase_personal(conn, person).await?;
    store::erase_person(conn, person).await?;
    if let Some(role) = role {
        let entry = Entry::new(Chain::House, Actor::System, Action::StaffChanged, &here);
        let entry = entry.on(Target::new("person", person, ""));
        audit::record(conn, entry.change(json!({ "role": role.as_str() }), json!(null))).await?;
    }
    store::mark_erased(conn, person).await?;
    audit::erase_person(conn, person, personal, &invitations).await?;
    let calls = EraseCalls { person };
    jobs::enqueue_after(conn, &calls, &calls.key(), CALLS_END_WITHIN_SECONDS).await?;
    Ok(())
}
