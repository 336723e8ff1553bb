//! Changing what somebody is, what they may spend, and who owns the organization.

use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::accounts::Links;
use crate::audit::{self, Action, Target};
use crate::base::Usd;
use crate::base::ids::PersonId;
use crate::keys;
use crate::ledger::{self, Limits};
use crate::orgs::mails;
use crate::orgs::{self, Acting, MemberRow, OrgError, Permission, Role};

pub(super) fn target(member: &MemberRow) -> Target {
    Target::new("person", member.person, member.name.clone())
}

/// Refuses what only an owner may do to an owner, and what would leave nobody.
pub(super) async fn may_lose_owner(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    role: Role,
    member: &MemberRow,
) -> Result<(), OrgError> {
    if member.role() != Role::Owner {
        return Ok(());
    }
    if !role.may(Permission::Own) {
        return Err(OrgError::NotAllowed);
    }
    // Of one whose own account is being deleted, the others have to be enough.
    let gone = i64::from(orgs::is_leaving(conn, member.person).await?);
    if orgs::count_owners(conn, acting.org).await? + gone <= 1 {
        return Err(OrgError::LastOwner);
    }
    Ok(())
}

/// Gives somebody another role. One that has no keys stops those that they made, and one that may not invite takes back
/// their open invitations. Runs in the caller's transaction.
///
/// # Errors
/// `LastOwner`, `NotFound`, and those of [`Acting::lock_team`].
pub async fn change_role(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    links: &Links,
    person: PersonId,
    after: Role,
) -> Result<MemberRow, OrgError> {
    let (locked, role) = acting.lock_team(conn, Permission::ManageMembers).await?;
    let member = orgs::member_row(conn, acting.org, person).await?.ok_or(OrgError::NotFound)?;
    let before = member.role();
    if before == after {
        return Ok(member);
    }
    if after == Role::Owner && !role.may(Permission::Own) {
        return Err(OrgError::NotAllowed);
    }
    if after == Role::Owner && orgs::is_leaving(conn, person).await? {
        return Err(OrgError::Leaving);
    }
    may_lose_owner(conn, acting, role, &member).await?;
    orgs::set_role(conn, acting.org, person, after.as_str()).await?;
    let stopped = match after.may(Permission::UseKeys) {
        true => 0,
        false => keys::disable_all_of(conn, acting.org, person).await?,
    };
    if !after.may(Permission::ManageMembers) {
        orgs::revoke_all_of(conn, acting.org, person, |action| acting.entry(action)).await?;
    }
    mails::role_changed(conn, links, &member, (acting.org, &locked.name), (before, after)).await?;
    let entry = acting.entry(Action::RoleChanged).on(target(&member));
    let after = match stopped {
        0 => json!({ "role": after.as_str() }),
        _ => json!({ "role": after.as_str(), "keys_disabled": stopped }),
    };
    audit::record(conn, entry.change(json!({ "role": before.as_str() }), after)).await?;
    Ok(member)
}

fn shown(limits: Limits) -> Value {
    let exact = |limit: Option<Usd>| limit.map(Usd::exact);
    json!({
        "total": exact(limits.total),
        "day": exact(limits.day),
        "week": exact(limits.week),
        "month": exact(limits.month),
    })
}

/// Sets what somebody may spend here, over all their keys. What they spent stays counted. Runs in the caller's transaction.
///
/// # Errors
/// `NotFound`, `NotAllowed` for an admin who caps an owner, and those of [`Acting::lock_team`].
pub async fn change_cap(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    person: PersonId,
    limits: Limits,
) -> Result<MemberRow, OrgError> {
    let (_, role) = acting.lock_team(conn, Permission::ManageMembers).await?;
    let member = orgs::member_row(conn, acting.org, person).await?.ok_or(OrgError::NotFound)?;
    if member.role() == Role::Owner && !role.may(Permission::Own) {
        return Err(OrgError::NotAllowed);
    }
    let meters = ledger::meter_states(conn, acting.org, &[member.meter]).await?;
    let before = meters.first().map(|meter| (meter.limits, meter.include_byok)).unwrap_or_default();
    if before.0 == limits {
        return Ok(member);
    }
    ledger::set_limits(conn, acting.org, member.meter, limits, before.1).await?;
    let entry = acting.entry(Action::CapChanged).on(target(&member));
    audit::record(conn, entry.change(shown(before.0), shown(limits))).await?;
    Ok(member)
}

/// Makes another member the owner; whoever did it is an admin from then on. Runs in the caller's transaction.
///
/// # Errors
/// `NotFound`, `NotAllowed`, and those of [`Acting::lock_team`].
pub async fn transfer(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    links: &Links,
    to: PersonId,
) -> Result<MemberRow, OrgError> {
    let (locked, _) = acting.lock_team(conn, Permission::Own).await?;
    let own = orgs::member_row(conn, acting.org, acting.person.id).await?.ok_or(OrgError::NotFound)?;
    let member = orgs::member_row(conn, acting.org, to).await?.ok_or(OrgError::NotFound)?;
    if member.person == own.person {
        return Err(OrgError::NotFound);
    }
    if orgs::is_leaving(conn, to).await? {
        return Err(OrgError::Leaving);
    }
    orgs::set_role(conn, acting.org, to, Role::Owner.as_str()).await?;
    orgs::set_role(conn, acting.org, own.person, Role::Admin.as_str()).await?;
    mails::ownership_transferred(conn, links, (&own, &member), (acting.org, &locked.name)).await?;
    let entry = acting.entry(Action::OwnershipTransferred).on(target(&member));
    let change = (json!({ "owner": own.person }), json!({ "owner": to, "role_before": member.role }));
    audit::record(conn, entry.change(change.0, change.1)).await?;
    Ok(member)
}
