//! First answers that are kept for a repetition.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::base::ids::{KeyId, OrgId};
use crate::base::seal::Sealed;
use crate::base::secret::Digest;

/// Old answers that are deleted with each new one.
const FORGOTTEN_AT_ONCE: i64 = 20;

/// Deletes this answer if it is old, and some other old ones of the organization.
pub async fn forget_answers(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
    name: &Digest,
    before: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from first_answer where org_id = $1 and created_at < $4 and ((key_id = $2 and name = $3)
            or (key_id, name) in (select key_id, name from first_answer
                where org_id = $1 and created_at < $4 limit $5 for update skip locked))",
        org.0,
        key.0,
        name.as_bytes(),
        before,
        FORGOTTEN_AT_ONCE,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False when there is one of that name. Waits for a transaction that is about to make one.
pub async fn begin_answer(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
    name: &Digest,
    request: &Digest,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into first_answer (org_id, key_id, name, asked) values ($1, $2, $3, $4)
         on conflict (org_id, key_id, name) do nothing",
        org.0,
        key.0,
        name.as_bytes(),
        request.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An answer, and what it was an answer to.
pub struct Kept {
    pub asked: Vec<u8>,
    pub status: i16,
    pub sealed: Option<Sealed>,
}

pub async fn kept_answer(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
    name: &Digest,
) -> Result<Option<Kept>, sqlx::Error> {
    let row = sqlx::query!(
        "select asked, status, sealed_by, nonce, ciphertext from first_answer
         where org_id = $1 and key_id = $2 and name = $3",
        org.0,
        key.0,
        name.as_bytes(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Kept {
        asked: row.asked,
        status: row.status.unwrap_or_default(),
        sealed: match (row.sealed_by, row.nonce, row.ciphertext) {
            (Some(key_id), Some(nonce), Some(ciphertext)) => Some(Sealed { key_id, nonce, ciphertext }),
            _ => None,
        },
    }))
}

pub async fn keep_answer(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
    name: &Digest,
    status: i16,
    sealed: &Sealed,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update first_answer set status = $4, sealed_by = $5, nonce = $6, ciphertext = $7
         where org_id = $1 and key_id = $2 and name = $3",
        org.0,
        key.0,
        name.as_bytes(),
        status,
        sealed.key_id,
        sealed.nonce,
        sealed.ciphertext,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The hash and the name of each of these keys, by its id.
pub async fn hashes(
    conn: &mut PgConnection,
    org: OrgId,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, (String, String)>, sqlx::Error> {
    let rows = sqlx::query!("select id, digest, name from api_key where org_id = $1 and id = any($2)", org.0, ids)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, (row.digest.map(hex::encode).unwrap_or_default(), row.name))).collect())
}
