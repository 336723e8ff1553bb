//! Calls by the transfer that paid for them. An id carries the time of its call, so a stretch of time is a stretch of the key.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::paid::PaidCall;
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId, TransferId};

pub async fn paid_sum(
    conn: &mut PgConnection,
    org: OrgId,
    transfer: TransferId,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Usd, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(sum(cost), 0) as "sum!: Usd" from usage
           where org_id = $1 and id >= call_floor($3) and id < call_floor($4) and transfer_id = $2"#,
        org.0,
        transfer.0,
        since,
        until,
    )
    .fetch_one(conn)
    .await
}

pub async fn paid_calls(
    conn: &mut PgConnection,
    org: OrgId,
    transfer: TransferId,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
    after: Option<CallId>,
    most: i64,
) -> Result<Vec<PaidCall>, sqlx::Error> {
    sqlx::query_as!(
        PaidCall,
        r#"select id as "id: CallId", created_at as at, model, provider, cost as "cost: Usd" from usage
           where org_id = $1 and id >= call_floor($3) and id < call_floor($4) and transfer_id = $2
            and ($5::uuid is null or id > $5)
           order by id limit $6"#,
        org.0,
        transfer.0,
        since,
        until,
        after.map(|id| id.0),
        most,
    )
    .fetch_all(conn)
    .await
}
