//! Who is in an organization.

use sqlx::PgConnection;

use super::super::org::MemberRow;
use crate::base::ids::{MeterId, OrgId, PersonId};

pub async fn insert_membership(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    role: &str,
    meter: MeterId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into membership (org_id, person_id, role, meter_id) values ($1, $2, $3, $4)",
        org.0,
        person.0,
        role,
        meter.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The meter that counts what a member spends in an organization.
///
/// # Errors
/// Database errors only.
pub async fn member_meter(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
) -> Result<Option<MeterId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select meter_id as "meter: MeterId" from membership where org_id = $1 and person_id = $2"#,
        org.0,
        person.0,
    )
    .fetch_optional(conn)
    .await
}

/// Names of an organization's members, for labels.
///
/// # Errors
/// Database errors only.
pub async fn members(conn: &mut PgConnection, org: OrgId) -> Result<Vec<(PersonId, String)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select p.id as "id: PersonId", p.name from membership m join person p on p.id = m.person_id
           where m.org_id = $1 order by p.name limit 1000"#,
        org.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Everybody in an organization, owners first.
pub async fn member_rows(conn: &mut PgConnection, org: OrgId, most: i64) -> Result<Vec<MemberRow>, sqlx::Error> {
    sqlx::query_as!(
        MemberRow,
        r#"select p.id as "person: PersonId", p.name, p.email, m.role, m.meter_id as "meter: MeterId",
            m.created_at as joined_at
           from membership m join person p on p.id = m.person_id
           where m.org_id = $1
           order by array_position(array['owner', 'admin', 'billing', 'member'], m.role), lower(p.name), p.id limit $2"#,
        org.0,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Members whose name or address contains `search`, by role and name. Those up to `after` are left out; there is nobody
/// when that one is no member any more.
pub async fn member_page(
    conn: &mut PgConnection,
    org: OrgId,
    search: &str,
    after: Option<PersonId>,
    limit: i64,
) -> Result<Vec<MemberRow>, sqlx::Error> {
    sqlx::query_as!(
        MemberRow,
        r#"select p.id as "person: PersonId", p.name, p.email, m.role, m.meter_id as "meter: MeterId",
            m.created_at as joined_at
           from membership m join person p on p.id = m.person_id
           where m.org_id = $1
            and ($2 = '' or strpos(lower(p.name), lower($2)) > 0 or strpos(lower(p.email), lower($2)) > 0)
            and ($3::uuid is null
                or (array_position(array['owner', 'admin', 'billing', 'member'], m.role), lower(p.name), p.id) > (
                    select array_position(array['owner', 'admin', 'billing', 'member'], m.role), lower(p.name), p.id
                    from membership m join person p on p.id = m.person_id where m.org_id = $1 and m.person_id = $3))
           order by array_position(array['owner', 'admin', 'billing', 'member'], m.role), lower(p.name), p.id limit $4"#,
        org.0,
        search,
        after.map(|person| person.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Everybody in an organization, owners first, without the first `offset`.
///
/// # Errors
/// Database errors only.
pub async fn members_from(
    conn: &mut PgConnection,
    org: OrgId,
    offset: i64,
    limit: i64,
) -> Result<Vec<MemberRow>, sqlx::Error> {
    sqlx::query_as!(
        MemberRow,
        r#"select p.id as "person: PersonId", p.name, p.email, m.role, m.meter_id as "meter: MeterId",
            m.created_at as joined_at
           from membership m join person p on p.id = m.person_id
           where m.org_id = $1
           order by array_position(array['owner', 'admin', 'billing', 'member'], m.role), lower(p.name), p.id
           offset $2 limit $3"#,
        org.0,
        offset,
        limit,
    )
    .fetch_all(conn)
    .await
}

pub async fn member_row(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
) -> Result<Option<MemberRow>, sqlx::Error> {
    sqlx::query_as!(
        MemberRow,
        r#"select p.id as "person: PersonId", p.name, p.email, m.role, m.meter_id as "meter: MeterId",
            m.created_at as joined_at
           from membership m join person p on p.id = m.person_id where m.org_id = $1 and m.person_id = $2"#,
        org.0,
        person.0,
    )
    .fetch_optional(conn)
    .await
}

/// What somebody is in an organization. The row stays as it is until the caller's transaction ends.
pub async fn hold_role(conn: &mut PgConnection, org: OrgId, person: PersonId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select role from membership where org_id = $1 and person_id = $2 for share", org.0, person.0,)
        .fetch_optional(conn)
        .await
}

pub async fn count_members(conn: &mut PgConnection, org: OrgId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from membership where org_id = $1"#, org.0).fetch_one(conn).await
}

/// Owners who stay: one whose account is being deleted will not be there.
pub async fn count_owners(conn: &mut PgConnection, org: OrgId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from membership m where m.org_id = $1 and m.role = 'owner'
            and not exists (select from account_deletion d where d.person_id = m.person_id)"#,
        org.0,
    )
    .fetch_one(conn)
    .await
}

/// Whether somebody's account is being deleted.
pub async fn is_leaving(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select from account_deletion where person_id = $1) as "leaving!""#, person.0,)
        .fetch_one(conn)
        .await
}

pub async fn set_role(conn: &mut PgConnection, org: OrgId, person: PersonId, role: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update membership set role = $3 where org_id = $1 and person_id = $2", org.0, person.0, role)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes somebody out and keeps the number of their meter, so that coming back does not start it anew.
pub async fn delete_membership(conn: &mut PgConnection, org: OrgId, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with gone as (delete from membership where org_id = $1 and person_id = $2 returning org_id, person_id, meter_id)
         insert into former_member (org_id, person_id, meter_id) select org_id, person_id, meter_id from gone
         on conflict (org_id, person_id) do update set meter_id = excluded.meter_id, left_at = now()",
        org.0,
        person.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The meter that counted somebody who was a member before.
pub async fn former_meter(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
) -> Result<Option<MeterId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select meter_id as "meter: MeterId" from former_member where org_id = $1 and person_id = $2"#,
        org.0,
        person.0,
    )
    .fetch_optional(conn)
    .await
}
