//! Every query about operators.

use sqlx::PgConnection;

use crate::base::ids::PersonId;
use crate::base::secret::Digest;

/// Any number that nothing else locks.
const LOCK: i64 = 7_306_204_918;

/// Of two who want to become the first operator, one waits.
pub async fn lock_claim(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock($1)", LOCK).fetch_one(conn).await?;
    Ok(())
}

pub async fn has_operator(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select from operator) as "found!""#).fetch_one(conn).await
}

/// Whether somebody runs this instance.
///
/// # Errors
/// Database errors only.
pub async fn is_operator(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select from operator where person_id = $1) as "found!""#, person.0)
        .fetch_one(conn)
        .await
}

/// False when they are one already.
pub async fn insert_operator(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("insert into operator (person_id) values ($1) on conflict do nothing", person.0);
    Ok(done.execute(conn).await?.rows_affected() == 1)
}

pub async fn replace_claim(conn: &mut PgConnection, digest: &Digest) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into operator_claim (digest) values ($1)
         on conflict (only_one) do update set digest = excluded.digest, made_at = now()",
        digest.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn has_claim(conn: &mut PgConnection, digest: &Digest) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from operator_claim where digest = $1) as "found!""#,
        digest.as_bytes()
    )
    .fetch_one(conn)
    .await
}

pub async fn take_claim(conn: &mut PgConnection, digest: &Digest) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("delete from operator_claim where digest = $1", digest.as_bytes());
    Ok(done.execute(conn).await?.rows_affected() == 1)
}

pub async fn void_claim(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from operator_claim").execute(conn).await?;
    Ok(())
}
