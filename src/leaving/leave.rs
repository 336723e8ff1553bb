//! Asking to be erased, and taking it back.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::erase::EraseAccount;
use super::store;
use crate::accounts::{Links, Person, Session, end_other_sessions, operator, tell};
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::jobs;
use crate::mail::Kind;
use crate::orgs::{self, Permission};
use crate::topups;
use crate::web::views::emails::NoticeMail;

/// How long a request can be taken back.
pub const GRACE: TimeDelta = TimeDelta::days(7);
/// Members of an organization who are looked at, owners and admins first.
const MAX_TOLD: i64 = 50;
/// The job looks a little later than the moment that is promised, never earlier.
const MARGIN_SECONDS: i32 = 60;

#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// Names of organizations that nobody else owns.
    #[error("you are the only owner of {}", .0.join(", "))]
    SoleOwner(Vec<String>),
    /// Nobody else who stays runs the instance.
    #[error("you are the only operator of this instance")]
    LastOperator,
    /// It was asked for before, or the account is gone.
    #[error("this account is being deleted already")]
    Already,
    #[error("there is nothing to take back")]
    NotLeaving,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// Closes an account in the caller's transaction: its personal organization is frozen, every other session and every invitation
/// that it sent ends, and a job erases it in a week.
///
/// # Errors
/// The caller rolls back. `SoleOwner` while an organization with other members would be left without an owner, `LastOperator`
/// while the instance would be left without an operator; `Already` the second time.
pub async fn leave(
    conn: &mut PgConnection,
    links: &Links,
    session: &Session,
    origin: &Origin,
) -> Result<DateTime<Utc>, LeaveError> {
    let person = &session.person;
    // Of two operators who leave at once, or of whom one is unmade meanwhile, one waits. Nobody else may keep operators waiting; who
    // is made one in this moment is looked at again before the account is erased.
    if operator::is_operator(conn, person.id).await? {
        operator::lock_claim(conn).await?;
    }
    store::lock_person(conn, person.id).await?;
    if operator::is_last_operator(conn, person.id).await? {
        return Err(LeaveError::LastOperator);
    }
    // Under these locks nobody accepts what is taken back, and of two owners who go at once the second one sees the first.
    end_invitations(conn, person, origin).await?;
    let owned = store::sole_ownerships(conn, person.id).await?;
    if !owned.is_empty() {
        return Err(LeaveError::SoleOwner(owned));
    }
    let due = store::insert_deletion(conn, person.id, GRACE).await?.ok_or(LeaveError::Already)?;
    store::freeze_personal(conn, person.id, true).await?;
    end_other_sessions(conn, person.id, Some(session.id)).await?;
    tell_organizations(conn, links, person, due).await?;
    let seconds = i32::try_from(GRACE.num_seconds()).unwrap_or(i32::MAX).saturating_add(MARGIN_SECONDS);
    let job = EraseAccount { person: person.id, due };
    jobs::enqueue_after(conn, &job, &job.key(), seconds).await?;
    let mail = NoticeMail {
        subject: "Your account will be deleted".into(),
        name: person.name.clone(),
        lines: vec![format!(
            "your account and its keys are closed as you asked. On {} everything that tells who you are is erased.",
            due.format("%-d %B %Y, %H:%M UTC")
        )],
        action: "Keep the account".into(),
        link: links.to("/account/leaving"),
        footer: "Until then you can sign in and keep it. If you did not ask for this, do so now and change your \
                 password."
            .into(),
        ..NoticeMail::default()
    };
    tell(conn, Kind::AccountLeaving, person, &mail).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::DeletionAsked, origin);
    audit::record(conn, entry.named(&person.name).change(json!(null), json!({ "due": due }))).await?;
    Ok(due)
}

/// Takes back what the person invited others to, under the locks of their organizations: whoever came after them would be in
/// one that nobody owns.
async fn end_invitations(conn: &mut PgConnection, person: &Person, origin: &Origin) -> Result<(), sqlx::Error> {
    let actor = Actor::Person(person.id);
    for org in store::teams_of(conn, person.id).await? {
        orgs::lock_org(conn, org).await?;
        let entry = |action| Entry::new(Chain::Org(org), actor, action, origin).named(&person.name);
        orgs::revoke_all_of(conn, org, person.id, entry).await?;
    }
    Ok(())
}

/// Keys that somebody made for an organization go on working until the account is erased, because its programs depend on
/// them. Whoever could make others in their place is told in time.
async fn tell_organizations(
    conn: &mut PgConnection,
    links: &Links,
    person: &Person,
    due: DateTime<Utc>,
) -> Result<(), LeaveError> {
    for (org, keys) in store::keys_elsewhere(conn, person.id).await? {
        let Some(name) = orgs::find_org(conn, org).await? else { continue };
        let members = orgs::member_rows(conn, org, MAX_TOLD).await?;
        let managers = members.iter().filter(|member| member.role().may(Permission::ManageMembers));
        for manager in managers.filter(|member| member.person != person.id) {
            orgs::mails::keys_will_stop(conn, links, manager, (org, &name), (person, keys), due).await?;
        }
    }
    Ok(())
}

/// Takes the request back.
///
/// # Errors
/// `NotLeaving` when there is none, or the account is erased.
pub async fn keep(conn: &mut PgConnection, person: &Person, origin: &Origin) -> Result<(), LeaveError> {
    store::lock_person(conn, person.id).await?;
    if !store::delete_deletion(conn, person.id).await? {
        return Err(LeaveError::NotLeaving);
    }
    store::freeze_personal(conn, person.id, false).await?;
    if let Some(org) = store::personal_org(conn, person.id).await? {
        topups::auto::opened(conn, org).await?;
    }
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::DeletionUndone, origin);
    Ok(audit::record(conn, entry.named(&person.name)).await?)
}
