//! Somebody who changes something in an organization, checked again under its lock.

use sqlx::PgConnection;

use super::role::{Permission, Role};
use super::store;
use crate::accounts::Person;
use crate::audit::{Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::OrgId;

pub use super::store::Locked;

/// Why something in an organization was not done.
#[derive(Debug, thiserror::Error)]
pub enum OrgError {
    /// The role changed since the page was opened.
    #[error("Your role in this organization does not allow this. Nothing was changed.")]
    NotAllowed,
    #[error("There is nobody and nothing of this kind here.")]
    NotFound,
    #[error("You are in as many organizations as one person may be. Leave one first.")]
    TooManyOrgs,
    /// The same form came twice.
    #[error("This form was used before.")]
    Again,
    #[error("This is a personal organization. Create another one to work with others.")]
    Personal,
    #[error("This organization will be deleted. Undo that first.")]
    Closing,
    #[error("This is the only owner. Make somebody else an owner first.")]
    LastOwner,
    #[error("They are deleting their account, so they cannot become an owner.")]
    Leaving,
    #[error("They are a member already.")]
    AlreadyMember,
    #[error("They have an open invitation already. You can send it again.")]
    AlreadyInvited,
    #[error("There are as many open invitations as one organization may have. Revoke some first.")]
    TooManyInvitations,
    #[error("As many people as one organization may invite in a day were invited. Nothing was sent; go on tomorrow.")]
    TooManyToday,
    /// Over all organizations of who invites.
    #[error("You have invited as many people as one person may in a day. Nothing was sent; go on tomorrow.")]
    TooManyOfYours,
    /// To one mailbox, whatever for.
    #[error("As many mails as may be have gone to this address in the last hour. Nothing was sent; try again later.")]
    TooManyMails,
    #[error("There are as many members as one organization may have.")]
    TooManyMembers,
    #[error("This mail was sent a moment ago, or too often. Wait a minute, or invite them anew.")]
    ResendTooSoon,
    #[error("This invitation was used, revoked or is too old.")]
    InvitationOver,
    #[error("This invitation was sent to another address.")]
    OtherAddress,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// Who acts, where, and from where.
#[derive(Clone, Copy)]
pub struct Acting<'a> {
    pub org: OrgId,
    pub person: &'a Person,
    pub origin: &'a Origin,
}

impl Acting<'_> {
    /// Takes the lock under which the people of an organization change, and looks again whether this one may.
    ///
    /// # Errors
    /// `NotAllowed` when the role was taken away meanwhile, and database errors.
    pub async fn lock(&self, conn: &mut PgConnection, permission: Permission) -> Result<(Locked, Role), OrgError> {
        let locked = store::lock_org(conn, self.org).await?.ok_or(OrgError::NotFound)?;
        let role = store::hold_role(conn, self.org, self.person.id).await?;
        let role = role.as_deref().and_then(Role::parse).filter(|role| role.may(permission));
        Ok((locked, role.ok_or(OrgError::NotAllowed)?))
    }

    /// As [`Acting::lock`], where nothing is to be added to what ends soon.
    ///
    /// # Errors
    /// `Closing`, and those of [`Acting::lock`].
    pub async fn lock_staying(&self, conn: &mut PgConnection, permission: Permission) -> Result<Locked, OrgError> {
        let (locked, _) = self.lock(conn, permission).await?;
        if locked.delete_after.is_some() { Err(OrgError::Closing) } else { Ok(locked) }
    }

    /// As [`Acting::lock`], where only several people can be meant.
    ///
    /// # Errors
    /// `Personal`, `Closing`, and those of [`Acting::lock`].
    pub async fn lock_team(&self, conn: &mut PgConnection, permission: Permission) -> Result<(Locked, Role), OrgError> {
        let (locked, role) = self.lock(conn, permission).await?;
        if locked.kind != "team" {
            return Err(OrgError::Personal);
        }
        if locked.delete_after.is_some() {
            return Err(OrgError::Closing);
        }
        Ok((locked, role))
    }

    /// The beginning of an entry in the organization's log.
    #[must_use]
    pub fn entry(&self, action: Action) -> Entry {
        Entry::new(Chain::Org(self.org), Actor::Person(self.person.id), action, self.origin).named(&self.person.name)
    }
}
