//! Every query about purchases and the messages of processors.

use sqlx::PgConnection;

use super::fees::{Method, Quote};
use super::inbox::Event;
use super::processors::Checkout;
use super::topup::{State, TopUp};
use crate::base::Usd;
use crate::base::ids::{OrgId, PersonId, TopUpId};

/// False when there is one of this id.
pub async fn insert(
    conn: &mut PgConnection,
    org: OrgId,
    id: TopUpId,
    payer: PersonId,
    method: &Method,
    quote: Quote,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into topup (org_id, id, method, processor, credits, fee, total, state, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, 'pending', $8)
         on conflict do nothing",
        org.0,
        id.0,
        method.slug,
        method.processor,
        quote.credits.amount(),
        quote.fee.amount(),
        quote.total.amount(),
        payer.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn set_checkout(
    conn: &mut PgConnection,
    org: OrgId,
    id: TopUpId,
    checkout: &Checkout,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update topup set processor_ref = $3, checkout_url = $4, updated_at = now() where org_id = $1 and id = $2",
        org.0,
        id.0,
        checkout.reference,
        checkout.url,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One purchase of an organization.
///
/// # Errors
/// Database errors only.
pub async fn find(conn: &mut PgConnection, org: OrgId, id: TopUpId) -> Result<Option<TopUp>, sqlx::Error> {
    sqlx::query_as!(
        TopUp,
        r#"select t.org_id as "org: OrgId", t.id as "id: TopUpId", method, processor, credits as "credits: Usd",
            fee as "fee: Usd", total as "total: Usd", state, failure, processor_ref, checkout_url, p.name as "payer?",
            t.created_at, paid_at
           from topup t left join person p on p.id = t.created_by
           where t.org_id = $1 and t.id = $2"#,
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// Purchases of an organization, newest first.
///
/// # Errors
/// Database errors only.
pub async fn list(
    conn: &mut PgConnection,
    org: OrgId,
    before: Option<TopUpId>,
    limit: i64,
) -> Result<Vec<TopUp>, sqlx::Error> {
    sqlx::query_as!(
        TopUp,
        r#"select t.org_id as "org: OrgId", t.id as "id: TopUpId", method, processor, credits as "credits: Usd",
            fee as "fee: Usd", total as "total: Usd", state, failure, processor_ref, checkout_url, p.name as "payer?",
            t.created_at, paid_at
           from topup t left join person p on p.id = t.created_by
           where t.org_id = $1 and ($2::uuid is null or t.id < $2)
           order by t.id desc limit $3"#,
        org.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The purchase of a payment, locked until the transaction ends.
pub async fn lock_by_ref(
    conn: &mut PgConnection,
    processor: &str,
    reference: &str,
) -> Result<Option<TopUp>, sqlx::Error> {
    sqlx::query_as!(
        TopUp,
        r#"select org_id as "org: OrgId", id as "id: TopUpId", method, processor, credits as "credits: Usd",
            fee as "fee: Usd", total as "total: Usd", state, failure, processor_ref, checkout_url,
            null::text as payer, created_at, paid_at
           from topup where processor = $1 and processor_ref = $2 for update"#,
        processor,
        reference,
    )
    .fetch_optional(conn)
    .await
}

pub async fn set_state(conn: &mut PgConnection, topup: &TopUp, state: State, failure: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update topup set state = $3, failure = $4, updated_at = now(),
            paid_at = case when $3 = 'paid' then now() else paid_at end
         where org_id = $1 and id = $2",
        topup.org.0,
        topup.id.0,
        state.as_str(),
        failure,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False when the message came before.
pub async fn insert_event(conn: &mut PgConnection, event: &Event) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into processor_event (processor, id, kind, object_ref, payload) values ($1, $2, $3, $4, $5)
         on conflict (processor, id) do nothing",
        event.processor,
        event.id,
        event.kind,
        event.object_ref,
        event.payload,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Which payment a message is about, unless it was applied.
pub async fn pending_event(conn: &mut PgConnection, processor: &str, id: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select object_ref from processor_event where processor = $1 and id = $2 and applied_at is null",
        processor,
        id,
    )
    .fetch_optional(conn)
    .await
}

pub async fn mark_applied(
    conn: &mut PgConnection,
    processor: &str,
    id: &str,
    outcome: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update processor_event set applied_at = now(), outcome = $3 where processor = $1 and id = $2",
        processor,
        id,
        outcome,
    )
    .execute(conn)
    .await?;
    Ok(())
}
