//! Keys that a provisioning key issued.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::key::Key;
use super::read::{Row, select_keys};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::secret::Digest;

/// Which keys are wanted, the newest first.
#[derive(Clone, Copy, Debug)]
pub struct IssuedQuery {
    pub issuer: KeyId,
    pub disabled: bool,
    pub expired: bool,
    pub now: DateTime<Utc>,
    pub offset: i64,
    pub limit: i64,
}

pub async fn issued(conn: &mut PgConnection, org: OrgId, wanted: &IssuedQuery) -> Result<Vec<Key>, sqlx::Error> {
    let query = select_keys!(
        r#"from api_key k
           where k.org_id = $1 and k.issued_by = $2 and k.deleted_at is null
            and ($3 or k.disabled_at is null) and ($4 or k.expires_at is null or k.expires_at > $5)
           order by k.id desc offset $6 limit $7"#;
        org.0,
        wanted.issuer.0,
        wanted.disabled,
        wanted.expired,
        wanted.now,
        wanted.offset,
        wanted.limit,
    );
    Ok(query.fetch_all(conn).await?.into_iter().map(Key::from).collect())
}

/// A key by its digest, or by one that it had before it was rotated, if this provisioning key issued it.
pub async fn find_issued(
    conn: &mut PgConnection,
    org: OrgId,
    issuer: KeyId,
    digest: &Digest,
) -> Result<Option<Key>, sqlx::Error> {
    let query = select_keys!(
        "from api_key k where k.org_id = $1 and k.issued_by = $2 and k.digest = $3 and k.deleted_at is null";
        org.0,
        issuer.0,
        digest.as_bytes(),
    );
    if let Some(found) = query.fetch_optional(&mut *conn).await? {
        return Ok(Some(Key::from(found)));
    }
    let Some(id) = find_former(conn, org, digest).await? else { return Ok(None) };
    let key = super::find(conn, org, id).await?;
    Ok(key.filter(|key| key.issued_by == Some(issuer)))
}

/// The key that had this secret before it was rotated.
async fn find_former(conn: &mut PgConnection, org: OrgId, digest: &Digest) -> Result<Option<KeyId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select id as "id: KeyId" from api_key
           where org_id = $1 and former_digests <> '{}' and $2 = any(former_digests) limit 1"#,
        org.0,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await
}

/// As [`super::find`]; the key stays as it is until the transaction ends.
pub async fn hold(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<Option<Key>, sqlx::Error> {
    let query = select_keys!(
        "from api_key k where k.org_id = $1 and k.id = $2 and k.deleted_at is null for share";
        org.0,
        id.0,
    );
    Ok(query.fetch_optional(conn).await?.map(Key::from))
}

/// Provisioning keys of an organization, the newest first, from before `before` on.
pub async fn provisioning(
    conn: &mut PgConnection,
    org: OrgId,
    before: Option<KeyId>,
    limit: i64,
) -> Result<Vec<Key>, sqlx::Error> {
    let query = select_keys!(
        r#"from api_key k
           where k.org_id = $1 and k.kind = 'provisioning' and k.deleted_at is null
            and ($2::uuid is null or k.id < $2)
           order by k.id desc limit $3"#;
        org.0,
        before.map(|id| id.0),
        limit,
    );
    Ok(query.fetch_all(conn).await?.into_iter().map(Key::from).collect())
}

/// Issued keys for a page, from before `before` on.
pub async fn issued_page(
    conn: &mut PgConnection,
    org: OrgId,
    issuer: KeyId,
    before: Option<KeyId>,
    limit: i64,
) -> Result<Vec<Key>, sqlx::Error> {
    let query = select_keys!(
        r#"from api_key k
           where k.org_id = $1 and k.issued_by = $2 and k.deleted_at is null and ($3::uuid is null or k.id < $3)
           order by k.id desc limit $4"#;
        org.0,
        issuer.0,
        before.map(|id| id.0),
        limit,
    );
    Ok(query.fetch_all(conn).await?.into_iter().map(Key::from).collect())
}

/// How many keys each of these provisioning keys has issued that are not deleted.
pub async fn issued_counts(
    conn: &mut PgConnection,
    org: OrgId,
    issuers: &[KeyId],
) -> Result<std::collections::HashMap<KeyId, i64>, sqlx::Error> {
    let ids: Vec<uuid::Uuid> = issuers.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select issued_by as "issuer!: KeyId", count(*) as "count!" from api_key
           where org_id = $1 and issued_by = any($2) and deleted_at is null group by issued_by"#,
        org.0,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.issuer, row.count)).collect())
}

/// Deletes every key that a provisioning key issued, and says how many those were. Locks them in the order in which others
/// who change several keys do.
pub async fn delete_issued(conn: &mut PgConnection, org: OrgId, issuer: KeyId) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "update api_key set deleted_at = now(), updated_at = now()
         where org_id = $1 and id in (
            select id from api_key where org_id = $1 and issued_by = $2 and deleted_at is null order by id for update)",
        org.0,
        issuer.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The id of a key that an organization has or had, by any secret that it has or had.
pub async fn find_ever(conn: &mut PgConnection, org: OrgId, digest: &Digest) -> Result<Option<KeyId>, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"select id as "id: KeyId" from api_key where org_id = $1 and (digest = $2 or previous_digest = $2)"#,
        org.0,
        digest.as_bytes(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    match found {
        Some(id) => Ok(Some(id)),
        None => find_former(conn, org, digest).await,
    }
}
