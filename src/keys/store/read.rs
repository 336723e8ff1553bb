//! Reading keys.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::key::{Key, KeyKind, Powers};
use super::super::rules::{Models, Networks, PerMinute, Rules};
use crate::base::Digest;
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::slug::Slug;

/// How many keys an organization has, or one maker in it.
///
/// # Errors
/// Database errors only.
pub async fn count(conn: &mut PgConnection, org: OrgId, maker: Option<PersonId>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from api_key
           where org_id = $1 and deleted_at is null and ($2::uuid is null or created_by = $2)"#,
        org.0,
        maker.map(|person| person.0),
    )
    .fetch_one(conn)
    .await
}

/// How many keys are bound to the preset of this slug.
///
/// # Errors
/// Database errors only.
pub async fn count_bound(conn: &mut PgConnection, org: OrgId, preset: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from api_key where org_id = $1 and preset = $2 and deleted_at is null"#,
        org.0,
        preset,
    )
    .fetch_one(conn)
    .await
}

/// How many keys each member has made, for those who have made any.
///
/// # Errors
/// Database errors only.
pub async fn counts(conn: &mut PgConnection, org: OrgId) -> Result<HashMap<PersonId, i64>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select created_by as "maker!: PersonId", count(*) as "count!" from api_key
           where org_id = $1 and deleted_at is null and created_by is not null group by created_by"#,
        org.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.maker, row.count)).collect())
}

/// As [`count`], of keys that call models, but never further than `most`.
///
/// # Errors
/// Database errors only.
pub async fn count_up_to(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    most: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
            select from api_key where org_id = $1 and deleted_at is null and kind = 'inference'
                and ($2::uuid is null or created_by = $2)
            limit $3
           ) k"#,
        org.0,
        maker.map(|person| person.0),
        most,
    )
    .fetch_one(conn)
    .await
}

/// Those who made these keys stay what they are in the organization until the transaction ends.
pub async fn hold_makers(conn: &mut PgConnection, org: OrgId, ids: &[KeyId]) -> Result<(), sqlx::Error> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        "select person_id from membership where org_id = $1 and person_id in (
            select created_by from api_key where org_id = $1 and id = any($2)
         ) order by person_id for share",
        org.0,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Nobody else changes these keys until the transaction ends. Always in one order, and before anything is written to
/// the log, so that two who change several keys wait for each other and never both.
pub async fn lock_all(conn: &mut PgConnection, org: OrgId, ids: &[KeyId]) -> Result<(), sqlx::Error> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        "select id from api_key where org_id = $1 and id = any($2) order by id for update",
        org.0,
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Whether an organization has more keys than that, without counting them all.
pub async fn has_more_than(conn: &mut PgConnection, org: OrgId, most: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from api_key where org_id = $1 and deleted_at is null offset $2) as "more!""#,
        org.0,
        most,
    )
    .fetch_one(conn)
    .await
}

pub(super) struct Row {
    pub org: OrgId,
    pub id: KeyId,
    pub digest: Option<Vec<u8>>,
    pub kind: String,
    pub can_call: bool,
    pub can_manage: bool,
    pub name: String,
    pub label: String,
    pub created_by: Option<PersonId>,
    pub maker: Option<String>,
    pub issued_by: Option<KeyId>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub previous_until: Option<DateTime<Utc>>,
    pub models: Option<Vec<String>>,
    pub ips: Option<Vec<String>>,
    pub per_minute: Option<i32>,
    pub preset: Option<String>,
}

impl From<Row> for Key {
    fn from(row: Row) -> Key {
        Key {
            org: row.org,
            id: row.id,
            digest: row.digest.as_deref().and_then(Digest::from_bytes),
            kind: KeyKind::parse(&row.kind),
            powers: Powers { call: row.can_call, manage: row.can_manage },
            name: row.name,
            label: row.label,
            created_by: row.created_by,
            maker: row.maker,
            issued_by: row.issued_by,
            disabled_at: row.disabled_at,
            expires_at: row.expires_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            previous_until: row.previous_until,
            rules: rules(row.models, row.ips, row.per_minute, row.preset),
        }
    }
}

/// What is stored was checked when it was written. Should a later version have written what this one cannot read, the
/// rule allows nothing rather than everything.
pub(super) fn rules(
    models: Option<Vec<String>>,
    ips: Option<Vec<String>>,
    per_minute: Option<i32>,
    preset: Option<String>,
) -> Rules {
    Rules {
        models: models.map(|all| Models::stored(&all)),
        networks: ips.map(|all| Networks::stored(&all)),
        per_minute: per_minute.map(PerMinute::stored),
        preset: preset.and_then(|slug| Slug::parse(&slug).ok()),
    }
}

/// Reads keys as `k`. The checked queries take nothing but literals, so what they share is a macro.
macro_rules! select_keys {
    ($($part:literal)+; $($value:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select k.org_id as "org: OrgId", k.id as "id: KeyId", k.digest, k.kind, k.can_call, k.can_manage,
                k.name, k.label, k.created_by as "created_by: PersonId",
                (select p.name from person p where p.id = k.created_by) as maker,
                k.issued_by as "issued_by: KeyId", k.disabled_at, k.expires_at, k.created_at, k.updated_at,
                k.previous_until, k.allowed_models as models, k.allowed_ips::text[] as ips,
                k.requests_per_minute as per_minute, k.preset
                "#
                $(+ $part)+,
            $($value),*
        )
    };
}

pub(super) use select_keys;

/// One key of an organization.
///
/// # Errors
/// Database errors only.
pub async fn find(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<Option<Key>, sqlx::Error> {
    let query = select_keys!(
        "from api_key k where k.org_id = $1 and k.id = $2 and k.deleted_at is null";
        org.0,
        id.0,
    );
    Ok(query.fetch_optional(conn).await?.map(Key::from))
}

/// As [`find`]; nobody else changes the key until the transaction ends.
pub async fn lock(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<Option<Key>, sqlx::Error> {
    let query = select_keys!(
        "from api_key k where k.org_id = $1 and k.id = $2 and k.deleted_at is null for update";
        org.0,
        id.0,
    );
    Ok(query.fetch_optional(conn).await?.map(Key::from))
}
