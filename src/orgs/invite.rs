//! Inviting somebody by mail, sending the mail again, and taking the invitation back.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::acting::Acting;
use super::invitation::{Invitation, Lasts, MAX_A_DAY, MAX_OPEN};
use super::mails;
use super::org::MAX_MEMBERS;
use super::role::{Permission, Role};
use super::{OrgError, store};
use crate::accounts;
use crate::accounts::{Links, Mailing, Throttle};
use crate::audit::{self, Action, Entry, Target};
use crate::base::EmailAddress;
use crate::base::ids::{InvitationId, OrgId, PersonId};
use crate::base::secret::{Digest, random_token};

fn target(id: InvitationId, email: &str) -> Target {
    Target::new("invitation", id, email)
}

/// Counts one mail that is to invite somebody, whatever comes of it: one person can make many organizations, so their limits
/// alone keep nobody from filling a mailbox. In a transaction of its own before the one that invites, for who asks for mails is
/// counted outside of every organization. The caller rolls back on any error.
///
/// # Errors
/// `TooManyOfYours`, `TooManyMails`, and database errors.
pub async fn count_mail(tx: &mut PgConnection, acting: &Acting<'_>, to: &EmailAddress) -> Result<(), OrgError> {
    if !Throttle::of_inviter(acting.person.id).count(tx).await? {
        return Err(OrgError::TooManyOfYours);
    }
    if !Throttle::of_mail(Mailing::Invitation, &acting.origin.ip, to).count(tx).await? {
        return Err(OrgError::TooManyMails);
    }
    Ok(())
}

/// Invites an address, whose mail was counted by [`count_mail`]. Whether it has an account makes no difference that could be seen. Nobody is made an owner so.
///
/// # Errors
/// `AlreadyMember`, `AlreadyInvited`, `TooManyInvitations`, `TooManyToday`, and those of [`Acting::lock_team`].
pub async fn invite(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    links: &Links,
    email: &EmailAddress,
    role: Role,
    lasts: Lasts,
) -> Result<InvitationId, OrgError> {
    let (locked, _) = acting.lock_team(conn, Permission::ManageMembers).await?;
    if role == Role::Owner {
        return Err(OrgError::NotAllowed);
    }
    store::expire_invitations(conn, acting.org).await?;
    // Whoever may invite may see the members, so this tells nothing new.
    if let Some(person) = accounts::id_by_email(conn, email).await?
        && store::hold_role(conn, acting.org, person).await?.is_some()
    {
        return Err(OrgError::AlreadyMember);
    }
    if store::count_invitations(conn, acting.org).await? >= MAX_OPEN {
        return Err(OrgError::TooManyInvitations);
    }
    if store::count_todays_invitations(conn, acting.org).await? >= MAX_A_DAY {
        return Err(OrgError::TooManyToday);
    }
    if store::count_members(conn, acting.org).await? >= MAX_MEMBERS {
        return Err(OrgError::TooManyMembers);
    }
    let (id, token) = (InvitationId::fresh(), random_token());
    let new = store::NewInvitation {
        id,
        digest: &Digest::of(token.expose()),
        email,
        role: role.as_str(),
        inviter: acting.person.id,
        lasts: chrono::TimeDelta::days(lasts.days()),
    };
    let until = store::insert_invitation(conn, acting.org, &new).await?.ok_or(OrgError::AlreadyInvited)?;
    let invitation = Invitation {
        org: acting.org,
        id,
        email: email.to_string(),
        role: role.as_str().to_owned(),
        sends: 1,
        sent_at: until,
        created_at: until,
        expires_at: until,
        org_name: locked.name,
        inviter: Some(acting.person.name.clone()),
        inviter_id: Some(acting.person.id),
    };
    mails::invitation(conn, links, &invitation, &token).await?;
    let entry = acting
        .entry(Action::MemberInvited)
        .on(target(id, email.as_str()))
        .change(Value::Null, json!({ "role": role.as_str(), "until": until }));
    audit::record(conn, entry).await?;
    Ok(id)
}

/// Whom an invitation is sent to once more, if it may be.
///
/// # Errors
/// `ResendTooSoon`, `NotFound`, and those of [`Acting::lock_team`].
pub async fn resends_to(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    id: InvitationId,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<EmailAddress, OrgError> {
    let invitation = lock_resendable(conn, acting, id, now).await?;
    EmailAddress::parse(&invitation.email).map_err(|_| OrgError::NotFound)
}

async fn lock_resendable(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    id: InvitationId,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Invitation, OrgError> {
    acting.lock_team(conn, Permission::ManageMembers).await?;
    let invitation = store::lock_invitation(conn, acting.org, id).await?.ok_or(OrgError::NotFound)?;
    if invitation.may_resend(now) { Ok(invitation) } else { Err(OrgError::ResendTooSoon) }
}

/// Sends the mail once more, with a new link; the one before no longer works. It was counted by [`count_mail`].
///
/// # Errors
/// `ResendTooSoon`, `NotFound`, and those of [`Acting::lock_team`].
pub async fn resend(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    links: &Links,
    id: InvitationId,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<String, OrgError> {
    let mut invitation = lock_resendable(conn, acting, id, now).await?;
    let token = random_token();
    store::renew_invitation(conn, acting.org, id, &Digest::of(token.expose())).await?;
    invitation.sends += 1;
    mails::invitation(conn, links, &invitation, &token).await?;
    let entry = acting.entry(Action::InvitationResent).on(target(id, &invitation.email));
    audit::record(conn, entry.change(Value::Null, json!({ "mails": invitation.sends }))).await?;
    Ok(invitation.email)
}

/// Takes an invitation back. Its link no longer works.
///
/// # Errors
/// `NotFound`, and those of [`Acting::lock`].
pub async fn revoke(conn: &mut PgConnection, acting: &Acting<'_>, id: InvitationId) -> Result<String, OrgError> {
    acting.lock(conn, Permission::ManageMembers).await?;
    let invitation = store::lock_invitation(conn, acting.org, id).await?.ok_or(OrgError::NotFound)?;
    store::end_invitation(conn, acting.org, id, "revoked").await?;
    let entry = acting.entry(Action::InvitationRevoked).on(target(id, &invitation.email));
    audit::record(conn, entry.change(json!({ "role": invitation.role }), Value::Null)).await?;
    Ok(invitation.email)
}

/// Takes back every open invitation of somebody who may not invite any more. Runs in the transaction that ends their
/// right; `entry` begins an entry of the organization's log in the name of who did that. Says how many there were.
///
/// # Errors
/// Database errors only.
pub async fn revoke_all_of(
    conn: &mut PgConnection,
    org: OrgId,
    inviter: PersonId,
    entry: impl Fn(Action) -> Entry,
) -> Result<usize, sqlx::Error> {
    let revoked = store::end_invitations_of(conn, org, inviter).await?;
    for one in &revoked {
        let entry = entry(Action::InvitationRevoked).on(target(one.id, &one.email));
        audit::record(conn, entry.change(json!({ "role": one.role, "invited_by": inviter }), Value::Null)).await?;
    }
    Ok(revoked.len())
}
