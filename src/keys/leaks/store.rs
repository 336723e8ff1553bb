//! Whose secret it is.

use sqlx::PgConnection;

use crate::base::ids::{KeyId, OrgId};
use crate::base::secret::Digest;

/// A key that has or had a secret.
pub struct Published {
    pub org: OrgId,
    pub id: KeyId,
    pub name: String,
    pub label: String,
    /// It still works, or could again.
    pub live: bool,
    /// The secret is the one before the last rotation.
    pub replaced: bool,
}

/// The key behind a published secret, also one that is deleted.
pub async fn find_published(conn: &mut PgConnection, digest: &Digest) -> Result<Option<Published>, sqlx::Error> {
    sqlx::query_as!(
        Published,
        r#"select org_id as "org: OrgId", id as "id: KeyId", name, label, deleted_at is null as "live!",
            previous_digest is not distinct from $1 as "replaced!"
           from api_key where digest = $1 or previous_digest = $1"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await
}

/// Ends the time in which the secret before the last rotation still works. False when it was over.
pub async fn end_grace(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update api_key set previous_until = now(), updated_at = now()
         where org_id = $1 and id = $2 and previous_until > now()",
        org.0,
        id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
