//! Queries about where people sign in from, and how far they got.

use chrono::TimeDelta;
use sqlx::PgConnection;

use super::super::device::Device;
use super::super::person::Person;
use super::super::session::SessionSeen;
use super::interval;
use crate::base::Digest;
use crate::base::ids::{PersonId, SessionId};

/// Devices that are remembered for a person.
const MAX_DEVICES: i64 = 50;

pub async fn sessions(
    conn: &mut PgConnection,
    person: PersonId,
    idle: TimeDelta,
    most: i64,
) -> Result<Vec<SessionSeen>, sqlx::Error> {
    sqlx::query_as!(
        SessionSeen,
        r#"select id as "id: SessionId", user_agent, ip, created_at, last_seen_at from session
           where person_id = $1 and expires_at > now() and last_seen_at > now() - $2::interval
           order by last_seen_at desc, id limit $3"#,
        person.0,
        interval(idle),
        most,
    )
    .fetch_all(conn)
    .await
}

pub async fn insert_half(
    conn: &mut PgConnection,
    digest: &Digest,
    person: PersonId,
    first: &str,
    lifetime: TimeDelta,
) -> Result<(), sqlx::Error> {
    // One that was left behind is of no use to anybody.
    sqlx::query!("delete from half_sign_in where person_id = $1 and expires_at < now()", person.0)
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "insert into half_sign_in (digest, person_id, first, expires_at) values ($1, $2, $3, now() + $4)",
        digest.as_bytes(),
        person.0,
        first,
        interval(lifetime),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Who showed a first factor, and which.
pub async fn find_half(conn: &mut PgConnection, digest: &Digest) -> Result<Option<(Person, String)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select h.first, p.id as "id: PersonId", email, name, time_zone, theme, locale, email_verified_at
           from half_sign_in h join person p on p.id = h.person_id
           where h.digest = $1 and h.first <> 'step_up' and h.expires_at > now()"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let person = Person {
            id: row.id,
            email: row.email,
            name: row.name,
            time_zone: row.time_zone,
            theme: row.theme,
            locale: row.locale,
            verified_at: row.email_verified_at,
            password_hash: None,
        };
        (person, row.first)
    }))
}

/// False when it was used in the meantime.
pub async fn delete_half(conn: &mut PgConnection, digest: &Digest) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("delete from half_sign_in where digest = $1", digest.as_bytes()).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// A step-up that is half done is known by its session, so no cookie stands for it and nothing else does.
fn half_step(session: SessionId) -> Digest {
    Digest::of(format!("step_up:{session}"))
}

/// Notes that the first factor of a step-up was shown. Shown again, it lasts anew.
pub async fn insert_half_step(
    conn: &mut PgConnection,
    session: SessionId,
    person: PersonId,
    lifetime: TimeDelta,
) -> Result<(), sqlx::Error> {
    let digest = half_step(session);
    sqlx::query!(
        "insert into half_sign_in (digest, person_id, first, expires_at) values ($1, $2, 'step_up', now() + $3)
         on conflict (digest) do update set expires_at = excluded.expires_at",
        digest.as_bytes(),
        person.0,
        interval(lifetime),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn has_half_step(conn: &mut PgConnection, session: SessionId) -> Result<bool, sqlx::Error> {
    let digest = half_step(session);
    sqlx::query_scalar!(
        r#"select exists (select from half_sign_in
            where digest = $1 and first = 'step_up' and expires_at > now()) as "half!""#,
        digest.as_bytes(),
    )
    .fetch_one(conn)
    .await
}

/// False when it was used, or ran out, in the meantime.
pub async fn delete_half_step(conn: &mut PgConnection, session: SessionId) -> Result<bool, sqlx::Error> {
    let digest = half_step(session);
    let done = sqlx::query!("delete from half_sign_in where digest = $1 and expires_at > now()", digest.as_bytes());
    Ok(done.execute(conn).await?.rows_affected() == 1)
}

pub async fn delete_halves(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from half_sign_in where person_id = $1", person.0).execute(conn).await?;
    Ok(())
}

/// Lets what signs a person in, or fails to, come one after another. Always the first lock of such a transaction, because
/// the log's chain is the last.
pub async fn lock_person(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("select from person where id = $1 for no key update", person.0).execute(conn).await?;
    Ok(())
}

pub async fn is_known_device(conn: &mut PgConnection, person: PersonId, device: &Device) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from known_device where person_id = $1 and browser = $2 and network = $3) as "known!""#,
        person.0,
        device.browser,
        device.network,
    )
    .fetch_one(conn)
    .await
}

/// Remembers from where a person signed in. Says whether any place was known before, and whether this one was.
pub async fn remember_device(
    conn: &mut PgConnection,
    person: PersonId,
    device: &Device,
) -> Result<(bool, bool), sqlx::Error> {
    // So that two sign-ins at once do not both count as the first.
    lock_person(conn, person).await?;
    let before = sqlx::query!(
        r#"select exists (select from known_device where person_id = $1) as "any!",
            exists (select from known_device where person_id = $1 and browser = $2 and network = $3) as "this!""#,
        person.0,
        device.browser,
        device.network,
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into known_device (person_id, browser, network) values ($1, $2, $3)
         on conflict (person_id, browser, network) do update set last_used_at = now()",
        person.0,
        device.browser,
        device.network,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from known_device where person_id = $1 and (browser, network) in
            (select browser, network from known_device where person_id = $1 order by last_used_at desc offset $2)",
        person.0,
        MAX_DEVICES,
    )
    .execute(conn)
    .await?;
    Ok((before.any, before.this))
}

/// Counts a failed try, and says how many there were in the hour that runs. Those beyond `listed` are counted apart.
pub async fn count_try(conn: &mut PgConnection, person: PersonId, listed: i32) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        "insert into failed_sign_in as f (person_id) values ($1)
         on conflict (person_id) do update set
            tries = case when f.since < now() - interval '1 hour' then 1 else f.tries + 1 end,
            unlisted = f.unlisted
                + case when f.since >= now() - interval '1 hour' and f.tries >= $2 then 1 else 0 end,
            since = case when f.since < now() - interval '1 hour' then now() else f.since end
         returning tries",
        person.0,
        listed,
    )
    .fetch_one(conn)
    .await
}

/// How many failed tries no entry tells of yet; the entry that is about to be written does.
pub async fn take_unlisted(conn: &mut PgConnection, person: PersonId) -> Result<i32, sqlx::Error> {
    let taken = sqlx::query_scalar!(
        r#"update failed_sign_in f set unlisted = 0 from failed_sign_in old
           where f.person_id = $1 and old.person_id = $1 and f.unlisted > 0 returning old.unlisted"#,
        person.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(taken.unwrap_or_default())
}

pub async fn unlisted(conn: &mut PgConnection, person: PersonId) -> Result<i32, sqlx::Error> {
    let unlisted = sqlx::query_scalar!("select unlisted from failed_sign_in where person_id = $1", person.0)
        .fetch_optional(conn)
        .await?;
    Ok(unlisted.unwrap_or_default())
}

/// The day that it is for the database, such as `2026-11-22`.
pub async fn today(conn: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::query_scalar!(r#"select to_char(now() at time zone 'UTC', 'YYYY-MM-DD') as "day!""#).fetch_one(conn).await
}
