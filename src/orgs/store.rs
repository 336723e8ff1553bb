//! Every query about organizations.

use sqlx::PgConnection;

use super::org::Org;
use crate::base::ids::{MeterId, OrgId, PersonId};

pub async fn lock_person(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("select id from person where id = $1 for update", person.0).fetch_one(conn).await?;
    Ok(())
}

pub async fn personal_org(conn: &mut PgConnection, person: PersonId) -> Result<Option<Org>, sqlx::Error> {
    sqlx::query_as!(
        Org,
        r#"select o.id as "id: OrgId", o.name, o.kind, m.role, m.meter_id as "member_meter: MeterId"
           from personal_org p
           join org o on o.id = p.org_id
           join membership m on m.org_id = o.id and m.person_id = p.person_id
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

pub async fn insert_personal_org(conn: &mut PgConnection, person: PersonId, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into personal_org (person_id, org_id) values ($1, $2)", person.0, org.0).execute(conn).await?;
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
