//! Names of keys and of those who made them, for pages of other domains.

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::base::ids::{KeyId, OrgId, PersonId};

/// Names of those keys among `ids` that are not deleted, or of those that one maker made.
///
/// # Errors
/// Database errors only.
pub async fn live(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    ids: &[KeyId],
) -> Result<HashMap<KeyId, String>, sqlx::Error> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select id as "id: KeyId", name from api_key
           where org_id = $1 and id = any($2) and deleted_at is null and ($3::uuid is null or created_by = $3)"#,
        org.0,
        &ids,
        maker.map(|person| person.0),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// As [`live`], without provisioning keys: what is done to several keys at once is done to none of those.
pub async fn callable(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    ids: &[KeyId],
) -> Result<HashMap<KeyId, String>, sqlx::Error> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select id as "id: KeyId", name from api_key
           where org_id = $1 and id = any($2) and kind = 'inference' and deleted_at is null
            and ($3::uuid is null or created_by = $3)"#,
        org.0,
        &ids,
        maker.map(|person| person.0),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Names of keys, deleted ones and those of chat rooms too, for the activity log; of one maker's keys where one is given.
///
/// # Errors
/// Database errors only.
pub async fn labels(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    ids: &[KeyId],
) -> Result<HashMap<KeyId, String>, sqlx::Error> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select id as "id!: KeyId", name as "name!" from api_key
           where org_id = $1 and id = any($2) and ($3::uuid is null or created_by = $3)
           union all
           select k.id, case when $3::uuid is null then 'Chat of ' || p.name else 'Chat' end
           from chat_key k join person p on p.id = k.person_id
           where k.org_id = $1 and k.id = any($2) and ($3::uuid is null or k.person_id = $3)"#,
        org.0,
        &ids,
        maker.map(|person| person.0),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Names of those people among `ids` who are in the organization, made a key or chatted there, so that a call has its maker's
/// name also after the maker left.
///
/// # Errors
/// Database errors only.
pub async fn makers(
    conn: &mut PgConnection,
    org: OrgId,
    ids: &[PersonId],
) -> Result<HashMap<PersonId, String>, sqlx::Error> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select p.id as "id: PersonId", p.name from person p
           where p.id = any($2) and (
              exists (select 1 from membership m where m.org_id = $1 and m.person_id = p.id)
              or exists (select 1 from api_key k where k.org_id = $1 and k.created_by = p.id)
              or exists (select 1 from chat_key k where k.org_id = $1 and k.person_id = p.id)
           )"#,
        org.0,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}
