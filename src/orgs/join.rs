//! Answering an invitation.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::invitation::Invitation;
use super::org::{MAX_MEMBERS, MAX_ORGS};
use super::{OrgError, store};
use crate::accounts::Person;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::{InvitationId, MeterId, OrgId};
use crate::base::secret::Digest;
use crate::base::{EmailAddress, Origin};
use crate::ledger::{self, Limits, MeterKind};

/// The open invitation of a mailed token. For somebody who has proven the address that was invited, the invitation's id does as
/// well: they need not find the mail in the browser in which they are.
///
/// # Errors
/// `InvitationOver` for a token that was used, revoked, replaced, or is too old or nobody's: all one answer.
pub async fn invitation_of(
    conn: &mut PgConnection,
    token: &str,
    person: Option<&Person>,
) -> Result<Invitation, OrgError> {
    let found = match token.parse::<InvitationId>() {
        Ok(id) => {
            let found = store::find_invitation_by_id(conn, id).await?;
            found.filter(|invitation| person.is_some_and(|person| is_for(invitation, person)))
        }
        Err(_) => store::find_invitation(conn, &Digest::of(token)).await?,
    };
    found.ok_or(OrgError::InvitationOver)
}

/// The newest open invitation to an address that this person has proven.
///
/// # Errors
/// Database errors only.
pub async fn waiting_for(conn: &mut PgConnection, person: &Person) -> Result<Option<Invitation>, sqlx::Error> {
    let Some(email) = person.verified_at.and_then(|_| EmailAddress::parse(&person.email).ok()) else { return Ok(None) };
    store::newest_invitation_to(conn, &email, person.id).await
}

/// Whether this person has proven the address that was invited.
#[must_use]
pub fn is_for(invitation: &Invitation, person: &Person) -> bool {
    let canonical = |text: &str| EmailAddress::parse(text).ok().map(|email| email.canonical());
    person.verified_at.is_some()
        && canonical(&person.email).is_some_and(|own| Some(own) == canonical(&invitation.email))
}

/// Makes the invited person a member. Whoever was one before gets their meter back, with what it counted and its limits.
///
/// # Errors
/// `InvitationOver` (also where no owner stays), `OtherAddress`, `AlreadyMember`, `TooManyOrgs`, `TooManyMembers`, and database errors.
pub async fn accept(conn: &mut PgConnection, person: &Person, token: &str, origin: &Origin) -> Result<OrgId, OrgError> {
    let found = invitation_of(conn, token, Some(person)).await?;
    if !is_for(&found, person) {
        return Err(OrgError::OtherAddress);
    }
    // The person first, then the organization: the order of making one, too.
    store::lock_person(conn, person.id).await?;
    let locked = store::lock_org(conn, found.org).await?.ok_or(OrgError::InvitationOver)?;
    if locked.delete_after.is_some() {
        return Err(OrgError::InvitationOver);
    }
    // Looked at again under the lock: the same link may have come twice at once.
    let invitation = store::lock_invitation(conn, found.org, found.id).await?.ok_or(OrgError::InvitationOver)?;
    if store::hold_role(conn, invitation.org, person.id).await?.is_some() {
        return Err(OrgError::AlreadyMember);
    }
    // Whoever came to where every owner is leaving would keep the last one's account from being erased, for ever.
    if store::count_owners(conn, invitation.org).await? == 0 {
        return Err(OrgError::InvitationOver);
    }
    if store::count_orgs_of(conn, person.id).await? >= MAX_ORGS {
        return Err(OrgError::TooManyOrgs);
    }
    if store::count_members(conn, invitation.org).await? >= MAX_MEMBERS {
        return Err(OrgError::TooManyMembers);
    }
    let meter = match store::former_meter(conn, invitation.org, person.id).await? {
        Some(meter) => meter,
        None => {
            let meter = MeterId::fresh();
            ledger::create_meter(conn, invitation.org, meter, MeterKind::Member, Limits::default(), false).await?;
            meter
        }
    };
    let role = invitation.role();
    store::insert_membership(conn, invitation.org, person.id, role.as_str(), meter).await?;
    store::end_invitation(conn, invitation.org, invitation.id, "accepted").await?;
    let entry = Entry::new(Chain::Org(invitation.org), Actor::Person(person.id), Action::MemberJoined, origin)
        .named(&person.name)
        .on(Target::new("person", person.id, person.name.clone()))
        .change(Value::Null, json!({ "role": role.as_str(), "invitation": invitation.id }));
    audit::record(conn, entry).await?;
    Ok(invitation.org)
}

/// Says no. Whoever holds the link may: it came to the invited mailbox.
///
/// # Errors
/// `InvitationOver`, and database errors.
pub async fn decline(
    conn: &mut PgConnection,
    person: Option<&Person>,
    token: &str,
    origin: &Origin,
) -> Result<Invitation, OrgError> {
    let found = invitation_of(conn, token, person).await?;
    let invitation = store::lock_invitation(conn, found.org, found.id).await?.ok_or(OrgError::InvitationOver)?;
    store::end_invitation(conn, invitation.org, invitation.id, "declined").await?;
    let actor = person.map_or(Actor::Nobody, |person| Actor::Person(person.id));
    let entry = Entry::new(Chain::Org(invitation.org), actor, Action::InvitationDeclined, origin)
        .named(person.map_or("", |person| &person.name))
        .on(Target::new("invitation", invitation.id, invitation.email.clone()));
    audit::record(conn, entry).await?;
    Ok(invitation)
}
