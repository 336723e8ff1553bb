//! Alarms about keys. They are looked for in all organizations at once.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::super::alarm::Alarm;
use crate::base::Usd;
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::secret::Digest;

/// What is to be told of a key; `None` for one that is stopped or gone.
pub async fn alarm_facts(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
) -> Result<Option<(String, String, String, Option<PersonId>)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select o.name as org_name, k.name, k.label, k.created_by as "maker: PersonId"
           from api_key k join org o on o.id = k.org_id
           where k.org_id = $1 and k.id = $2 and k.deleted_at is null and k.disabled_at is null
            and o.keys_stopped_at is null"#,
        org.0,
        key.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.org_name, row.name, row.label, row.maker)))
}

/// False when this key was told of on that day.
pub async fn insert_alarm(
    conn: &mut PgConnection,
    alarm: &Alarm,
    digest: &Digest,
    until: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into key_alarm (org_id, key_id, day, hour, spent, usual, digest, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        alarm.org.0,
        alarm.key.0,
        alarm.day,
        alarm.hour,
        alarm.spent as Usd,
        alarm.usual as Usd,
        digest.as_bytes(),
        until,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a link from a mail stands for.
pub struct FoundAlarm {
    pub org: OrgId,
    pub key: KeyId,
    pub day: NaiveDate,
    pub org_name: String,
    pub key_name: String,
    pub label: String,
    pub hour: DateTime<Utc>,
    pub spent: Usd,
    pub usual: Usd,
    pub expires_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
    pub disabled_at: Option<DateTime<Utc>>,
}

/// Nobody else uses the link until the transaction ends.
pub async fn lock_alarm(conn: &mut PgConnection, digest: &Digest) -> Result<Option<FoundAlarm>, sqlx::Error> {
    sqlx::query_as!(
        FoundAlarm,
        r#"select a.org_id as "org: OrgId", a.key_id as "key: KeyId", a.day, o.name as org_name, k.name as key_name,
            k.label, a.hour, a.spent as "spent: Usd", a.usual as "usual: Usd", a.expires_at, a.used_at, k.disabled_at
           from key_alarm a
           join api_key k on k.org_id = a.org_id and k.id = a.key_id and k.deleted_at is null
           join org o on o.id = a.org_id
           where a.digest = $1 for update of a"#,
        digest.as_bytes(),
    )
    .fetch_optional(conn)
    .await
}

pub async fn mark_alarm_used(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
    day: NaiveDate,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update key_alarm set used_at = now() where org_id = $1 and key_id = $2 and day = $3",
        org.0,
        key.0,
        day,
    )
    .execute(conn)
    .await?;
    Ok(())
}
