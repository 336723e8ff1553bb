//! Every query about kept forms.

use chrono::TimeDelta;
use sqlx::PgConnection;

use crate::base::ids::SessionId;
use crate::base::seal::Sealed;
use crate::db::interval;

/// Keeps a form; the one that the session had before is forgotten, and so is whatever lasted too long.
pub async fn keep(
    conn: &mut PgConnection,
    session: SessionId,
    (action, back): (&str, &str),
    sealed: &Sealed,
    lasts: TimeDelta,
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from kept_form where expires_at < now()").execute(&mut *conn).await?;
    sqlx::query!(
        "insert into kept_form (session_id, action, back, key_id, nonce, ciphertext, expires_at)
         values ($1, $2, $3, $4, $5, $6, now() + $7)
         on conflict (session_id) do update set action = excluded.action, back = excluded.back,
            key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
            expires_at = excluded.expires_at",
        session.0,
        action,
        back,
        sealed.key_id,
        sealed.nonce,
        sealed.ciphertext,
        interval(lasts),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The form of a session, if it is still kept: where it goes, where it came from, and what is in it.
pub async fn find(
    conn: &mut PgConnection,
    session: SessionId,
) -> Result<Option<((String, String), Sealed)>, sqlx::Error> {
    let row = sqlx::query!(
        "select action, back, key_id, nonce, ciphertext from kept_form where session_id = $1 and expires_at > now()",
        session.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        ((row.action, row.back), Sealed { key_id: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext })
    }))
}

pub async fn forget(conn: &mut PgConnection, session: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from kept_form where session_id = $1", session.0).execute(conn).await?;
    Ok(())
}
