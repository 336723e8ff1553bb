//! Every query about operators.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::eyes::Standing;
use super::role::StaffRole;
use crate::base::ids::PersonId;
use crate::base::secret::Digest;
use crate::db::interval;

/// Any number that nothing else locks.
const LOCK: i64 = 7_306_204_918;

/// Of two who want to become the first operator, or change who is one, one waits.
pub async fn lock_claim(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock($1)", LOCK).fetch_one(conn).await?;
    Ok(())
}

pub async fn has_operator(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select from operator where role = 'operator') as "found!""#)
        .fetch_one(conn)
        .await
}

/// Whether somebody runs this instance.
///
/// # Errors
/// Database errors only.
pub async fn is_operator(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from operator where person_id = $1 and role = 'operator') as "found!""#,
        person.0
    )
    .fetch_one(conn)
    .await
}

/// What somebody is to the instance, and they stay it until the transaction ends.
///
/// # Errors
/// Database errors only.
pub async fn hold_role(conn: &mut PgConnection, person: PersonId) -> Result<Option<StaffRole>, sqlx::Error> {
    let role = sqlx::query_scalar!("select role from operator where person_id = $1 for update", person.0)
        .fetch_optional(conn)
        .await?;
    Ok(role.as_deref().and_then(StaffRole::parse))
}

/// Somebody who runs this instance, or reads its books.
#[derive(Clone, Debug)]
pub struct StaffMember {
    pub person: PersonId,
    pub name: String,
    pub email: String,
    pub role: String,
    pub made_at: DateTime<Utc>,
}

/// Everybody in the console, operators first; they are few.
///
/// # Errors
/// Database errors only.
pub async fn staff(conn: &mut PgConnection) -> Result<Vec<StaffMember>, sqlx::Error> {
    sqlx::query_as!(
        StaffMember,
        r#"select p.id as "person: PersonId", p.name, p.email, o.role, o.made_at
           from operator o join person p on p.id = o.person_id order by o.role desc, o.made_at, p.id limit 200"#
    )
    .fetch_all(conn)
    .await
}

/// Whether somebody is an operator, and nobody else who stays is one: whoever deletes their account does not.
///
/// # Errors
/// Database errors only.
pub async fn is_last_operator(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from operator where person_id = $1 and role = 'operator')
            and not exists (select from operator o where o.person_id <> $1 and o.role = 'operator'
                and not exists (select from account_deletion d where d.person_id = o.person_id)) as "last!""#,
        person.0
    )
    .fetch_one(conn)
    .await
}

/// `made_by`: who made them an operator alone. `waits`: so long they confirm nothing.
pub async fn put_staff(
    conn: &mut PgConnection,
    person: PersonId,
    role: StaffRole,
    made_by: Option<PersonId>,
    waits: TimeDelta,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into operator (person_id, role, made_by, confirms_from) values ($1, $2, $3, now() + $4::interval)
         on conflict (person_id) do update set role = excluded.role, made_by = excluded.made_by,
            confirms_from = excluded.confirms_from",
        person.0,
        role.as_str(),
        made_by.map(|person| person.0),
        interval(waits),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Every operator with what decides for whom they may confirm; they are few. Whoever deletes their account decides nothing.
pub async fn standings(conn: &mut PgConnection) -> Result<Vec<Standing>, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"select person_id as "person: PersonId", made_by as "made_by: PersonId", confirms_from,
            confirms_from <= now() as "is_ready!"
           from operator o where role = 'operator'
            and not exists (select from account_deletion d where d.person_id = o.person_id)
           order by person_id limit 200"#
    )
    .fetch_all(conn)
    .await
}

pub async fn delete_staff(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from operator where person_id = $1", person.0).execute(conn).await?;
    Ok(())
}

/// An operator by the server's own word: one of their own, who confirms at once. False when they are that already.
pub async fn insert_operator(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into operator (person_id, confirms_from) values ($1, now())
         on conflict (person_id) do update set role = 'operator', made_by = null,
            confirms_from = least(operator.confirms_from, now())
         where operator.role <> 'operator' or operator.made_by is not null or operator.confirms_from > now()",
        person.0,
    );
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
