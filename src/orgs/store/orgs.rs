//! Organizations, and which one a browser looks at.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::super::org::Org;
use crate::base::ids::{MeterId, OrgId, PersonId, PictureId, SessionId};
use crate::db::interval;

pub async fn lock_person(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("select id from person where id = $1 for update", person.0).fetch_one(conn).await?;
    Ok(())
}

pub async fn personal_org(conn: &mut PgConnection, person: PersonId) -> Result<Option<Org>, sqlx::Error> {
    sqlx::query_as!(
        Org,
        r#"select o.id as "id: OrgId", o.name, o.kind, m.role, m.meter_id as "member_meter: MeterId",
            o.delete_after, f.id as "picture?: PictureId", o.frozen_at, o.keys_stopped_at
           from personal_org p
           join org o on o.id = p.org_id
           join membership m on m.org_id = o.id and m.person_id = p.person_id
           left join picture f on f.owner_kind = 'organization' and f.owner_id = o.id
           where p.person_id = $1"#,
        person.0,
    )
    .fetch_optional(conn)
    .await
}

pub async fn insert_org(conn: &mut PgConnection, id: OrgId, name: &str, kind: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into org (id, name, kind) values ($1, $2, $3)", id.0, name, kind).execute(conn).await?;
    Ok(())
}

pub async fn insert_personal_org(conn: &mut PgConnection, person: PersonId, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into personal_org (person_id, org_id) values ($1, $2)", person.0, org.0).execute(conn).await?;
    Ok(())
}

/// Name of an organization.
///
/// # Errors
/// Database errors only.
pub async fn find_org(conn: &mut PgConnection, org: OrgId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select name from org where id = $1", org.0).fetch_optional(conn).await
}

/// When an organization was made.
///
/// # Errors
/// Database errors only.
pub async fn made_at(conn: &mut PgConnection, org: OrgId) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!("select created_at from org where id = $1", org.0).fetch_optional(conn).await
}

/// Names of organizations, for the history of moves.
///
/// # Errors
/// Database errors only.
pub async fn org_names(
    conn: &mut PgConnection,
    orgs: &[OrgId],
) -> Result<std::collections::HashMap<OrgId, String>, sqlx::Error> {
    let ids: Vec<uuid::Uuid> = orgs.iter().map(|org| org.0).collect();
    let rows =
        sqlx::query!(r#"select id as "id: OrgId", name from org where id = any($1)"#, &ids).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Refuses all keys of an organization, or lets them go on. False when it was so before.
///
/// # Errors
/// Database errors only.
pub async fn set_keys_stopped(conn: &mut PgConnection, org: OrgId, by: Option<PersonId>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update org set keys_stopped_at = case when $2::uuid is not null then now() end, keys_stopped_by = $2
         where id = $1 and (keys_stopped_at is null) = ($2::uuid is not null)",
        org.0,
        by.map(|person| person.0),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The organizations that somebody is in, their own first.
pub async fn orgs_of(conn: &mut PgConnection, person: PersonId, most: i64) -> Result<Vec<Org>, sqlx::Error> {
    sqlx::query_as!(
        Org,
        r#"select o.id as "id: OrgId", o.name, o.kind, m.role, m.meter_id as "member_meter: MeterId", o.delete_after,
            f.id as "picture?: PictureId", o.frozen_at, o.keys_stopped_at
           from membership m join org o on o.id = m.org_id
           left join picture f on f.owner_kind = 'organization' and f.owner_id = o.id
           where m.person_id = $1 and o.deleted_at is null
           order by o.kind = 'team', lower(o.name), o.id limit $2"#,
        person.0,
        most,
    )
    .fetch_all(conn)
    .await
}

pub async fn count_orgs_of(conn: &mut PgConnection, person: PersonId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from membership where person_id = $1"#, person.0)
        .fetch_one(conn)
        .await
}

/// One column of a session belongs to this folder: the organization that its browser looks at.
pub async fn current_org(conn: &mut PgConnection, session: SessionId) -> Result<Option<OrgId>, sqlx::Error> {
    sqlx::query_scalar!(r#"select current_org_id as "org: OrgId" from session where id = $1"#, session.0)
        .fetch_optional(conn)
        .await
        .map(Option::flatten)
}

pub async fn set_current_org(
    conn: &mut PgConnection,
    session: SessionId,
    org: Option<OrgId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update session set current_org_id = $2 where id = $1", session.0, org.map(|org| org.0))
        .execute(conn)
        .await?;
    Ok(())
}

/// What is locked while the people of an organization change: its row, so that such changes come one after another.
pub struct Locked {
    pub name: String,
    pub kind: String,
    pub delete_after: Option<DateTime<Utc>>,
}

/// `None` when there is no such organization any more. Does not wait for those who only refer to the row.
pub async fn lock_org(conn: &mut PgConnection, org: OrgId) -> Result<Option<Locked>, sqlx::Error> {
    sqlx::query_as!(
        Locked,
        "select name, kind, delete_after from org where id = $1 and deleted_at is null for no key update",
        org.0,
    )
    .fetch_optional(conn)
    .await
}

pub async fn rename(conn: &mut PgConnection, org: OrgId, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update org set name = $2 where id = $1", org.0, name).execute(conn).await?;
    Ok(())
}

/// Asks for the end of an organization so long from now; the moment when it comes.
pub async fn ask_deletion(conn: &mut PgConnection, org: OrgId, after: TimeDelta) -> Result<DateTime<Utc>, sqlx::Error> {
    let after = interval(after);
    sqlx::query_scalar!(
        r#"update org set deletion_asked_at = now(), delete_after = now() + $2::interval where id = $1
           returning delete_after as "after!""#,
        org.0,
        after,
    )
    .fetch_one(conn)
    .await
}

pub async fn undo_deletion(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("update org set deletion_asked_at = null, delete_after = null where id = $1", org.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether the time to undo is over, by the clock of the database.
pub async fn is_due(conn: &mut PgConnection, org: OrgId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from org where id = $1 and deleted_at is null and delete_after <= now()) as "due!""#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// Whether an organization may spend and be charged: it is there, nobody asked for its end, and nothing froze it.
///
/// # Errors
/// Database errors only.
pub async fn is_open(conn: &mut PgConnection, org: OrgId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from org
            where id = $1 and deleted_at is null and delete_after is null and frozen_at is null) as "open!""#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// Whether an organization was deleted, or erased with the account that it belonged to.
///
/// # Errors
/// Database errors only.
pub async fn is_gone(conn: &mut PgConnection, org: OrgId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from org where id = $1 and deleted_at is not null)
            or exists (select from personal_org p join account_deletion d on d.person_id = p.person_id
                where p.org_id = $1 and d.erased_at is not null) as "gone!""#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// Ends an organization: its name, its members and its invitations go.
pub async fn erase(conn: &mut PgConnection, org: OrgId, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update org set deleted_at = now(), name = $2 where id = $1", org.0, name).execute(&mut *conn).await?;
    sqlx::query!("update session set current_org_id = null where current_org_id = $1", org.0)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("delete from invitation where org_id = $1", org.0).execute(&mut *conn).await?;
    sqlx::query!("delete from former_member where org_id = $1", org.0).execute(&mut *conn).await?;
    sqlx::query!("delete from membership where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}
