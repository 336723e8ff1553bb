//! Making an organization, naming it, and looking at one.

use serde_json::json;
use sqlx::PgConnection;

use super::acting::Acting;
use super::org::{MAX_ORGS, OrgName};
use super::role::{Permission, Role};
use super::{OrgError, store};
use crate::accounts::Person;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Origin;
use crate::base::ids::{MeterId, OrgId, SessionId};
use crate::ledger::{self, Limits, MeterKind, Threshold, WatchKind};

/// Makes an organization for several people, with its credit account; whoever makes it owns it. The id comes with the
/// form, so that the same form sent twice makes one. Runs in the caller's transaction.
///
/// # Errors
/// `TooManyOrgs`, and `Again` when there is one of this id: the transaction can then only be rolled back.
pub async fn create(
    conn: &mut PgConnection,
    person: &Person,
    id: OrgId,
    name: &OrgName,
    origin: &Origin,
) -> Result<(), OrgError> {
    store::lock_person(conn, person.id).await?;
    if store::count_orgs_of(conn, person.id).await? >= MAX_ORGS {
        return Err(OrgError::TooManyOrgs);
    }
    match store::insert_org(conn, id, name.as_str(), "team").await {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Err(OrgError::Again),
        done => done?,
    }
    let meter = MeterId::fresh();
    store::insert_membership(conn, id, person.id, Role::Owner.as_str(), meter).await?;
    ledger::open_credit(conn, id).await?;
    ledger::set_watch(conn, id, WatchKind::LowBalance, Threshold::DEFAULT).await?;
    ledger::create_meter(conn, id, meter, MeterKind::Member, Limits::default(), false).await?;
    let entry = Entry::new(Chain::Org(id), Actor::Person(person.id), Action::OrgCreated, origin)
        .named(&person.name)
        .on(Target::new("organization", id, name.as_str()))
        .change(serde_json::Value::Null, json!({ "name": name.as_str() }));
    audit::record(conn, entry).await?;
    Ok(())
}

/// # Errors
/// `NotAllowed`, and database errors.
pub async fn rename(conn: &mut PgConnection, acting: &Acting<'_>, name: &OrgName) -> Result<(), OrgError> {
    let (locked, _) = acting.lock(conn, Permission::ManageSettings).await?;
    if locked.name == name.as_str() {
        return Ok(());
    }
    store::rename(conn, acting.org, name.as_str()).await?;
    let entry = acting.entry(Action::OrgRenamed).on(Target::new("organization", acting.org, name.as_str()));
    let entry = if locked.kind == "team" {
        entry.change(json!({ "name": locked.name }), json!({ "name": name.as_str() }))
    } else {
        // One's own is called as its person, whose name can be erased.
        entry.note(json!({ "name": [locked.name, name.as_str()] }))
    };
    Ok(audit::record(conn, entry).await?)
}

/// Lets a browser look at an organization from now on. False when its person is not in it.
///
/// # Errors
/// Database errors only.
pub async fn open(
    conn: &mut PgConnection,
    person: &Person,
    session: SessionId,
    org: OrgId,
) -> Result<bool, sqlx::Error> {
    let orgs = store::orgs_of(conn, person.id, MAX_ORGS).await?;
    let Some(found) = orgs.iter().find(|one| one.id == org) else { return Ok(false) };
    // Empty stands for the personal one, which is always there.
    store::set_current_org(conn, session, found.is_team().then_some(org)).await?;
    Ok(true)
}

/// Lets a browser look at its person's own organization again.
///
/// # Errors
/// Database errors only.
pub async fn close(conn: &mut PgConnection, session: SessionId) -> Result<(), sqlx::Error> {
    store::set_current_org(conn, session, None).await
}
