//! Every query about passkeys and what they are asked.

use chrono::TimeDelta;
use serde_json::Value;
use sqlx::PgConnection;
use webauthn_rs::prelude::Passkey;

use super::passkey::{KnownPasskey, MAX_PASSKEYS};
use crate::base::Digest;
use crate::base::ids::{PasskeyId, PersonId};
use crate::db::interval;

/// Challenges that ran out are cleared away in such portions, as new ones come.
const CLEAR_AT_ONCE: i64 = 20;

/// A passkey with its public key.
pub struct StoredPasskey {
    pub id: PasskeyId,
    pub credential: Passkey,
}

fn decode(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn encode(passkey: &Passkey) -> Result<Value, sqlx::Error> {
    serde_json::to_value(passkey).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// A person's passkeys, oldest first.
///
/// # Errors
/// Database errors only.
pub async fn list(conn: &mut PgConnection, person: PersonId) -> Result<Vec<KnownPasskey>, sqlx::Error> {
    sqlx::query_as!(
        KnownPasskey,
        r#"select id as "id: PasskeyId", name, created_at, last_used_at
           from passkey where person_id = $1 order by id limit $2"#,
        person.0,
        MAX_PASSKEYS as i64,
    )
    .fetch_all(conn)
    .await
}

/// # Errors
/// Database errors only.
pub async fn has_any(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select exists (select from passkey where person_id = $1) as "any!""#, person.0)
        .fetch_one(conn)
        .await
}

/// How many passkeys a person has.
///
/// # Errors
/// Database errors only.
pub async fn count(conn: &mut PgConnection, person: PersonId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from passkey where person_id = $1"#, person.0)
        .fetch_one(conn)
        .await
}

pub async fn credentials(conn: &mut PgConnection, person: PersonId) -> Result<Vec<StoredPasskey>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select id as "id: PasskeyId", credential from passkey where person_id = $1 order by id limit $2"#,
        person.0,
        MAX_PASSKEYS as i64,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let credential = serde_json::from_value(row.credential).map_err(decode)?;
            Ok(StoredPasskey { id: row.id, credential })
        })
        .collect()
}

/// Locked until the transaction ends, so that two answers do not overwrite each other's counter.
pub async fn by_credential(
    conn: &mut PgConnection,
    person: PersonId,
    credential: &[u8],
) -> Result<Option<StoredPasskey>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select id as "id: PasskeyId", credential from passkey
           where person_id = $1 and credential_id = $2 for update"#,
        person.0,
        credential,
    )
    .fetch_optional(conn)
    .await?;
    let stored = |id, value| Ok(StoredPasskey { id, credential: serde_json::from_value(value).map_err(decode)? });
    row.map(|row| stored(row.id, row.credential)).transpose()
}

/// False when somebody has this credential already.
pub async fn insert(
    conn: &mut PgConnection,
    id: PasskeyId,
    person: PersonId,
    passkey: &Passkey,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let credential_id: &[u8] = passkey.cred_id();
    let done = sqlx::query!(
        "insert into passkey (id, person_id, credential_id, name, credential) values ($1, $2, $3, $4, $5)
         on conflict (credential_id) do nothing",
        id.0,
        person.0,
        credential_id,
        name,
        encode(passkey)?,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn used(conn: &mut PgConnection, id: PasskeyId, passkey: &Passkey) -> Result<(), sqlx::Error> {
    sqlx::query!("update passkey set credential = $2, last_used_at = now() where id = $1", id.0, encode(passkey)?)
        .execute(conn)
        .await?;
    Ok(())
}

/// The name of the passkey that was removed; `None` when there was none.
pub async fn delete(conn: &mut PgConnection, person: PersonId, id: PasskeyId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("delete from passkey where person_id = $1 and id = $2 returning name", person.0, id.0)
        .fetch_optional(conn)
        .await
}

pub async fn insert_challenge(
    conn: &mut PgConnection,
    digest: &Digest,
    purpose: &str,
    person: Option<PersonId>,
    state: &Value,
    lifetime: TimeDelta,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from passkey_challenge where digest in
            (select digest from passkey_challenge where expires_at < now() order by expires_at limit $1
             for update skip locked)",
        CLEAR_AT_ONCE,
    )
    .execute(&mut *conn)
    .await?;
    let lifetime = interval(lifetime);
    sqlx::query!(
        "insert into passkey_challenge (digest, purpose, person_id, state, expires_at)
         values ($1, $2, $3, $4, now() + $5)",
        digest.as_bytes(),
        purpose,
        person.map(|person| person.0),
        state,
        lifetime,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses a challenge up.
pub async fn take_challenge(
    conn: &mut PgConnection,
    digest: &Digest,
    purpose: &str,
    person: Option<PersonId>,
) -> Result<Option<Value>, sqlx::Error> {
    let row = sqlx::query!(
        "delete from passkey_challenge where digest = $1 and purpose = $2 and person_id is not distinct from $3
         returning state, expires_at > now() as \"fresh!\"",
        digest.as_bytes(),
        purpose,
        person.map(|person| person.0),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.filter(|row| row.fresh).map(|row| row.state))
}
