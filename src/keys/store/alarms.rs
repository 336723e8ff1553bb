//! Alarms about keys. They are looked for in all organizations at once.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::alarm::Alarm;
use crate::activity::HourOfKey;
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

/// Which of these keys were told of on the days of these hours.
pub async fn alarms_of(
    conn: &mut PgConnection,
    hours: &[HourOfKey],
) -> Result<HashSet<(OrgId, KeyId, NaiveDate)>, sqlx::Error> {
    let orgs: Vec<Uuid> = hours.iter().map(|hour| hour.org.0).collect();
    let keys: Vec<Uuid> = hours.iter().map(|hour| hour.key.0).collect();
    let days: Vec<NaiveDate> = hours.iter().map(|hour| hour.hour.date_naive()).collect();
    let rows = sqlx::query!(
        r#"select a.org_id as "org: OrgId", a.key_id as "key: KeyId", a.day
           from unnest($1::uuid[], $2::uuid[], $3::date[]) as x (org_id, key_id, day)
           join key_alarm a on a.org_id = x.org_id and a.key_id = x.key_id and a.day = x.day"#,
        &orgs,
        &keys,
        &days,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.org, row.key, row.day)).collect())
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
