//! Choosing, for oneself or for somebody else.

use serde_json::{Map, Value};
use sqlx::PgConnection;

use super::choice::Choice;
use super::{rule, store};
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::Origin;
use crate::base::ids::{OrgId, PersonId};
use crate::mail::Topic;
use crate::orgs::{self, Acting, OrgError, Permission, Role};

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("Only an owner chooses for an owner. Nothing was changed.")]
    OfAnOwner,
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Keeps what somebody is to get from now on, in the caller's transaction. `usual` says what they would get without it.
///
/// # Errors
/// `OfAnOwner`, `NotFound` for who is no member, `NotAllowed`, and database errors.
pub async fn save(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    person: PersonId,
    wanted: &[(Topic, Choice)],
    usual: &(dyn Fn(Topic, Role) -> Choice + Send + Sync),
) -> Result<(), SaveError> {
    let own = person == acting.person.id;
    // Everybody may see what they did themselves.
    let permission = if own { Permission::SeeOwnActivity } else { Permission::ManageMembers };
    let (_, by) = acting.lock(conn, permission).await?;
    let role = orgs::hold_role(conn, acting.org, person).await?;
    let role = role.as_deref().and_then(Role::parse).ok_or(OrgError::NotFound)?;
    if !own && role == Role::Owner && by != Role::Owner {
        return Err(SaveError::OfAnOwner);
    }
    let before = store::of_person(conn, acting.org, person).await?;
    let (mut was, mut is) = (Map::new(), Map::new());
    for (topic, choice) in wanted {
        let usual = rule::within(*topic, role, usual(*topic, role));
        let old = before.get(topic).copied().map_or(usual, |old| rule::within(*topic, role, old));
        let new = rule::within(*topic, role, *choice);
        store::set(conn, acting.org, person, *topic, (new != usual).then_some(new)).await?;
        if old != new {
            was.insert(topic.code().to_owned(), old.as_str().into());
            is.insert(topic.code().to_owned(), new.as_str().into());
        }
    }
    if is.is_empty() {
        return Ok(());
    }
    let entry = acting.entry(Action::NoticesChanged).on(Target::new("person", person, ""));
    audit::record(conn, entry.change(Value::Object(was), Value::Object(is))).await?;
    Ok(())
}

/// Switches one topic's mails off for somebody who need not be signed in, in the caller's transaction; again changes
/// nothing. False for who is no member, and gets none of them.
///
/// # Errors
/// Database errors only.
pub async fn switch_off(
    conn: &mut PgConnection,
    (org, person): (OrgId, PersonId),
    topic: Topic,
    origin: &Origin,
    usual: &(dyn Fn(Topic, Role) -> Choice + Send + Sync),
) -> Result<bool, sqlx::Error> {
    // As whoever changes choices on the page.
    if orgs::lock_org(conn, org).await?.is_none() {
        return Ok(false);
    }
    let role = orgs::hold_role(conn, org, person).await?;
    let Some(role) = role.as_deref().and_then(Role::parse) else { return Ok(false) };
    let usual = rule::within(topic, role, usual(topic, role));
    let chosen = store::of_person(conn, org, person).await?.get(&topic).copied();
    let old = chosen.map_or(usual, |chosen| rule::within(topic, role, chosen));
    // Kept also where the role gets none anyway: it stays a no when the role changes, or what roles get.
    let changed = store::refuse(conn, org, person, topic).await?;
    if changed && old != Choice::No {
        let value = |choice: Choice| Value::Object(Map::from_iter([(topic.code().to_owned(), choice.as_str().into())]));
        // Whoever has the mail has the link.
        let entry = Entry::new(Chain::Org(org), Actor::Nobody, Action::NoticesChanged, origin);
        let entry = entry.named("by the link in a mail").on(Target::new("person", person, ""));
        audit::record(conn, entry.change(value(old), value(Choice::No))).await?;
    }
    Ok(true)
}
