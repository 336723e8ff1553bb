//! Queries about upstream keys.

use sqlx::PgConnection;

use crate::base::seal::Sealed;

/// False when the catalog has no such provider.
pub(in crate::catalog) async fn put_provider_secret(
    conn: &mut PgConnection,
    provider: &str,
    sealed: &Sealed,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into provider_secret (provider_id, key_id, nonce, ciphertext)
         select id, $2, $3, $4 from provider where slug = $1
         on conflict (provider_id) do update
         set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext, created_at = now()",
        provider,
        sealed.key_id,
        sealed.nonce,
        sealed.ciphertext,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(in crate::catalog) async fn provider_secrets(
    conn: &mut PgConnection,
) -> Result<Vec<(String, Sealed)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select p.slug, s.key_id, s.nonce, s.ciphertext from provider_secret s join provider p on p.id = s.provider_id
         order by p.slug limit 1000",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.slug, Sealed { key_id: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext }))
        .collect())
}
