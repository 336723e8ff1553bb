//! Every query about accounts elsewhere.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::flow::{LASTS, NewFlow, Purpose};
use super::identity::Identity;
use super::prove::Proven;
use crate::base::ids::{IdentityId, PersonId, SessionId};
use crate::base::seal::Sealed;
use crate::base::secret::Digest;
use crate::db::interval;

pub struct KeptFlow {
    pub provider: String,
    pub purpose: Purpose,
    pub session: Option<SessionId>,
    pub next: String,
    pub begun_at: DateTime<Utc>,
    pub sealed: Sealed,
}

pub async fn count_flows(conn: &mut PgConnection, ip: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from identity_flow where ip = $1 and expires_at > now()"#, ip)
        .fetch_one(conn)
        .await
}

pub async fn insert_flow(
    conn: &mut PgConnection,
    digest: &Digest,
    provider: &str,
    new: &NewFlow<'_>,
    sealed: &Sealed,
) -> Result<(), sqlx::Error> {
    // Kept only as long as they can be used.
    sqlx::query!("delete from identity_flow where expires_at < now()").execute(&mut *conn).await?;
    let browser = Digest::of(new.browser);
    let lasts = interval(LASTS);
    sqlx::query!(
        "insert into identity_flow
             (digest, browser, session_id, provider, purpose, next, ip, key_id, nonce, ciphertext, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + $11)",
        digest.as_bytes(),
        browser.as_bytes(),
        new.session.map(|session| session.0),
        provider,
        new.purpose.as_str(),
        new.next,
        new.ip,
        sealed.key_id,
        sealed.nonce,
        sealed.ciphertext,
        lasts,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Of two at once, one gets it.
pub async fn take_flow(
    conn: &mut PgConnection,
    digest: &Digest,
    browser: &Digest,
) -> Result<Option<KeptFlow>, sqlx::Error> {
    let row = sqlx::query!(
        r#"delete from identity_flow where digest = $1 and browser = $2 and expires_at > now()
           returning provider, purpose, session_id as "session: SessionId", next, created_at, key_id, nonce, ciphertext"#,
        digest.as_bytes(),
        browser.as_bytes(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| KeptFlow {
        provider: row.provider,
        purpose: Purpose::parse(&row.purpose),
        session: row.session,
        next: row.next,
        begun_at: row.created_at,
        sealed: Sealed { key_id: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext },
    }))
}

pub async fn find(conn: &mut PgConnection, issuer: &str, subject: &str) -> Result<Option<Identity>, sqlx::Error> {
    sqlx::query_as!(
        Identity,
        r#"select id as "id: IdentityId", person_id as "person: PersonId", issuer, email, linked_at, last_used_at
           from identity where issuer = $1 and subject = $2"#,
        issuer,
        subject,
    )
    .fetch_optional(conn)
    .await
}

/// The accounts elsewhere of a person, oldest first. Each issuer is there once, so they are few.
///
/// # Errors
/// Database errors only.
pub async fn identities_of(conn: &mut PgConnection, person: PersonId) -> Result<Vec<Identity>, sqlx::Error> {
    sqlx::query_as!(
        Identity,
        r#"select id as "id: IdentityId", person_id as "person: PersonId", issuer, email, linked_at, last_used_at
           from identity where person_id = $1 order by linked_at, id limit 100"#,
        person.0,
    )
    .fetch_all(conn)
    .await
}

/// False when somebody has it already, or the person has another of the same issuer.
pub async fn insert(
    conn: &mut PgConnection,
    id: IdentityId,
    person: PersonId,
    proven: &Proven,
    used: bool,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into identity (id, person_id, issuer, subject, email, last_used_at)
         values ($1, $2, $3, $4, $5, case when $6 then now() end) on conflict do nothing",
        id.0,
        person.0,
        proven.issuer,
        proven.subject,
        proven.email.as_ref().map(|email| email.as_str()).unwrap_or_default(),
        used,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn touch(conn: &mut PgConnection, id: IdentityId) -> Result<(), sqlx::Error> {
    sqlx::query!("update identity set last_used_at = now() where id = $1", id.0).execute(conn).await?;
    Ok(())
}

pub async fn delete(conn: &mut PgConnection, person: PersonId, id: IdentityId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("delete from identity where person_id = $1 and id = $2", person.0, id.0);
    Ok(done.execute(conn).await?.rows_affected() == 1)
}
