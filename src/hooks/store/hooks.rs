//! Addresses and their secrets.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::super::add::Wish;
use super::super::endpoint::Hook;
use crate::base::ids::{HookId, OrgId, PersonId};
use crate::vault::Envelope;

/// Reads addresses. The checked queries take nothing but literals, so what they share is a macro.
macro_rules! select_hooks {
    ($rest:literal, $($value:expr),* $(,)?) => {
        sqlx::query_as!(
            Hook,
            r#"select org_id as "org: OrgId", id as "id: HookId", url, description, events, old_until, disabled_at,
                disabled_why, failing_since, created_by as "created_by: PersonId", created_at, updated_at
               from hook "#
                + $rest,
            $($value),*
        )
    };
}

/// Every address of an organization, the oldest first.
pub async fn list(conn: &mut PgConnection, org: OrgId, most: i64) -> Result<Vec<Hook>, sqlx::Error> {
    select_hooks!("where org_id = $1 order by id limit $2", org.0, most).fetch_all(conn).await
}

pub async fn find(conn: &mut PgConnection, org: OrgId, id: HookId) -> Result<Option<Hook>, sqlx::Error> {
    select_hooks!("where org_id = $1 and id = $2", org.0, id.0).fetch_optional(conn).await
}

/// As [`find`]; nobody else changes it until the transaction ends. Events for it can still be written.
pub async fn lock(conn: &mut PgConnection, org: OrgId, id: HookId) -> Result<Option<Hook>, sqlx::Error> {
    select_hooks!("where org_id = $1 and id = $2 for no key update", org.0, id.0).fetch_optional(conn).await
}

pub async fn count(conn: &mut PgConnection, org: OrgId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from hook where org_id = $1"#, org.0).fetch_one(conn).await
}

pub async fn insert(
    conn: &mut PgConnection,
    org: OrgId,
    id: HookId,
    wish: &Wish,
    secret: &Envelope,
    by: PersonId,
) -> Result<(), sqlx::Error> {
    let events = wish.codes();
    sqlx::query!(
        "insert into hook (org_id, id, url, description, events, data_key, nonce, ciphertext, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        org.0,
        id.0,
        wish.url.as_str(),
        wish.description,
        events.as_deref(),
        secret.data_key.0,
        secret.sealed.nonce,
        secret.sealed.ciphertext,
        by.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Another address has not failed yet.
pub async fn update(conn: &mut PgConnection, org: OrgId, id: HookId, wish: &Wish) -> Result<(), sqlx::Error> {
    let events = wish.codes();
    sqlx::query!(
        "update hook set failing_since = case when url = $3 then failing_since end, url = $3, description = $4, events = $5,
            updated_at = clock_timestamp()
         where org_id = $1 and id = $2",
        org.0,
        id.0,
        wish.url.as_str(),
        wish.description,
        events.as_deref(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The old one signs until the moment that is returned; without a grace it ends at once.
pub async fn replace_secret(
    conn: &mut PgConnection,
    org: OrgId,
    id: HookId,
    secret: &Envelope,
    grace: TimeDelta,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "update hook set
            old_nonce = case when $6::bigint > 0 then nonce end,
            old_ciphertext = case when $6 > 0 then ciphertext end,
            old_until = case when $6 > 0 then now() + $6 * interval '1 second' end,
            data_key = $3, nonce = $4, ciphertext = $5, updated_at = clock_timestamp()
         where org_id = $1 and id = $2 returning old_until",
        org.0,
        id.0,
        secret.data_key.0,
        secret.sealed.nonce,
        secret.sealed.ciphertext,
        grace.num_seconds(),
    )
    .fetch_one(conn)
    .await
}

/// What waited is due at once.
pub async fn enable(conn: &mut PgConnection, org: OrgId, id: HookId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update hook set disabled_at = null, disabled_why = '', failing_since = null, updated_at = clock_timestamp()
         where org_id = $1 and id = $2",
        org.0,
        id.0,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update hook_delivery set state = 'pending', next_at = now()
         where org_id = $1 and hook_id = $2 and state = 'held'",
        org.0,
        id.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn disable(conn: &mut PgConnection, org: OrgId, id: HookId, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update hook set disabled_at = now(), disabled_why = $3, updated_at = clock_timestamp()
         where org_id = $1 and id = $2",
        org.0,
        id.0,
        why,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update hook_delivery set state = 'held' where org_id = $1 and hook_id = $2 and state = 'pending'",
        org.0,
        id.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn delete(conn: &mut PgConnection, org: OrgId, id: HookId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from hook where org_id = $1 and id = $2", org.0, id.0).execute(conn).await?;
    Ok(())
}

pub async fn hold(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("select from hook where org_id = $1 order by id for key share", org.0).execute(conn).await?;
    Ok(())
}

/// The addresses that are on and want an event. They stay until the end of the transaction, so that none of what is written
/// for them fails because one was deleted meanwhile.
pub async fn wanting(conn: &mut PgConnection, org: OrgId, kind: &str) -> Result<Vec<HookId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select id as "id: HookId" from hook
           where org_id = $1 and disabled_at is null and (events is null or $2 = any(events)) order by id
           for key share"#,
        org.0,
        kind,
    )
    .fetch_all(conn)
    .await
}

/// Deletes every address of an organization and what they were told.
///
/// # Errors
/// Database errors only.
pub async fn erase(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from hook where org_id = $1", org.0).execute(&mut *conn).await?;
    sqlx::query!("delete from hook_event where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}
