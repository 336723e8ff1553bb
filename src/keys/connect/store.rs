//! Every query about codes.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::challenge::Challenge;
use super::code::{NewCode, Terms};
use crate::base::Usd;
use crate::base::ids::{AuthCodeId, KeyId, OrgId, PersonId};
use crate::base::secret::Digest;
use crate::keys::key::KeyName;
use crate::ledger::Limits;

/// Codes that are over are kept so long, to say that they were used.
const KEPT: TimeDelta = TimeDelta::days(1);
/// Old codes that are deleted with each new one.
const FORGOTTEN_AT_ONCE: i64 = 20;

/// False when there is a code of that id.
pub async fn insert(
    conn: &mut PgConnection,
    org: OrgId,
    digest: &Digest,
    new: &NewCode<'_>,
    expires_at: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let limits = &new.terms.limits;
    let done = sqlx::query!(
        "insert into auth_code (org_id, id, digest, person_id, issued_by, callback_url, challenge, method, name,
            limit_total, limit_day, limit_week, limit_month, key_expires_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         on conflict (org_id, id) do nothing",
        org.0,
        new.id.0,
        digest.as_bytes(),
        new.person.map(|person| person.0),
        new.issued_by.map(|key| key.0),
        new.callback.map_or("", |callback| callback.as_str()),
        new.challenge.text(),
        new.challenge.method(),
        new.terms.name.as_str(),
        limits.total as Option<Usd>,
        limits.day as Option<Usd>,
        limits.week as Option<Usd>,
        limits.month as Option<Usd>,
        new.terms.expires_at,
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes some codes of an organization that have long been over.
pub async fn forget_old(conn: &mut PgConnection, org: OrgId, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from auth_code where org_id = $1 and id in (
            select id from auth_code where org_id = $1 and expires_at < $2 limit $3)",
        org.0,
        now - KEPT,
        FORGOTTEN_AT_ONCE,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A code that nobody used before.
pub struct Used {
    pub org: OrgId,
    pub id: AuthCodeId,
    pub person: Option<PersonId>,
    pub person_name: Option<String>,
    pub issued_by: Option<KeyId>,
    pub callback: String,
    pub challenge: Challenge,
    pub terms: Terms,
    pub expires_at: DateTime<Utc>,
}

/// Marks a code as used. `None` for an unknown one and for one that was used; of two that come at once one gets it.
pub async fn use_up(conn: &mut PgConnection, digest: &Digest) -> Result<Option<Used>, sqlx::Error> {
    let row = sqlx::query!(
        r#"with used as (
              update auth_code set used_at = now() where digest = $1 and used_at is null returning *
           )
           select u.org_id as "org!: OrgId", u.id as "id!: AuthCodeId", u.person_id as "person: PersonId",
            p.name as "person_name?", u.issued_by as "issued_by: KeyId", u.callback_url as "callback!",
            u.challenge as "challenge!", u.method as "method!", u.name as "name!", u.limit_total as "total: Usd",
            u.limit_day as "day: Usd", u.limit_week as "week: Usd", u.limit_month as "month: Usd", u.key_expires_at,
            u.expires_at as "expires_at!"
           from used u left join person p on p.id = u.person_id"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let name = KeyName::parse(&row.name).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let limits = Limits { total: row.total, day: row.day, week: row.week, month: row.month };
    Ok(Some(Used {
        org: row.org,
        id: row.id,
        person: row.person,
        person_name: row.person_name,
        issued_by: row.issued_by,
        callback: row.callback,
        challenge: Challenge::stored(&row.method, row.challenge),
        terms: Terms { name, limits, expires_at: row.key_expires_at },
        expires_at: row.expires_at,
    }))
}

/// Writes down which key a code became.
pub async fn name_key(conn: &mut PgConnection, org: OrgId, id: AuthCodeId, key: KeyId) -> Result<(), sqlx::Error> {
    sqlx::query!("update auth_code set key_id = $3 where org_id = $1 and id = $2", org.0, id.0, key.0)
        .execute(conn)
        .await?;
    Ok(())
}
