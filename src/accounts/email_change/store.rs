//! Every query about changes of e-mail addresses.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{CONFIRM_LASTS, REVERT_LASTS};
use crate::accounts::Person;
use crate::base::ids::PersonId;
use crate::base::{Digest, EmailAddress};
use crate::db::interval;

pub async fn delete_unconfirmed(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from email_change where person_id = $1 and confirmed_at is null", person.0)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn insert(
    conn: &mut PgConnection,
    person: &Person,
    new: &EmailAddress,
    confirm: &Digest,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into email_change (id, person_id, old_email, new_email, new_canonical, confirm_digest)
         values (gen_random_uuid(), $1, $2, $3, $4, $5)",
        person.id.0,
        person.email,
        new.as_str(),
        new.canonical(),
        confirm.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub struct Unconfirmed {
    pub id: Uuid,
    pub old_email: String,
    pub new_email: String,
}

pub async fn lock_unconfirmed(
    conn: &mut PgConnection,
    person: PersonId,
    confirm: &Digest,
) -> Result<Option<Unconfirmed>, sqlx::Error> {
    sqlx::query_as!(
        Unconfirmed,
        "select id, old_email, new_email from email_change
         where person_id = $1 and confirm_digest = $2 and confirmed_at is null and created_at > now() - $3::interval
         for update",
        person.0,
        confirm.as_bytes(),
        interval(CONFIRM_LASTS),
    )
    .fetch_optional(conn)
    .await
}

pub async fn mark_confirmed(conn: &mut PgConnection, id: Uuid, revert: &Digest) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update email_change set confirmed_at = now(), revert_digest = $2 where id = $1",
        id,
        revert.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub struct Revertible {
    pub person: PersonId,
    pub old_email: String,
    pub asked_at: DateTime<Utc>,
    pub confirmed_at: DateTime<Utc>,
}

pub async fn lock_revertible(conn: &mut PgConnection, revert: &Digest) -> Result<Option<Revertible>, sqlx::Error> {
    sqlx::query_as!(
        Revertible,
        r#"select person_id as "person: PersonId", old_email, created_at as asked_at, confirmed_at as "confirmed_at!"
           from email_change
           where revert_digest = $1 and reverted_at is null and confirmed_at > now() - $2::interval
           for update"#,
        revert.as_bytes(),
        interval(REVERT_LASTS),
    )
    .fetch_optional(conn)
    .await
}

/// Marks a change and every later one as taken back: none of their links may undo the reversal.
pub async fn mark_reverted(conn: &mut PgConnection, person: PersonId, since: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update email_change set reverted_at = now()
         where person_id = $1 and confirmed_at >= $2 and reverted_at is null",
        person.0,
        since,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn set_email(conn: &mut PgConnection, person: PersonId, email: &EmailAddress) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update person set email = $2, email_canonical = $3 where id = $1",
        person.0,
        email.as_str(),
        email.canonical(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn delete_tokens(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from one_time_token where person_id = $1 and used_at is null", person.0).execute(conn).await?;
    Ok(())
}

/// Nobody signs in with a password until its owner sets one with a mailed link. False when there was none.
pub async fn forget_password(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query!("update person set password_hash = null where id = $1 and password_hash is not null", person.0,);
    Ok(done.execute(conn).await?.rows_affected() == 1)
}

/// Their names.
pub async fn delete_passkeys_since(
    conn: &mut PgConnection,
    person: PersonId,
    since: DateTime<Utc>,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!("delete from passkey where person_id = $1 and created_at >= $2 returning name", person.0, since)
        .fetch_all(conn)
        .await
}

/// Who vouched for them.
pub async fn delete_identities_since(
    conn: &mut PgConnection,
    person: PersonId,
    since: DateTime<Utc>,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "delete from identity where person_id = $1 and linked_at >= $2 returning issuer",
        person.0,
        since
    )
    .fetch_all(conn)
    .await
}

/// Forgets an app that was added, that passkeys are the second factor where that was said or none is left, recovery codes that
/// were made, and all of them where no second factor is left. Says whether two-factor sign-in was switched off by that, and how
/// many codes are gone.
pub async fn delete_second_since(
    conn: &mut PgConnection,
    person: PersonId,
    since: DateTime<Utc>,
) -> Result<(bool, u64), sqlx::Error> {
    let app = sqlx::query!(
        "delete from totp where person_id = $1 and coalesce(confirmed_at, created_at) >= $2 returning confirmed_at",
        person.0,
        since,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let passkeys = sqlx::query!(
        "delete from passkey_second where person_id = $1
            and (since >= $2 or not exists (select from passkey where person_id = $1))",
        person.0,
        since,
    )
    .execute(&mut *conn)
    .await?;
    let codes = sqlx::query!(
        "delete from recovery_code where person_id = $1 and (made_at >= $2
            or not exists (select from totp where person_id = $1 and confirmed_at is not null)
               and not exists (select from passkey_second where person_id = $1))",
        person.0,
        since,
    )
    .execute(conn)
    .await?;
    let off = app.is_some_and(|app| app.confirmed_at.is_some()) || passkeys.rows_affected() > 0;
    Ok((off, codes.rows_affected()))
}
