//! Every query about keys, organization first; only authentication looks a key up by its digest.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::caller::Caller;
use super::issue::NewKey;
use super::key::Key;
use super::plain_key::PlainKey;
use crate::base::ids::{KeyId, MeterId, OrgId, PersonId};
use crate::base::secret::Digest;

/// How many keys an organization has, or one maker in it.
///
/// # Errors
/// Database errors only.
pub async fn count(conn: &mut PgConnection, org: OrgId, maker: Option<PersonId>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from api_key
           where org_id = $1 and deleted_at is null and ($2::uuid is null or created_by = $2)"#,
        org.0,
        maker.map(|person| person.0),
    )
    .fetch_one(conn)
    .await
}

/// How many keys each member has made, for those who have made any.
///
/// # Errors
/// Database errors only.
pub async fn counts(conn: &mut PgConnection, org: OrgId) -> Result<HashMap<PersonId, i64>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select created_by as "maker!: PersonId", count(*) as "count!" from api_key
           where org_id = $1 and deleted_at is null and created_by is not null group by created_by"#,
        org.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.maker, row.count)).collect())
}

/// Stops every key that somebody made here, and says how many those were. One that is being enabled at this moment is
/// waited for and stopped too.
pub async fn disable_all_of(conn: &mut PgConnection, org: OrgId, maker: PersonId) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "update api_key set disabled_at = coalesce(disabled_at, now()), updated_at = now()
         where org_id = $1 and created_by = $2 and deleted_at is null",
        org.0,
        maker.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes every key of an organization for good and forgets what it was called.
pub async fn erase_all(conn: &mut PgConnection, org: OrgId) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "update api_key set deleted_at = coalesce(deleted_at, now()), name = 'deleted key', updated_at = now()
         where org_id = $1",
        org.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

pub async fn insert(
    conn: &mut PgConnection,
    org: OrgId,
    id: KeyId,
    plain: &PlainKey,
    new: &NewKey,
    maker: Option<PersonId>,
) -> Result<(), sqlx::Error> {
    let digest = plain.digest();
    sqlx::query!(
        "insert into api_key (org_id, id, digest, kind, name, label, created_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        org.0,
        id.0,
        digest.as_bytes(),
        new.kind.as_str(),
        new.name.as_str(),
        plain.label(),
        maker.map(|person| person.0),
        new.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The name of a key that was stopped or let go on; `None` where there is none, or nothing to change.
pub async fn set_disabled(
    conn: &mut PgConnection,
    org: OrgId,
    id: KeyId,
    disabled: bool,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "update api_key set disabled_at = case when $3 then now() end, updated_at = now()
         where org_id = $1 and id = $2 and deleted_at is null and (disabled_at is null) = $3
         returning name",
        org.0,
        id.0,
        disabled,
    )
    .fetch_optional(conn)
    .await
}

/// The name of a key that was deleted; `None` where there is none.
pub async fn mark_deleted(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "update api_key set deleted_at = now(), updated_at = now()
         where org_id = $1 and id = $2 and deleted_at is null returning name",
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// One key of an organization.
///
/// # Errors
/// Database errors only.
pub async fn find(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<Option<Key>, sqlx::Error> {
    sqlx::query_as!(
        Key,
        r#"select k.org_id as "org: OrgId", k.id as "id: KeyId", k.digest, k.kind, k.name, k.label,
            k.created_by as "created_by: PersonId", p.name as "maker?", k.disabled_at, k.expires_at, k.created_at
           from api_key k left join person p on p.id = k.created_by
           where k.org_id = $1 and k.id = $2 and k.deleted_at is null"#,
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// Keys of an organization, or of one maker in it, newest first, from before `before` on.
///
/// # Errors
/// Database errors only.
pub async fn list(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    before: Option<KeyId>,
    limit: i64,
) -> Result<Vec<Key>, sqlx::Error> {
    sqlx::query_as!(
        Key,
        r#"select k.org_id as "org: OrgId", k.id as "id: KeyId", k.digest, k.kind, k.name, k.label,
            k.created_by as "created_by: PersonId", p.name as "maker?", k.disabled_at, k.expires_at, k.created_at
           from api_key k left join person p on p.id = k.created_by
           where k.org_id = $1 and k.deleted_at is null and ($2::uuid is null or k.id < $2)
            and ($4::uuid is null or k.created_by = $4)
           order by k.id desc limit $3"#,
        org.0,
        before.map(|id| id.0),
        limit,
        maker.map(|person| person.0),
    )
    .fetch_all(conn)
    .await
}

/// As [`list`], of the keys whose name contains `text` or whose end is `text`, in any case of letters.
///
/// # Errors
/// Database errors only.
pub async fn search(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    text: &str,
    before: Option<KeyId>,
    limit: i64,
) -> Result<Vec<Key>, sqlx::Error> {
    sqlx::query_as!(
        Key,
        r#"select k.org_id as "org: OrgId", k.id as "id: KeyId", k.digest, k.kind, k.name, k.label,
            k.created_by as "created_by: PersonId", p.name as "maker?", k.disabled_at, k.expires_at, k.created_at
           from api_key k left join person p on p.id = k.created_by
           where k.org_id = $1 and k.deleted_at is null and ($2::uuid is null or k.id < $2)
            and (strpos(lower(k.name), lower($4)) > 0 or right(lower(k.label), length($4)) = lower($4))
            and ($5::uuid is null or k.created_by = $5)
           order by k.id desc limit $3"#,
        org.0,
        before.map(|id| id.0),
        limit,
        text,
        maker.map(|person| person.0),
    )
    .fetch_all(conn)
    .await
}

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

/// Names of keys, deleted ones too, for the activity log; of one maker's keys where one is given.
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
        r#"select id as "id: KeyId", name from api_key
           where org_id = $1 and id = any($2) and ($3::uuid is null or created_by = $3)"#,
        org.0,
        &ids,
        maker.map(|person| person.0),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Names of those people among `ids` who are in the organization or made a key there, so that a call has its maker's
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
           )"#,
        org.0,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// What authentication finds under a digest.
pub struct Found {
    pub caller: Caller,
    pub disabled: bool,
    pub frozen: bool,
    /// The organization is deleted, or waits for it.
    pub closing: bool,
}

pub async fn find_by_digest(conn: &mut PgConnection, digest: &Digest) -> Result<Option<Found>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select k.org_id as "org: OrgId", k.id as "id: KeyId", k.kind, k.name, k.label,
            k.created_by as "created_by: PersonId", k.issued_by as "issued_by: MeterId", k.disabled_at, k.expires_at,
            o.frozen_at, coalesce(o.delete_after, o.deleted_at) is not null as "closing!", m.meter_id as "member_meter?: MeterId"
           from api_key k
           join org o on o.id = k.org_id
           left join membership m on m.org_id = k.org_id and m.person_id = k.created_by
           where k.digest = $1 and k.deleted_at is null"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let meters = [Some(MeterId(row.id.0)), row.issued_by, row.member_meter].into_iter().flatten().collect();
        Found {
            caller: Caller {
                org: row.org,
                key: row.id,
                key_name: row.name,
                key_label: row.label,
                created_by: row.created_by,
                meters,
                hash: digest.to_hex(),
                provisioning: row.kind == "provisioning",
                expires_at: row.expires_at,
            },
            disabled: row.disabled_at.is_some(),
            frozen: row.frozen_at.is_some(),
            closing: row.closing,
        }
    }))
}
