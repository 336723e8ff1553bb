//! Every query about apps and recovery codes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::base::Digest;
use crate::base::ids::PersonId;
use crate::base::seal::Sealed;

/// What a person sees of their second factor.
#[derive(Clone, Debug, Default)]
pub struct TwoFactorState {
    /// Since when it is on.
    pub on_since: Option<DateTime<Utc>>,
    /// With an app; else with passkeys alone.
    pub with_app: bool,
    pub recovery_codes_left: i64,
}

/// # Errors
/// Database errors only.
pub async fn state(conn: &mut PgConnection, person: PersonId) -> Result<TwoFactorState, sqlx::Error> {
    sqlx::query_as!(
        TwoFactorState,
        r#"select least((select confirmed_at from totp where person_id = $1),
                (select since from passkey_second where person_id = $1)) as on_since,
            exists (select from totp where person_id = $1 and confirmed_at is not null) as "with_app!",
            (select count(*) from recovery_code where person_id = $1 and used_at is null) as "recovery_codes_left!""#,
        person.0,
    )
    .fetch_one(conn)
    .await
}

/// Whether signing in asks this person for more than a password.
///
/// # Errors
/// Database errors only.
pub async fn is_on(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from totp where person_id = $1 and confirmed_at is not null)
            or exists (select from passkey_second where person_id = $1) as "on!""#,
        person.0,
    )
    .fetch_one(conn)
    .await
}

/// Whether a code of an app is a second factor of this person.
///
/// # Errors
/// Database errors only.
pub async fn has_app(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from totp where person_id = $1 and confirmed_at is not null) as "app!""#,
        person.0,
    )
    .fetch_one(conn)
    .await
}

/// Whether passkeys alone are a second factor of this person. The row is locked until the transaction ends.
pub async fn lock_second(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    let row = sqlx::query!("select since from passkey_second where person_id = $1 for update", person.0);
    Ok(row.fetch_optional(conn).await?.is_some())
}

pub async fn put_second(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into passkey_second (person_id) values ($1) on conflict do nothing", person.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// False when there was none.
pub async fn delete_second(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("delete from passkey_second where person_id = $1", person.0).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the secret of an app that is not confirmed yet. False when a confirmed one is there already.
pub async fn put_app(conn: &mut PgConnection, person: PersonId, sealed: &Sealed) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into totp (person_id, key_id, nonce, ciphertext) values ($1, $2, $3, $4)
         on conflict (person_id) do update
            set key_id = $2, nonce = $3, ciphertext = $4, created_at = now() where totp.confirmed_at is null",
        person.0,
        sealed.key_id,
        sealed.nonce,
        sealed.ciphertext,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An app that is still to be confirmed, if it was begun within so many minutes.
pub async fn unconfirmed_app(
    conn: &mut PgConnection,
    person: PersonId,
    minutes: i32,
) -> Result<Option<Sealed>, sqlx::Error> {
    let row = sqlx::query!(
        "select key_id, nonce, ciphertext from totp
         where person_id = $1 and confirmed_at is null and created_at > now() - make_interval(mins => $2)
         for update",
        person.0,
        minutes,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Sealed { key_id: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext }))
}

/// The confirmed app of a person. Its row is locked until the transaction ends, so that tries come one after another.
pub async fn lock_app(conn: &mut PgConnection, person: PersonId) -> Result<Option<Sealed>, sqlx::Error> {
    let row = sqlx::query!(
        "select key_id, nonce, ciphertext from totp
         where person_id = $1 and confirmed_at is not null for update",
        person.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Sealed { key_id: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext }))
}

pub async fn confirm_app(conn: &mut PgConnection, person: PersonId, step: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update totp set confirmed_at = now(), last_step = $2 where person_id = $1 and confirmed_at is null",
        person.0,
        step,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Uses a time step up. False when it, or a later one, was used before.
pub async fn use_step(conn: &mut PgConnection, person: PersonId, step: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update totp set last_step = $2 where person_id = $1 and confirmed_at is not null and last_step < $2",
        person.0,
        step,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// False when there was none.
pub async fn delete_app(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("delete from totp where person_id = $1 and confirmed_at is not null", person.0)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a set of codes in the place of whatever was there.
pub async fn replace_codes(conn: &mut PgConnection, person: PersonId, digests: &[Digest]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from recovery_code where person_id = $1", person.0).execute(&mut *conn).await?;
    let digests: Vec<Vec<u8>> = digests.iter().map(|digest| digest.as_bytes().to_vec()).collect();
    sqlx::query!("insert into recovery_code (person_id, digest) select $1, unnest($2::bytea[])", person.0, &digests)
        .execute(conn)
        .await?;
    Ok(())
}

/// Uses a recovery code up. False when it is none, or was used before.
pub async fn use_code(conn: &mut PgConnection, person: PersonId, digest: &Digest) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update recovery_code set used_at = now() where person_id = $1 and digest = $2 and used_at is null",
        person.0,
        digest.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
