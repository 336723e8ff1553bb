//! Invitations. An open one is neither answered nor too old.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::super::invitation::Invitation;
use crate::base::EmailAddress;
use crate::base::ids::{InvitationId, OrgId, PersonId};
use crate::base::secret::Digest;
use crate::db::interval;

/// What is written of a new invitation.
pub struct NewInvitation<'a> {
    pub id: InvitationId,
    pub digest: &'a Digest,
    pub email: &'a EmailAddress,
    pub role: &'a str,
    pub inviter: PersonId,
    pub lasts: TimeDelta,
}

/// Closes the invitations of an organization whose time is over.
pub async fn expire_invitations(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update invitation set ended_at = now(), ended_as = 'expired'
         where org_id = $1 and ended_at is null and expires_at <= now()",
        org.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn count_invitations(conn: &mut PgConnection, org: OrgId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from invitation
           where org_id = $1 and ended_at is null and expires_at > now()"#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// How many were made in the last twenty-four hours, whatever became of them.
pub async fn count_todays_invitations(conn: &mut PgConnection, org: OrgId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from invitation
           where org_id = $1 and created_at > now() - interval '24 hours'"#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// When it ends; `None` when this address has an open invitation to the organization already.
pub async fn insert_invitation(
    conn: &mut PgConnection,
    org: OrgId,
    new: &NewInvitation<'_>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let lasts = interval(new.lasts);
    sqlx::query_scalar!(
        "insert into invitation (org_id, id, digest, email, email_canonical, role, invited_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, now() + $8::interval)
         on conflict (org_id, email_canonical) where ended_at is null do nothing returning expires_at",
        org.0,
        new.id.0,
        new.digest.as_bytes(),
        new.email.as_str(),
        new.email.canonical(),
        new.role,
        new.inviter.0,
        lasts,
    )
    .fetch_optional(conn)
    .await
}

/// The open invitations of an organization, newest first; only those that are older than `before`.
pub async fn open_invitations(
    conn: &mut PgConnection,
    org: OrgId,
    before: Option<InvitationId>,
    most: i64,
) -> Result<Vec<Invitation>, sqlx::Error> {
    sqlx::query_as!(
        Invitation,
        r#"select i.org_id as "org: OrgId", i.id as "id: InvitationId", i.email, i.role, i.sends, i.sent_at,
            i.created_at, i.expires_at, o.name as org_name, p.name as "inviter?",
            i.invited_by as "inviter_id: PersonId"
           from invitation i join org o on o.id = i.org_id left join person p on p.id = i.invited_by
           where i.org_id = $1 and i.ended_at is null and i.expires_at > now() and ($3::uuid is null or i.id < $3)
           order by i.id desc limit $2"#,
        org.0,
        most,
        before.map(|id| id.0),
    )
    .fetch_all(conn)
    .await
}

/// One open invitation, locked until the caller's transaction ends.
pub async fn lock_invitation(
    conn: &mut PgConnection,
    org: OrgId,
    id: InvitationId,
) -> Result<Option<Invitation>, sqlx::Error> {
    sqlx::query_as!(
        Invitation,
        r#"select i.org_id as "org: OrgId", i.id as "id: InvitationId", i.email, i.role, i.sends, i.sent_at,
            i.created_at, i.expires_at, o.name as org_name, p.name as "inviter?",
            i.invited_by as "inviter_id: PersonId"
           from invitation i join org o on o.id = i.org_id left join person p on p.id = i.invited_by
           where i.org_id = $1 and i.id = $2 and i.ended_at is null and i.expires_at > now()
           for update of i"#,
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// An open invitation by its id alone, for whoever has proven its address.
pub async fn find_invitation_by_id(
    conn: &mut PgConnection,
    id: InvitationId,
) -> Result<Option<Invitation>, sqlx::Error> {
    sqlx::query_as!(
        Invitation,
        r#"select i.org_id as "org: OrgId", i.id as "id: InvitationId", i.email, i.role, i.sends, i.sent_at,
            i.created_at, i.expires_at, o.name as org_name, p.name as "inviter?",
            i.invited_by as "inviter_id: PersonId"
           from invitation i join org o on o.id = i.org_id left join person p on p.id = i.invited_by
           where i.id = $1 and i.ended_at is null and i.expires_at > now() and o.deleted_at is null
            and o.delete_after is null"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// The newest open invitation to an address, to where this person is not yet.
pub async fn newest_invitation_to(
    conn: &mut PgConnection,
    email: &EmailAddress,
    person: PersonId,
) -> Result<Option<Invitation>, sqlx::Error> {
    sqlx::query_as!(
        Invitation,
        r#"select i.org_id as "org: OrgId", i.id as "id: InvitationId", i.email, i.role, i.sends, i.sent_at,
            i.created_at, i.expires_at, o.name as org_name, p.name as "inviter?",
            i.invited_by as "inviter_id: PersonId"
           from invitation i join org o on o.id = i.org_id left join person p on p.id = i.invited_by
           where i.email_canonical = $1 and i.ended_at is null and i.expires_at > now() and o.deleted_at is null
            and o.delete_after is null
            and not exists (select from membership m where m.org_id = i.org_id and m.person_id = $2)
           order by i.id desc limit 1"#,
        email.canonical(),
        person.0,
    )
    .fetch_optional(conn)
    .await
}

/// The open invitation that a mailed token stands for: the token alone says of which organization.
pub async fn find_invitation(conn: &mut PgConnection, digest: &Digest) -> Result<Option<Invitation>, sqlx::Error> {
    sqlx::query_as!(
        Invitation,
        r#"select i.org_id as "org: OrgId", i.id as "id: InvitationId", i.email, i.role, i.sends, i.sent_at,
            i.created_at, i.expires_at, o.name as org_name, p.name as "inviter?",
            i.invited_by as "inviter_id: PersonId"
           from invitation i join org o on o.id = i.org_id left join person p on p.id = i.invited_by
           where i.digest = $1 and i.ended_at is null and i.expires_at > now() and o.deleted_at is null
            and o.delete_after is null"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await
}

pub async fn end_invitation(
    conn: &mut PgConnection,
    org: OrgId,
    id: InvitationId,
    ended_as: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update invitation set ended_at = now(), ended_as = $3 where org_id = $1 and id = $2 and ended_at is null",
        org.0,
        id.0,
        ended_as,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An invitation that was taken back with the others of who sent it.
pub struct Revoked {
    pub id: InvitationId,
    pub email: String,
    pub role: String,
}

/// Takes back every open invitation that somebody sent. There are at most [`MAX_OPEN`](super::super::invitation::MAX_OPEN).
pub async fn end_invitations_of(
    conn: &mut PgConnection,
    org: OrgId,
    inviter: PersonId,
) -> Result<Vec<Revoked>, sqlx::Error> {
    sqlx::query_as!(
        Revoked,
        r#"update invitation set ended_at = now(), ended_as = 'revoked'
           where org_id = $1 and invited_by = $2 and ended_at is null and expires_at > now()
           returning id as "id: InvitationId", email, role"#,
        org.0,
        inviter.0,
    )
    .fetch_all(conn)
    .await
}

/// A new token for one more mail.
pub async fn renew_invitation(
    conn: &mut PgConnection,
    org: OrgId,
    id: InvitationId,
    digest: &Digest,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update invitation set digest = $3, sends = sends + 1, sent_at = now() where org_id = $1 and id = $2",
        org.0,
        id.0,
        digest.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether somebody with this address may come because they were invited.
///
/// # Errors
/// Database errors only.
pub async fn is_invited(conn: &mut PgConnection, email: &EmailAddress) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from invitation i join org o on o.id = i.org_id
            where i.email_canonical = $1 and i.ended_at is null and i.expires_at > now()
             and o.deleted_at is null and o.delete_after is null) as "invited!""#,
        email.canonical(),
    )
    .fetch_one(conn)
    .await
}
