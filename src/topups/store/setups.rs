//! Ways to pay that somebody wants to keep without buying.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::base::ids::{MethodSetupId, OrgId, PersonId};
use crate::topups::fees::Method;
use crate::topups::processors::Checkout;
use crate::topups::saved::Setup;

pub async fn insert_setup(
    conn: &mut PgConnection,
    org: OrgId,
    id: MethodSetupId,
    method: &Method,
    by: PersonId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into method_setup (org_id, id, processor, method, state, created_by, ask_at)
         values ($1, $2, $3, $4, 'open', $5, now() + interval '1 minute')
         on conflict do nothing",
        org.0,
        id.0,
        method.processor,
        method.slug,
        by.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// # Errors
/// Database errors only.
pub async fn setup(conn: &mut PgConnection, org: OrgId, id: MethodSetupId) -> Result<Option<Setup>, sqlx::Error> {
    sqlx::query_as!(
        Setup,
        r#"select org_id as "org: OrgId", id as "id: MethodSetupId", processor, method, state, label, processor_ref,
            checkout_url, created_at
           from method_setup where org_id = $1 and id = $2"#,
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// The one that a processor names.
pub async fn setup_by_ref(
    conn: &mut PgConnection,
    processor: &str,
    reference: &str,
) -> Result<Option<Setup>, sqlx::Error> {
    sqlx::query_as!(
        Setup,
        r#"select org_id as "org: OrgId", id as "id: MethodSetupId", processor, method, state, label, processor_ref,
            checkout_url, created_at
           from method_setup where processor = $1 and processor_ref = $2"#,
        processor,
        reference,
    )
    .fetch_optional(conn)
    .await
}

/// What the processor opened.
pub async fn set_setup_checkout(
    conn: &mut PgConnection,
    org: OrgId,
    id: MethodSetupId,
    checkout: &Checkout,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update method_setup set processor_ref = $3, checkout_url = $4 where org_id = $1 and id = $2",
        org.0,
        id.0,
        checkout.reference,
        checkout.url,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends an open one. False when it had ended.
pub async fn end_setup(
    conn: &mut PgConnection,
    setup: &Setup,
    state: &'static str,
    label: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update method_setup set state = $3, label = $4, ask_at = null
         where org_id = $1 and id = $2 and state = 'open'",
        setup.org.0,
        setup.id.0,
        state,
        label,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Open ones whose processor is to be asked now, put off before they are returned: every two minutes in the first two
/// hours, then every hour.
pub async fn due_setups(conn: &mut PgConnection, limit: i64) -> Result<Vec<Setup>, sqlx::Error> {
    sqlx::query_as!(
        Setup,
        r#"with due as (
            select org_id, id from method_setup where ask_at <= now() order by ask_at limit $1 for update skip locked
           )
           update method_setup s set ask_at = now() + case
                when s.created_at > now() - interval '2 hours' then interval '2 minutes' else interval '1 hour' end
           from due where s.org_id = due.org_id and s.id = due.id
           returning s.org_id as "org: OrgId", s.id as "id: MethodSetupId", processor, method, state, label,
            processor_ref, checkout_url, s.created_at as "created_at: DateTime<Utc>""#,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Forgets those of an organization that ends.
pub async fn delete_setups(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from method_setup where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}
