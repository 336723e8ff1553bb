//! What operators look at, of whichever organization.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::topups::read_topups;
use crate::base::Usd;
use crate::base::ids::{DisputeId, OrgId, TopUpId};
use crate::topups::topup::TopUp;

/// A purchase by its id alone.
///
/// # Errors
/// Database errors only.
pub async fn find_anywhere(conn: &mut PgConnection, id: TopUpId) -> Result<Option<TopUp>, sqlx::Error> {
    let org = sqlx::query_scalar!(r#"select org_id as "org: OrgId" from topup where id = $1"#, id.0)
        .fetch_optional(&mut *conn)
        .await?;
    match org {
        Some(org) => super::find(conn, org, id).await,
        None => Ok(None),
    }
}

/// Purchases, newest first: of one organization or of all, in one state or in any.
///
/// # Errors
/// Database errors only.
pub async fn list_anywhere(
    conn: &mut PgConnection,
    org: Option<OrgId>,
    state: Option<&str>,
    limit: i64,
) -> Result<Vec<TopUp>, sqlx::Error> {
    read_topups!(
        "",
        "where ($1::uuid is null or t.org_id = $1) and ($2::text is null or t.state = $2) order by t.id desc limit $3",
        org.map(|org| org.0),
        state,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// As [`list_anywhere`], after the page that ended with `before`.
///
/// # Errors
/// Database errors only.
pub async fn page_anywhere(
    conn: &mut PgConnection,
    org: Option<OrgId>,
    (state, processor): (Option<&str>, Option<&str>),
    before: Option<TopUpId>,
    limit: i64,
) -> Result<Vec<TopUp>, sqlx::Error> {
    read_topups!(
        "",
        "where ($1::uuid is null or t.org_id = $1) and ($2::text is null or t.state = $2)
            and ($3::text is null or t.processor = $3) and ($4::uuid is null or t.id < $4)
         order by t.id desc limit $5",
        org.map(|org| org.0),
        state,
        processor,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// A dispute of a purchase.
#[derive(Clone, Debug)]
pub struct DisputeView {
    pub id: DisputeId,
    pub amount: Usd,
    pub state: String,
    pub reason: String,
    /// How often its money was taken.
    pub turn: i32,
    pub created_at: DateTime<Utc>,
}

/// Disputes of a purchase, newest first.
///
/// # Errors
/// Database errors only.
pub async fn disputes(conn: &mut PgConnection, org: OrgId, topup: TopUpId) -> Result<Vec<DisputeView>, sqlx::Error> {
    sqlx::query_as!(
        DisputeView,
        r#"select id as "id: DisputeId", amount as "amount: Usd", state, reason, turn, created_at
           from dispute where org_id = $1 and topup_id = $2 order by id desc limit 100"#,
        org.0,
        topup.0,
    )
    .fetch_all(conn)
    .await
}

/// A message of a processor about a purchase.
#[derive(Clone, Debug)]
pub struct EventView {
    pub received_at: DateTime<Utc>,
    pub id: String,
    pub kind: String,
    pub applied_at: Option<DateTime<Utc>>,
    pub outcome: String,
}

/// The messages about a purchase's checkout and payment, oldest first.
///
/// # Errors
/// Database errors only.
pub async fn events(conn: &mut PgConnection, topup: &TopUp) -> Result<Vec<EventView>, sqlx::Error> {
    sqlx::query_as!(
        EventView,
        "select received_at, id, kind, applied_at, outcome from processor_event
         where processor = $1 and object_ref in ($2, $3) order by received_at, id limit 200",
        topup.processor,
        topup.processor_ref,
        topup.payment_ref,
    )
    .fetch_all(conn)
    .await
}
