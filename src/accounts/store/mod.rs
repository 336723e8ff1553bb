//! Every query about people and their sessions. Those about devices and half-done sign-ins are in [`places`].

mod places;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::person::{Person, Theme};
use super::session::{Session, TOUCH_EVERY};
use crate::accounts::operator::StaffRole;
use crate::base::ids::{OrgId, PersonId, PictureId, SessionId};
use crate::base::secret::Digest;
use crate::base::{EmailAddress, Viewer};
use crate::db::interval;

pub use places::{
    count_try, delete_half, delete_half_step, delete_halves, find_half, has_half_step, insert_half, insert_half_step,
    is_known_device, lock_person, remember_device, sessions, take_unlisted, today, unlisted,
};

/// # Errors
/// Database errors only.
pub async fn find_by_email(conn: &mut PgConnection, email: &EmailAddress) -> Result<Option<Person>, sqlx::Error> {
    sqlx::query_as!(
        Person,
        r#"select id as "id: PersonId", email, name, time_zone, theme, locale, email_verified_at as verified_at, password_hash
           from person where email_canonical = $1"#,
        email.canonical(),
    )
    .fetch_optional(conn)
    .await
}

/// False when the address has an account already.
pub async fn insert_person(
    conn: &mut PgConnection,
    id: PersonId,
    email: &EmailAddress,
    name: &str,
    password_hash: Option<&str>,
    verified: bool,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into person (id, email, email_canonical, name, password_hash, email_verified_at)
         values ($1, $2, $3, $4, $5, case when $6 then now() end)
         on conflict (email_canonical) do nothing",
        id.0,
        email.as_str(),
        email.canonical(),
        name,
        password_hash,
        verified,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn replace_unverified(
    conn: &mut PgConnection,
    id: PersonId,
    name: &str,
    password_hash: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update person set name = $2, password_hash = $3 where id = $1 and email_verified_at is null",
        id.0,
        name,
        password_hash,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn mark_verified(conn: &mut PgConnection, id: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("update person set email_verified_at = coalesce(email_verified_at, now()) where id = $1", id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives an account whose address nobody has proven to the one who has: the password that somebody chose for it, and
/// the links that were mailed for it, are worth nothing any more. False when the address was proven meanwhile.
pub async fn adopt_unverified(conn: &mut PgConnection, id: PersonId, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update person set name = $2, password_hash = null, email_verified_at = now()
         where id = $1 and email_verified_at is null",
        id.0,
        name,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("delete from one_time_token where person_id = $1", id.0).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// Moves the moment at which the person of a session showed who they are back to when they really did.
pub async fn set_authenticated_at(
    conn: &mut PgConnection,
    digest: &Digest,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update session set authenticated_at = least(authenticated_at, $2) where digest = $1",
        digest.as_bytes(),
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn set_password(conn: &mut PgConnection, id: PersonId, hash: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update person set password_hash = $2 where id = $1", id.0, hash).execute(conn).await?;
    Ok(())
}

/// Keeps a better hash of the same password, unless another one was set meanwhile.
pub async fn replace_hash(conn: &mut PgConnection, id: PersonId, old: &str, new: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update person set password_hash = $3 where id = $1 and password_hash = $2", id.0, old, new)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn set_profile(
    conn: &mut PgConnection,
    id: PersonId,
    name: &str,
    viewer: Viewer,
    theme: Theme,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update person set name = $2, time_zone = $3, locale = $4, theme = $5 where id = $1",
        id.0,
        name,
        viewer.zone.name(),
        viewer.locale.tag(),
        theme.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn insert_token(
    conn: &mut PgConnection,
    digest: &Digest,
    purpose: &str,
    person: PersonId,
    lifetime: TimeDelta,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into one_time_token (digest, purpose, person_id, expires_at) values ($1, $2, $3, now() + $4)",
        digest.as_bytes(),
        purpose,
        person.0,
        interval(lifetime),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn token_owner(
    conn: &mut PgConnection,
    digest: &Digest,
    purpose: &str,
) -> Result<Option<Person>, sqlx::Error> {
    sqlx::query_as!(
        Person,
        r#"select p.id as "id: PersonId", email, name, time_zone, theme, locale, email_verified_at as verified_at, password_hash
           from one_time_token t join person p on p.id = t.person_id
           where t.digest = $1 and t.purpose = $2 and t.used_at is null and t.expires_at > now()"#,
        digest.as_bytes(),
        purpose,
    )
    .fetch_optional(conn)
    .await
}

/// Uses a link up. False when it was used, or ran out, in the meantime.
pub async fn use_token(conn: &mut PgConnection, digest: &Digest, purpose: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update one_time_token set used_at = now()
         where digest = $1 and purpose = $2 and used_at is null and expires_at > now()",
        digest.as_bytes(),
        purpose,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Links to set a new password, which were mailed before there was one, are worth nothing any more.
pub async fn delete_recovery_links(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from one_time_token where person_id = $1 and purpose = 'recover' and used_at is null",
        person.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn insert_session(
    conn: &mut PgConnection,
    id: SessionId,
    digest: &Digest,
    person: PersonId,
    user_agent: &str,
    ip: &str,
    lifetime: TimeDelta,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into session (id, digest, person_id, user_agent, ip, expires_at) values ($1, $2, $3, $4, $5, now() + $6)",
        id.0,
        digest.as_bytes(),
        person.0,
        user_agent,
        ip,
        interval(lifetime),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The session of a cookie, if it still stands and was used within `idle`.
pub async fn find_session(
    conn: &mut PgConnection,
    digest: &Digest,
    idle: TimeDelta,
) -> Result<Option<Session>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select s.id as "id: SessionId", s.last_seen_at, s.authenticated_at, p.id as "person: PersonId", email, name, time_zone, theme, locale,
            email_verified_at, f.id as "picture?: PictureId", d.due_at as "leaves_at?",
            i.org_id as "looks_at?: OrgId", o.role as "staff?", p.frozen_at is not null as "is_frozen!"
           from session s join person p on p.id = s.person_id
           left join picture f on f.owner_kind = 'person' and f.owner_id = p.id
           left join account_deletion d on d.person_id = p.id
           left join operator o on o.person_id = p.id
           left join impersonation i on i.session_id = s.id and i.expires_at > now() and o.role = 'operator'
           where s.digest = $1 and s.expires_at > now() and s.last_seen_at > now() - $2::interval"#,
        digest.as_bytes(),
        interval(idle),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Session {
        id: row.id,
        last_seen_at: row.last_seen_at,
        authenticated_at: row.authenticated_at,
        picture: row.picture,
        leaves_at: row.leaves_at,
        looks_at: row.looks_at,
        staff: row.staff.as_deref().and_then(StaffRole::parse),
        is_frozen: row.is_frozen,
        person: Person {
            id: row.person,
            email: row.email,
            name: row.name,
            time_zone: row.time_zone,
            theme: row.theme,
            locale: row.locale,
            verified_at: row.email_verified_at,
            password_hash: None,
        },
    }))
}

pub async fn touch_session(conn: &mut PgConnection, id: SessionId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update session set last_seen_at = now() where id = $1 and last_seen_at < now() - $2::interval",
        id.0,
        interval(TOUCH_EVERY),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that somebody showed again who they are, and gives the session a new secret.
pub async fn renew_session(conn: &mut PgConnection, id: SessionId, digest: &Digest) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update session set digest = $2, authenticated_at = now(), last_seen_at = now() where id = $1",
        id.0,
        digest.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whose address this is, for those behind the wall between tenants: they may not read passwords.
///
/// # Errors
/// Database errors only.
pub async fn id_by_email(conn: &mut PgConnection, email: &EmailAddress) -> Result<Option<PersonId>, sqlx::Error> {
    sqlx::query_scalar!(r#"select id as "id: PersonId" from person where email_canonical = $1"#, email.canonical())
        .fetch_optional(conn)
        .await
}

/// What somebody is called, for the same.
///
/// # Errors
/// Database errors only.
pub async fn name_of(conn: &mut PgConnection, person: PersonId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select name from person where id = $1", person.0).fetch_optional(conn).await
}

/// # Errors
/// Database errors only.
pub async fn find_person(conn: &mut PgConnection, id: PersonId) -> Result<Option<Person>, sqlx::Error> {
    sqlx::query_as!(
        Person,
        r#"select id as "id: PersonId", email, name, time_zone, theme, locale, email_verified_at as verified_at, password_hash
           from person where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

pub async fn is_frozen(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    let query = sqlx::query_scalar!(r#"select frozen_at is not null as "frozen!" from person where id = $1"#, person.0);
    Ok(query.fetch_optional(conn).await?.unwrap_or(false))
}

/// Freezes somebody in the name of another, or lets them go on without one. False when it was so before, or there is nobody.
pub async fn set_frozen(conn: &mut PgConnection, person: PersonId, by: Option<PersonId>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update person set frozen_by = $2, frozen_at = case when $2::uuid is not null then now() end
         where id = $1 and (frozen_at is null) = ($2::uuid is not null)",
        person.0,
        by.map(|by| by.0),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The browser of the session that ended; `None` when there was none.
pub async fn delete_session(
    conn: &mut PgConnection,
    person: PersonId,
    id: SessionId,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("delete from session where person_id = $1 and id = $2 returning user_agent", person.0, id.0)
        .fetch_optional(conn)
        .await
}

pub async fn delete_other_sessions(
    conn: &mut PgConnection,
    person: PersonId,
    except: Option<SessionId>,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "delete from session where person_id = $1 and id is distinct from $2",
        person.0,
        except.map(|session| session.0),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

pub async fn count_failures(conn: &mut PgConnection, subject: &str, within: TimeDelta) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from sign_in_failure where subject = $1 and occurred_at > now() - $2::interval"#,
        subject,
        interval(within),
    )
    .fetch_one(conn)
    .await
}

/// Tries of one subject wait for each other at this lock, which ends with the transaction.
pub async fn lock_subject(tx: &mut PgConnection, subject: &str) -> Result<(), sqlx::Error> {
    // Unchecked, because it answers nothing.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))").bind(subject).execute(tx).await?;
    Ok(())
}

pub async fn insert_failures(conn: &mut PgConnection, subjects: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into sign_in_failure (subject) select * from unnest($1::text[])", subjects)
        .execute(&mut *conn)
        .await?;
    // Kept only as long as they count.
    sqlx::query!("delete from sign_in_failure where occurred_at < now() - interval '25 hours'").execute(conn).await?;
    Ok(())
}
