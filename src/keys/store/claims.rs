//! Links with which somebody gets a key.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::plain_key::PlainKey;
use crate::base::ids::{KeyId, OrgId};
use crate::base::secret::Digest;

/// The newest link of a key.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub expires_at: DateTime<Utc>,
}

/// # Errors
/// Database errors only.
pub async fn claim_of(conn: &mut PgConnection, org: OrgId, key: KeyId) -> Result<Option<Claim>, sqlx::Error> {
    sqlx::query_as!(Claim, "select expires_at from key_claim where org_id = $1 and key_id = $2", org.0, key.0,)
        .fetch_optional(conn)
        .await
}

/// Puts a link in the place of the one before. Not where that one was used.
pub async fn put_claim(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
    digest: &Digest,
    expires_at: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into key_claim (org_id, key_id, digest, expires_at) values ($1, $2, $3, $4)
         on conflict (org_id, key_id) do update
            set digest = excluded.digest, expires_at = excluded.expires_at, created_at = now()
            where key_claim.claimed_at is null",
        org.0,
        key.0,
        digest.as_bytes(),
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// False when there is no link that was not used.
pub async fn delete_claim(conn: &mut PgConnection, org: OrgId, key: KeyId) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query!("delete from key_claim where org_id = $1 and key_id = $2 and claimed_at is null", org.0, key.0,)
            .execute(conn)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// What stands behind a link, whoever asks.
pub struct FoundClaim {
    pub org: OrgId,
    pub key: KeyId,
    pub org_name: String,
    pub expires_at: DateTime<Utc>,
    pub claimed_at: Option<DateTime<Utc>>,
    /// The organization's keys are refused at the moment, or for ever.
    pub refused: bool,
}

/// Links change only under the lock of their key, so whoever uses one asks again under it.
///
/// # Errors
/// Database errors only.
pub async fn find_claim(conn: &mut PgConnection, digest: &Digest) -> Result<Option<FoundClaim>, sqlx::Error> {
    sqlx::query_as!(
        FoundClaim,
        r#"select c.org_id as "org: OrgId", c.key_id as "key: KeyId", o.name as org_name, c.expires_at, c.claimed_at,
            coalesce(o.frozen_at, o.keys_stopped_at, o.delete_after, o.deleted_at) is not null as "refused!"
           from key_claim c join org o on o.id = c.org_id
           where c.digest = $1"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await
}

pub async fn mark_claimed(conn: &mut PgConnection, org: OrgId, key: KeyId) -> Result<(), sqlx::Error> {
    sqlx::query!("update key_claim set claimed_at = now() where org_id = $1 and key_id = $2", org.0, key.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives a key that waits for it its secret. False when it has one.
pub async fn set_secret(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
    plain: &PlainKey,
) -> Result<bool, sqlx::Error> {
    let digest = plain.digest();
    let done = sqlx::query!(
        "update api_key set digest = $3, label = $4, updated_at = now()
         where org_id = $1 and id = $2 and digest is null and deleted_at is null",
        org.0,
        key.0,
        digest.as_bytes(),
        plain.label(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
