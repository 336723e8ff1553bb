//! Customers and saved ways to pay.

use sqlx::PgConnection;

use crate::base::ids::{OrgId, PaymentMethodId};
use crate::topups::payment::SavedMethod;

/// A saved way to pay.
#[derive(Clone, Debug)]
pub struct MethodRow {
    pub id: PaymentMethodId,
    pub processor: String,
    pub processor_ref: String,
    pub method: String,
    pub label: String,
    pub expires: String,
    pub is_default: bool,
}

/// Under which name a processor knows an organization.
pub async fn customer(conn: &mut PgConnection, org: OrgId, processor: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select reference from processor_customer where org_id = $1 and processor = $2",
        org.0,
        processor,
    )
    .fetch_optional(conn)
    .await
}

/// Writes the name down; the first one stays.
pub async fn set_customer(
    conn: &mut PgConnection,
    org: OrgId,
    processor: &str,
    reference: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into processor_customer (org_id, processor, reference) values ($1, $2, $3)
         on conflict (org_id, processor) do nothing",
        org.0,
        processor,
        reference,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False when it was known. One that was removed stays so, however late something tells of it.
pub async fn insert_method(
    conn: &mut PgConnection,
    org: OrgId,
    id: PaymentMethodId,
    processor: &str,
    saved: &SavedMethod,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into payment_method (org_id, id, processor, processor_ref, method, label, expires, is_default)
         values ($1, $2, $3, $4, $5, $6, $7, not exists (
            select from payment_method where org_id = $1 and is_default and removed_at is null))
         on conflict (org_id, processor, processor_ref) do nothing",
        org.0,
        id.0,
        processor,
        saved.reference,
        saved.method,
        saved.label,
        saved.expires,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The saved ways to pay of an organization, the default one first.
///
/// # Errors
/// Database errors only.
pub async fn payment_methods(conn: &mut PgConnection, org: OrgId) -> Result<Vec<MethodRow>, sqlx::Error> {
    sqlx::query_as!(
        MethodRow,
        r#"select id as "id: PaymentMethodId", processor, processor_ref, method, label, expires, is_default
           from payment_method where org_id = $1 and removed_at is null order by is_default desc, id desc limit 50"#,
        org.0,
    )
    .fetch_all(conn)
    .await
}

/// One saved way to pay that was not removed.
///
/// # Errors
/// Database errors only.
pub async fn payment_method(
    conn: &mut PgConnection,
    org: OrgId,
    id: PaymentMethodId,
) -> Result<Option<MethodRow>, sqlx::Error> {
    sqlx::query_as!(
        MethodRow,
        r#"select id as "id: PaymentMethodId", processor, processor_ref, method, label, expires, is_default
           from payment_method where org_id = $1 and id = $2 and removed_at is null"#,
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

pub async fn set_default_method(conn: &mut PgConnection, org: OrgId, id: PaymentMethodId) -> Result<(), sqlx::Error> {
    // In two steps, because a unique index is checked row by row.
    sqlx::query!("update payment_method set is_default = false where org_id = $1 and is_default", org.0)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("update payment_method set is_default = true where org_id = $1 and id = $2", org.0, id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// False when it was removed before.
pub async fn remove_method(conn: &mut PgConnection, org: OrgId, id: PaymentMethodId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update payment_method set removed_at = now(), is_default = false
         where org_id = $1 and id = $2 and removed_at is null",
        org.0,
        id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Under which names processors know an organization: processor and name.
pub async fn customers(conn: &mut PgConnection, org: OrgId) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select processor, reference from processor_customer where org_id = $1 order by processor",
        org.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.processor, row.reference)).collect())
}

pub async fn delete_customer(conn: &mut PgConnection, org: OrgId, processor: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from processor_customer where org_id = $1 and processor = $2", org.0, processor)
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes every saved way to pay of an organization, and what its owner recognized it by.
pub async fn erase_methods(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update payment_method set removed_at = coalesce(removed_at, now()), is_default = false, label = '', expires = ''
         where org_id = $1",
        org.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}
