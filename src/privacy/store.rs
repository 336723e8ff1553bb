//! Queries about privacy settings and kept texts, the organization first.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::settings::Settings;
use super::text::Text;
use crate::base::ids::{CallId, DataKeyId, KeyId, OrgId};
use crate::base::seal::Sealed;

/// What an organization has set.
///
/// # Errors
/// Database errors only.
pub async fn settings(conn: &mut PgConnection, org: OrgId) -> Result<Settings, sqlx::Error> {
    let row = sqlx::query!(
        "select paid_training, free_training, zero_retention, log_texts, keep_days, analytics_cookies, keys_see_balance
         from privacy_settings where org_id = $1",
        org.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or_else(Settings::default, |row| Settings {
        paid_training: row.paid_training,
        free_training: row.free_training,
        zero_retention: row.zero_retention,
        log_texts: row.log_texts,
        keep_days: u16::try_from(row.keep_days).unwrap_or(1),
        analytics_cookies: row.analytics_cookies,
        keys_see_balance: row.keys_see_balance,
    }))
}

pub(super) async fn save(conn: &mut PgConnection, org: OrgId, settings: &Settings) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into privacy_settings (org_id, paid_training, free_training, zero_retention, log_texts, keep_days,
            analytics_cookies, keys_see_balance)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (org_id) do update set paid_training = excluded.paid_training,
            free_training = excluded.free_training, zero_retention = excluded.zero_retention,
            log_texts = excluded.log_texts, keep_days = excluded.keep_days,
            analytics_cookies = excluded.analytics_cookies, keys_see_balance = excluded.keys_see_balance,
            updated_at = now()",
        org.0,
        settings.paid_training,
        settings.free_training,
        settings.zero_retention,
        settings.log_texts,
        i32::from(settings.keep_days),
        settings.analytics_cookies,
        settings.keys_see_balance,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Written once; a second time changes nothing. False where the call has no row yet: a text never stands there alone, where
/// nobody could see it nor find it to erase it.
pub(super) async fn insert_text(
    conn: &mut PgConnection,
    text: &Text,
    sealed: &Sealed,
    data_key: DataKeyId,
) -> Result<bool, sqlx::Error> {
    // An organization whose data key is gone was erased, maybe a moment ago.
    sqlx::query_scalar!(
        r#"with asked as (
            select from usage where org_id = $1 and id = $2
         ), written as (
            insert into call_text (org_id, call_id, data_key, nonce, ciphertext, request_bytes, response_bytes, expires_at)
            select org_id, $2, id, $4, $5, $6, $7, now() + make_interval(days => $8) from data_key
            where org_id = $1 and id = $3 and exists (select from asked)
            on conflict (org_id, call_id) do nothing
         )
         select exists (select from asked) as "found!""#,
        text.org.0,
        text.call.0,
        data_key.0,
        sealed.nonce,
        sealed.ciphertext,
        i64::try_from(text.request.total).unwrap_or(i64::MAX),
        i64::try_from(text.response.total).unwrap_or(i64::MAX),
        i32::from(text.keep_days),
    )
    .fetch_one(conn)
    .await
}

/// A text as it lies in the database.
pub(super) struct Kept {
    pub sealed: Sealed,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub expires_at: DateTime<Utc>,
}

/// One whose time is over is not there any more, also before the janitor comes by.
pub(super) async fn find_text(conn: &mut PgConnection, org: OrgId, call: CallId) -> Result<Option<Kept>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select data_key as "data_key: DataKeyId", nonce, ciphertext, request_bytes, response_bytes, expires_at
           from call_text where org_id = $1 and call_id = $2 and expires_at > now()"#,
        org.0,
        call.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Kept {
        sealed: Sealed { key_id: row.data_key.to_string(), nonce: row.nonce, ciphertext: row.ciphertext },
        request_bytes: row.request_bytes.unsigned_abs(),
        response_bytes: row.response_bytes.unsigned_abs(),
        expires_at: row.expires_at,
    }))
}

/// How many texts an organization has, up to a limit.
pub(super) async fn count_texts(conn: &mut PgConnection, org: OrgId, most: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from (select from call_text where org_id = $1 and expires_at > now() limit $2) found"#,
        org.0,
        most,
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn delete_texts(conn: &mut PgConnection, org: OrgId) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query!("delete from call_text where org_id = $1", org.0).execute(conn).await?.rows_affected())
}

/// Adds calls whose texts were not stored, of several organizations, in one order. One that is gone is passed over.
pub(super) async fn add_dropped(conn: &mut PgConnection, dropped: &[(OrgId, u64)]) -> Result<(), sqlx::Error> {
    let orgs: Vec<Uuid> = dropped.iter().map(|(org, _)| org.0).collect();
    let calls: Vec<i64> = dropped.iter().map(|(_, calls)| i64::try_from(*calls).unwrap_or(i64::MAX)).collect();
    sqlx::query!(
        "insert into texts_dropped as d (org_id, day, calls)
         select x.org_id, (now() at time zone 'utc')::date, x.calls from unnest($1::uuid[], $2::bigint[]) as x (org_id, calls)
         join org o on o.id = x.org_id
         order by x.org_id
         on conflict (org_id, day) do update set calls = d.calls + excluded.calls",
        &orgs,
        &calls,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Calls of the last days whose texts were not stored.
pub(super) async fn dropped(conn: &mut PgConnection, org: OrgId, days: i32) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(sum(calls), 0)::bigint as "calls!" from texts_dropped
           where org_id = $1 and day > (now() at time zone 'utc')::date - $2::integer"#,
        org.0,
        days,
    )
    .fetch_one(conn)
    .await
}

/// Of all organizations, what nobody is shown any more.
pub(super) async fn forget_dropped(conn: &mut PgConnection, days: i32) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from texts_dropped where day <= (now() at time zone 'utc')::date - $1::integer", days)
        .execute(conn)
        .await?;
    Ok(())
}

/// Of all organizations.
pub(super) async fn delete_expired(conn: &mut PgConnection, most: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "delete from call_text where (org_id, call_id) in (
            select org_id, call_id from call_text where expires_at <= now()
            order by expires_at limit $1 for update skip locked)",
        most,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Everything about an organization, its texts too.
///
/// # Errors
/// Database errors only.
pub async fn erase(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from privacy_settings where org_id = $1", org.0).execute(&mut *conn).await?;
    sqlx::query!("delete from texts_dropped where org_id = $1", org.0).execute(&mut *conn).await?;
    delete_texts(conn, org).await?;
    Ok(())
}

/// The texts of the calls of one key, of somebody who is erased.
///
/// # Errors
/// Database errors only.
pub async fn erase_of_key(conn: &mut PgConnection, org: OrgId, key: KeyId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from call_text t using usage u
         where t.org_id = $1 and u.org_id = $1 and u.key_id = $2 and u.id = t.call_id",
        org.0,
        key.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}
