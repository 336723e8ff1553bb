//! What operators do with an organization that is not theirs: freezing it, and looking at it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::super::org::Org;
use crate::base::ids::{AnnouncementId, MeterId, OrgId, PersonId, PictureId, SessionId};
use crate::db::interval;

/// Freezes an organization in an operator's name, or lets it go on without one. Every node hears of it by the trigger on
/// the row. False when it was so before, or there is none. One whose account is being deleted stays frozen.
///
/// # Errors
/// Database errors only.
pub async fn set_frozen(conn: &mut PgConnection, org: OrgId, by: Option<PersonId>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update org o set frozen_by = $2,
            frozen_at = case when $2::uuid is not null or exists (select from personal_org p
                join account_deletion d on d.person_id = p.person_id where p.org_id = o.id)
                then coalesce(o.frozen_at, now()) end
         where o.id = $1 and o.deleted_at is null and (o.frozen_by is null) = ($2::uuid is not null)",
        org.0,
        by.map(|person| person.0),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets a browser look at an organization for a while; what it looked at before is over.
///
/// # Errors
/// Database errors only.
pub async fn start_look(
    conn: &mut PgConnection,
    session: SessionId,
    org: OrgId,
    lasts: TimeDelta,
) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(
        "insert into impersonation (session_id, org_id, expires_at) values ($1, $2, now() + $3::interval)
         on conflict (session_id) do update set org_id = excluded.org_id, started_at = now(),
            expires_at = excluded.expires_at
         returning expires_at",
        session.0,
        org.0,
        interval(lasts),
    )
    .fetch_one(conn)
    .await
}

/// Ends it. The organization that was looked at; `None` when none was.
///
/// # Errors
/// Database errors only.
pub async fn end_look(conn: &mut PgConnection, session: SessionId) -> Result<Option<OrgId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"delete from impersonation where session_id = $1 returning org_id as "org: OrgId""#,
        session.0
    )
    .fetch_optional(conn)
    .await
}

/// An organization as its owner would see it, for whoever may look at it and is no member.
pub async fn as_guest(conn: &mut PgConnection, org: OrgId) -> Result<Option<Org>, sqlx::Error> {
    sqlx::query_as!(
        Org,
        r#"select o.id as "id: OrgId", o.name, o.kind, 'owner' as "role!",
            '00000000-0000-0000-0000-000000000000'::uuid as "member_meter!: MeterId", o.delete_after,
            f.id as "picture?: PictureId", o.frozen_at, o.keys_stopped_at
           from org o left join picture f on f.owner_kind = 'organization' and f.owner_id = o.id
           where o.id = $1 and o.deleted_at is null"#,
        org.0,
    )
    .fetch_optional(conn)
    .await
}

/// What the operators tell everybody and this person has not put away; at most three at once.
///
/// # Errors
/// Database errors only.
pub async fn announced(
    conn: &mut PgConnection,
    person: PersonId,
) -> Result<Vec<(AnnouncementId, String, String)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select a.id as "id: AnnouncementId", a.body, a.tone from announcement a
           where a.ended_at is null and a.until > now() and not exists (select from announcement_read r
                where r.announcement_id = a.id and r.person_id = $1)
           order by a.created_at desc limit 3"#,
        person.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.body, row.tone)).collect())
}

/// Puts an announcement away for one person.
///
/// # Errors
/// Database errors only.
pub async fn put_away(conn: &mut PgConnection, id: AnnouncementId, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into announcement_read (announcement_id, person_id)
         select id, $2 from announcement where id = $1 on conflict do nothing",
        id.0,
        person.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}
