//! Messages as pages show them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::base::ids::{DeliveryId, HookEventId, HookId, OrgId};

/// A message to one address.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub hook: HookId,
    pub event: HookEventId,
    pub kind: String,
    pub state: String,
    pub attempts: i32,
    pub next_at: DateTime<Utc>,
    /// A process is sending it.
    pub claimed: bool,
    pub last_at: Option<DateTime<Utc>>,
    pub last_status: Option<i32>,
    pub last_error: String,
    pub created_at: DateTime<Utc>,
    pub body: String,
}

/// Reads messages `d` with their events `e`; a claim that is over is nobody's any more. The checked queries take nothing but
/// literals, so what they share is a macro.
macro_rules! select_deliveries {
    ($body:literal, $rest:literal, $($value:expr),* $(,)?) => {
        sqlx::query_as!(
            DeliveryRow,
            r#"select d.id as "id: DeliveryId", d.hook_id as "hook: HookId", d.event_id as "event: HookEventId", e.kind,
                d.state, d.attempts, d.next_at,
                d.claim is not null and d.next_at > clock_timestamp() as "claimed!",
                d.last_at, d.last_status, d.last_error, d.created_at, "#
                + $body
                + r#" as "body!" from hook_delivery d join hook_event e on e.org_id = d.org_id and e.id = d.event_id "#
                + $rest,
            $($value),*
        )
    };
}

/// The messages to one address, newest first, before `before`; without what they say.
pub async fn deliveries(
    conn: &mut PgConnection,
    org: OrgId,
    hook: HookId,
    before: Option<DeliveryId>,
    most: i64,
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    select_deliveries!(
        "''",
        "where d.org_id = $1 and d.hook_id = $2 and ($3::uuid is null or d.id < $3) order by d.id desc limit $4",
        org.0,
        hook.0,
        before.map(|id| id.0),
        most,
    )
    .fetch_all(conn)
    .await
}

pub async fn delivery(conn: &mut PgConnection, org: OrgId, id: DeliveryId) -> Result<Option<DeliveryRow>, sqlx::Error> {
    select_deliveries!("e.body", "where d.org_id = $1 and d.id = $2", org.0, id.0).fetch_optional(conn).await
}

/// One try of a message.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    pub number: i32,
    pub at: DateTime<Utc>,
    pub milliseconds: i32,
    pub status: Option<i32>,
    pub error: String,
    pub excerpt: String,
}

/// The tries of a message, newest first.
pub async fn attempts(
    conn: &mut PgConnection,
    org: OrgId,
    delivery: DeliveryId,
    most: i64,
) -> Result<Vec<AttemptRow>, sqlx::Error> {
    sqlx::query_as!(
        AttemptRow,
        "select number, at, milliseconds, status, error, excerpt from hook_attempt
         where org_id = $1 and delivery_id = $2 order by number desc limit $3",
        org.0,
        delivery.0,
        most,
    )
    .fetch_all(conn)
    .await
}

/// What waits for an address and what was given up, of the messages that are kept.
#[derive(Clone, Debug)]
pub struct HookSums {
    pub hook: HookId,
    pub waiting: i64,
    pub dead: i64,
    pub last_taken: Option<DateTime<Utc>>,
}

pub async fn hook_sums(conn: &mut PgConnection, org: OrgId) -> Result<Vec<HookSums>, sqlx::Error> {
    sqlx::query_as!(
        HookSums,
        r#"select hook_id as "hook: HookId",
            count(*) filter (where state in ('pending', 'held')) as "waiting!",
            count(*) filter (where state = 'dead') as "dead!",
            max(ended_at) filter (where state = 'delivered') as last_taken
           from hook_delivery where org_id = $1 group by hook_id"#,
        org.0,
    )
    .fetch_all(conn)
    .await
}

/// False while it waits for its turn anyway, or is being sent.
pub async fn put_back(conn: &mut PgConnection, org: OrgId, id: DeliveryId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update hook_delivery set state = 'pending', tries = 0, next_at = clock_timestamp(), ended_at = null, claim = null
         where org_id = $1 and id = $2 and (state in ('delivered', 'dead')
            or state = 'pending' and claim is null and next_at > clock_timestamp() + interval '1 second')",
        org.0,
        id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes events that are older, with their messages, at most so many. Says how many.
///
/// # Errors
/// Database errors only.
pub async fn forget_old(conn: &mut PgConnection, older: Duration, most: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "delete from hook_event where (org_id, id) in (
            select org_id, id from hook_event where created_at < now() - $1::bigint * interval '1 second' limit $2)",
        i64::try_from(older.as_secs()).unwrap_or(i64::MAX),
        most,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
