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
    pub confirmed_at: DateTime<Utc>,
}

pub async fn lock_revertible(conn: &mut PgConnection, revert: &Digest) -> Result<Option<Revertible>, sqlx::Error> {
    sqlx::query_as!(
        Revertible,
        r#"select person_id as "person: PersonId", old_email, confirmed_at as "confirmed_at!" from email_change
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
