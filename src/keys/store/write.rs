//! Writing keys.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::issue::NewKey;
use super::super::key::Key;
use super::super::plain_key::PlainKey;
use super::super::rules::Rules;
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::slug::Slug;

/// Secrets of before that a key is still found by, as the schema says: far more than are ever made for one.
const MAX_FORMER: i32 = 100;

/// Stops every key that somebody made here, and says how many those were. One that is being enabled at this moment is
/// waited for and stopped too.
pub async fn disable_all_of(conn: &mut PgConnection, org: OrgId, maker: PersonId) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "update api_key set disabled_at = coalesce(disabled_at, now()), updated_at = now()
         where org_id = $1 and created_by = $2 and deleted_at is null",
        org.0,
        maker.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes every key of an organization for good and forgets what it was called.
pub async fn erase_all(conn: &mut PgConnection, org: OrgId) -> Result<u64, sqlx::Error> {
    sqlx::query!("delete from auth_code where org_id = $1", org.0).execute(&mut *conn).await?;
    sqlx::query!("delete from first_answer where org_id = $1", org.0).execute(&mut *conn).await?;
    let done = sqlx::query!(
        "update api_key set deleted_at = coalesce(deleted_at, now()), name = 'deleted key', updated_at = now()
         where org_id = $1",
        org.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Without a secret the key waits for whoever claims it.
pub async fn insert(
    conn: &mut PgConnection,
    org: OrgId,
    id: KeyId,
    plain: Option<&PlainKey>,
    new: &NewKey,
    maker: Option<PersonId>,
) -> Result<(), sqlx::Error> {
    let digest = plain.map(PlainKey::digest);
    let (models, networks) = (models(&new.rules), networks(&new.rules));
    sqlx::query!(
        "insert into api_key (org_id, id, digest, kind, can_call, can_manage, name, label, created_by, issued_by,
            expires_at, allowed_models, allowed_ips, requests_per_minute, preset, handed_on)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text[]::cidr[], $14, $15, $16)",
        org.0,
        id.0,
        digest.as_ref().map(|digest| digest.as_bytes()),
        new.kind.as_str(),
        new.powers.call,
        new.powers.manage,
        new.name.as_str(),
        plain.map(PlainKey::label).unwrap_or_default(),
        maker.map(|person| person.0),
        new.issued_by.map(|key| key.0),
        new.expires_at,
        models.as_deref(),
        networks.as_deref() as Option<&[String]>,
        per_minute(&new.rules),
        new.rules.preset.as_ref().map(Slug::as_str),
        new.handed_on,
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn models(rules: &Rules) -> Option<Vec<String>> {
    rules.models.as_ref().map(|models| models.iter().map(str::to_owned).collect())
}

fn networks(rules: &Rules) -> Option<Vec<String>> {
    rules.networks.as_ref().map(|networks| networks.iter().map(|network| network.to_string()).collect())
}

fn per_minute(rules: &Rules) -> Option<i32> {
    rules.per_minute.and_then(|calls| i32::try_from(calls.get()).ok())
}

/// Writes what can be changed of a key, and gives the moment of the change.
pub async fn update(conn: &mut PgConnection, key: &Key) -> Result<DateTime<Utc>, sqlx::Error> {
    let (models, networks) = (models(&key.rules), networks(&key.rules));
    sqlx::query_scalar!(
        "update api_key set name = $3, expires_at = $4, allowed_models = $5, allowed_ips = $6::text[]::cidr[],
            requests_per_minute = $7, preset = $8, updated_at = now()
         where org_id = $1 and id = $2 and deleted_at is null returning updated_at",
        key.org.0,
        key.id.0,
        key.name,
        key.expires_at,
        models.as_deref(),
        networks.as_deref() as Option<&[String]>,
        per_minute(&key.rules),
        key.rules.preset.as_ref().map(Slug::as_str),
    )
    .fetch_one(conn)
    .await
}

/// Puts another secret in the place of a key's. The old one works until `until`; without that it ends now. A program still
/// finds the key by the first one that it had, and by the newest.
pub async fn replace_secret(
    conn: &mut PgConnection,
    org: OrgId,
    id: KeyId,
    plain: &PlainKey,
    until: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    let digest = plain.digest();
    sqlx::query!(
        "update api_key set digest = $3, label = $4, previous_digest = case when $5::timestamptz is not null then digest end,
            previous_until = $5, updated_at = now(),
            former_digests = case when cardinality(former_digests) < $6 then former_digests || digest
                else former_digests[1:1] || former_digests[3:] || digest end
         where org_id = $1 and id = $2 and deleted_at is null",
        org.0,
        id.0,
        digest.as_bytes(),
        plain.label(),
        until,
        MAX_FORMER,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes somebody else answer for a key.
pub async fn set_maker(conn: &mut PgConnection, org: OrgId, id: KeyId, maker: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update api_key set created_by = $3, updated_at = now()
         where org_id = $1 and id = $2 and deleted_at is null",
        org.0,
        id.0,
        maker.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The name of a key that was stopped or let go on; `None` where there is none, or nothing to change.
pub async fn set_disabled(
    conn: &mut PgConnection,
    org: OrgId,
    id: KeyId,
    disabled: bool,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "update api_key set disabled_at = case when $3 then now() end, updated_at = now()
         where org_id = $1 and id = $2 and deleted_at is null and (disabled_at is null) = $3
         returning name",
        org.0,
        id.0,
        disabled,
    )
    .fetch_optional(conn)
    .await
}

/// The name of a key that was deleted; `None` where there is none.
pub async fn mark_deleted(conn: &mut PgConnection, org: OrgId, id: KeyId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "update api_key set deleted_at = now(), updated_at = now()
         where org_id = $1 and id = $2 and deleted_at is null returning name",
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}
