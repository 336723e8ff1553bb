//! Queries about keys of an organization's own, the organization first.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::provider_key::ProviderKey;
use crate::base::Usd;
use crate::base::ids::{DataKeyId, KeyId, OrgId, PersonId, ProviderKeyId};
use crate::base::seal::Sealed;
use crate::routing::Mode;
use crate::vault::Envelope;

/// Providers of one organization; more than any catalog has.
const MAX_KEYS: i64 = 200;

/// A key as it lies in the database.
pub(super) struct Stored {
    pub key: ProviderKey,
    pub sealed: Sealed,
}

struct Row {
    id: ProviderKeyId,
    provider: String,
    name: String,
    label: String,
    origin: String,
    mode: String,
    models: Option<Vec<String>>,
    keys: Option<Vec<Uuid>>,
    members: Option<Vec<Uuid>>,
    data_key: DataKeyId,
    nonce: Vec<u8>,
    ciphertext: Vec<u8>,
    tested_at: Option<DateTime<Utc>>,
    test_result: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Stored {
    fn from(row: Row) -> Stored {
        let key = ProviderKey {
            id: row.id,
            provider: row.provider,
            name: row.name,
            label: row.label,
            origin: row.origin,
            mode: Mode::parse(&row.mode).unwrap_or_default(),
            models: row.models,
            keys: row.keys.map(|ids| ids.into_iter().map(KeyId).collect()),
            members: row.members.map(|ids| ids.into_iter().map(PersonId).collect()),
            tested_at: row.tested_at,
            test_result: row.test_result,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        let sealed = Sealed { key_id: row.data_key.to_string(), nonce: row.nonce, ciphertext: row.ciphertext };
        Stored { key, sealed }
    }
}

/// Every key of an organization, sealed.
pub(super) async fn sealed(conn: &mut PgConnection, org: OrgId) -> Result<Vec<Stored>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id as "id: ProviderKeyId", provider, name, label, origin, mode, models, keys, members,
            data_key as "data_key: DataKeyId", nonce, ciphertext, tested_at, test_result, created_at,
            updated_at
           from provider_key where org_id = $1 order by provider limit $2"#,
        org.0,
        MAX_KEYS,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

/// Every key of an organization, without the keys themselves.
///
/// # Errors
/// Database errors only.
pub async fn list(conn: &mut PgConnection, org: OrgId) -> Result<Vec<ProviderKey>, sqlx::Error> {
    Ok(sealed(conn, org).await?.into_iter().map(|stored| stored.key).collect())
}

/// The one for a provider.
///
/// # Errors
/// Database errors only.
pub async fn find(conn: &mut PgConnection, org: OrgId, provider: &str) -> Result<Option<ProviderKey>, sqlx::Error> {
    Ok(list(conn, org).await?.into_iter().find(|key| key.provider == provider))
}

/// Makes or changes one. A new secret forgets how the test of the old one went.
pub(super) async fn save(
    conn: &mut PgConnection,
    org: OrgId,
    key: &ProviderKey,
    sealed: Option<&Envelope>,
    by: Option<PersonId>,
) -> Result<(), sqlx::Error> {
    let keys: Option<Vec<Uuid>> = key.keys.as_ref().map(|ids| ids.iter().map(|id| id.0).collect());
    let members: Option<Vec<Uuid>> = key.members.as_ref().map(|ids| ids.iter().map(|id| id.0).collect());
    let Some(Envelope { data_key, sealed }) = sealed else {
        sqlx::query!(
            "update provider_key set name = $3, mode = $4, models = $5, keys = $6, members = $7, updated_at = now()
             where org_id = $1 and id = $2",
            org.0,
            key.id.0,
            key.name,
            key.mode.as_str(),
            key.models.as_deref(),
            keys.as_deref(),
            members.as_deref(),
        )
        .execute(conn)
        .await?;
        return Ok(());
    };
    sqlx::query!(
        "insert into provider_key (org_id, id, provider, name, label, origin, mode, models, keys, members, data_key,
            nonce, ciphertext, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (org_id, provider) do update set name = excluded.name, label = excluded.label,
            origin = excluded.origin, mode = excluded.mode, models = excluded.models, keys = excluded.keys,
            members = excluded.members, data_key = excluded.data_key, nonce = excluded.nonce,
            ciphertext = excluded.ciphertext, tested_at = null, test_result = null, updated_at = now()",
        org.0,
        key.id.0,
        key.provider,
        key.name,
        key.label,
        key.origin,
        key.mode.as_str(),
        key.models.as_deref(),
        keys.as_deref(),
        members.as_deref(),
        data_key.0,
        sealed.nonce,
        sealed.ciphertext,
        by.map(|person| person.0),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete(conn: &mut PgConnection, org: OrgId, id: ProviderKeyId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from provider_key where org_id = $1 and id = $2", org.0, id.0).execute(conn).await?;
    Ok(())
}

/// False when it was tried less than so many seconds ago, or is not there.
pub(super) async fn claim_test(
    conn: &mut PgConnection,
    org: OrgId,
    provider: &str,
    seconds: i32,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update provider_key set tested_at = now(), test_result = 'The test has not ended yet.'
         where org_id = $1 and provider = $2
            and (tested_at is null or tested_at < now() - make_interval(secs => $3::integer))",
        org.0,
        provider,
        seconds,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn note_test(
    conn: &mut PgConnection,
    org: OrgId,
    provider: &str,
    why: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update provider_key set tested_at = now(), test_result = $3 where org_id = $1 and provider = $2",
        org.0,
        provider,
        why,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes every key of an organization.
///
/// # Errors
/// Database errors only.
pub async fn erase(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from provider_key where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}

/// The list price of this month's calls on accounts of the organization's own; what the allowance is compared with.
///
/// # Errors
/// Database errors only.
pub async fn used_this_month(conn: &mut PgConnection, org: OrgId) -> Result<Usd, sqlx::Error> {
    let used = sqlx::query_scalar!(
        r#"select used as "used: Usd" from own_month
           where org_id = $1 and month = date_trunc('month', clock_timestamp() at time zone 'utc')::date"#,
        org.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(used.unwrap_or_default())
}
