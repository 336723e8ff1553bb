//! Removing somebody, and leaving.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::change::{may_lose_owner, target};
use crate::accounts::Links;
use crate::audit::{self, Action};
use crate::base::ids::PersonId;
use crate::keys;
use crate::orgs::mails;
use crate::orgs::{self, Acting, MemberRow, OrgError, Permission};

/// Takes somebody out. Their keys here stop in the same transaction, on every node within a second of its end, and open
/// invitations that they sent are revoked; calls that run end and are settled as always.
///
/// # Errors
/// `LastOwner`, `NotFound` (also for oneself: leaving is another thing), and those of [`Acting::lock_team`].
pub async fn remove(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    links: &Links,
    person: PersonId,
) -> Result<MemberRow, OrgError> {
    let (locked, role) = acting.lock_team(conn, Permission::ManageMembers).await?;
    let member = orgs::member_row(conn, acting.org, person).await?.ok_or(OrgError::NotFound)?;
    if person == acting.person.id {
        return Err(OrgError::NotFound);
    }
    may_lose_owner(conn, acting, role, &member).await?;
    let stopped = take_out(conn, acting, person).await?;
    mails::removed(conn, links, &member, (acting.org, &locked.name)).await?;
    let entry = acting.entry(Action::MemberRemoved).on(target(&member));
    let before = json!({ "role": member.role });
    audit::record(conn, entry.change(before, json!({ "keys_disabled": stopped }))).await?;
    Ok(member)
}

/// Goes. The same becomes of keys and invitations as when somebody is removed.
///
/// # Errors
/// `Personal`, `LastOwner`, and database errors.
pub async fn leave(conn: &mut PgConnection, acting: &Acting<'_>) -> Result<(), OrgError> {
    let (locked, role) = acting.lock(conn, Permission::SeeOwnActivity).await?;
    if locked.kind != "team" {
        return Err(OrgError::Personal);
    }
    let member = orgs::member_row(conn, acting.org, acting.person.id).await?.ok_or(OrgError::NotFound)?;
    may_lose_owner(conn, acting, role, &member).await?;
    let stopped = take_out(conn, acting, member.person).await?;
    let entry = acting.entry(Action::MemberLeft).on(target(&member));
    let after = if stopped == 0 { Value::Null } else { json!({ "keys_disabled": stopped }) };
    audit::record(conn, entry.change(json!({ "role": member.role }), after)).await?;
    Ok(())
}

/// The membership first: whoever is making a key holds it, and their key is then among those that are stopped.
async fn take_out(conn: &mut PgConnection, acting: &Acting<'_>, person: PersonId) -> Result<u64, sqlx::Error> {
    orgs::delete_membership(conn, acting.org, person).await?;
    orgs::revoke_all_of(conn, acting.org, person, |action| acting.entry(action)).await?;
    keys::disable_all_of(conn, acting.org, person).await
}
