//! The rows behind figures of the overview: holds that are open, messages that are not applied, codes that were used; and a
//! call by its id alone.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::base::Usd;
use crate::base::ids::{BatchId, CallId, OrgId, PersonId, RedemptionId, TransferId};
use crate::db::interval;
use crate::ledger::OVERDUE;

/// What a running call holds.
#[derive(Clone, Debug)]
pub struct HoldRow {
    pub org: OrgId,
    pub name: String,
    pub call: CallId,
    pub amount: Usd,
    /// What a provider may take from an account of the organization's own; nobody's credit.
    pub byok: Usd,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Open holds, the newest calls first, of all organizations or of one.
pub async fn holds(
    conn: &mut PgConnection,
    org: Option<OrgId>,
    overdue: bool,
    before: Option<CallId>,
    most: i64,
) -> Result<Vec<HoldRow>, sqlx::Error> {
    sqlx::query_as!(
        HoldRow,
        r#"select h.org_id as "org: OrgId", coalesce(o.name, '') as "name!", h.id as "call: CallId",
            h.amount as "amount: Usd", h.byok as "byok: Usd", h.created_at, h.expires_at
           from hold h left join org o on o.id = h.org_id
           where ($1::uuid is null or h.org_id = $1) and ($2::uuid is null or h.id < $2)
            and (not $4 or h.expires_at < now() - $5::interval)
           order by h.id desc limit $3"#,
        org.map(|org| org.0),
        before.map(|call| call.0),
        most,
        overdue,
        interval(OVERDUE),
    )
    .fetch_all(conn)
    .await
}

/// What these holds come to, of all organizations or of one: how many, of credits, and of own accounts.
pub async fn held(conn: &mut PgConnection, org: Option<OrgId>, overdue: bool) -> Result<(i64, Usd, Usd), sqlx::Error> {
    let row = sqlx::query!(
        r#"select count(*) as "holds!", coalesce(sum(amount), 0) as "amount!: Usd", coalesce(sum(byok), 0) as "byok!: Usd"
           from hold where ($1::uuid is null or org_id = $1) and (not $2 or expires_at < now() - $3::interval)"#,
        org.map(|org| org.0),
        overdue,
        interval(OVERDUE),
    )
    .fetch_one(conn)
    .await?;
    Ok((row.holds, row.amount, row.byok))
}

/// A message of a processor, without what it says.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub processor: String,
    pub id: String,
    pub kind: String,
    pub object_ref: String,
    pub received_at: DateTime<Utc>,
}

/// How many messages are not applied.
pub async fn count_waiting_events(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from processor_event where applied_at is null"#)
        .fetch_one(conn)
        .await
}

/// Messages that are not applied, the oldest first: those wait longest.
pub async fn waiting_events(conn: &mut PgConnection, most: i64) -> Result<Vec<EventRow>, sqlx::Error> {
    sqlx::query_as!(
        EventRow,
        "select processor, id, kind, object_ref, received_at from processor_event
         where applied_at is null order by received_at, processor, id limit $1",
        most,
    )
    .fetch_all(conn)
    .await
}

/// A use of a code.
#[derive(Clone, Debug)]
pub struct RedemptionRow {
    pub id: RedemptionId,
    pub org: OrgId,
    pub org_name: String,
    pub by: Option<PersonId>,
    pub by_name: Option<String>,
    pub amount: Usd,
    pub at: DateTime<Utc>,
    pub transfer: Option<TransferId>,
}

/// Uses of the codes of a batch, newest first.
pub async fn redemptions(
    conn: &mut PgConnection,
    batch: BatchId,
    before: Option<RedemptionId>,
    most: i64,
) -> Result<Vec<RedemptionRow>, sqlx::Error> {
    sqlx::query_as!(
        RedemptionRow,
        r#"select r.id as "id: RedemptionId", r.org_id as "org: OrgId", coalesce(o.name, '') as "org_name!",
            r.redeemed_by as "by: PersonId", p.name as "by_name?", r.amount as "amount: Usd", r.created_at as at,
            t.id as "transfer?: TransferId"
           from redemption_code c
           join redemption r on r.digest = c.digest
           left join org o on o.id = r.org_id
           left join person p on p.id = r.redeemed_by
           left join transfer t on t.code = 'redeem' and t.reference = 'rdm_' || replace(r.id::text, '-', '')
           where c.batch_id = $1 and ($2::uuid is null or (r.created_at, r.id) < (
                select x.created_at, x.id from redemption x where x.id = $2))
           order by r.created_at desc, r.id desc limit $3"#,
        batch.0,
        before.map(|id| id.0),
        most,
    )
    .fetch_all(conn)
    .await
}

/// How often the codes of a batch were used, by how many organizations, and what they gave.
pub async fn redeemed(conn: &mut PgConnection, batch: BatchId) -> Result<(i64, i64, Usd), sqlx::Error> {
    let row = sqlx::query!(
        r#"select count(r.id) as "uses!", count(distinct r.org_id) as "orgs!", coalesce(sum(r.amount), 0) as "given!: Usd"
           from redemption_code c join redemption r on r.digest = c.digest where c.batch_id = $1"#,
        batch.0,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.uses, row.orgs, row.given))
}

/// Whose call it is. The key of the table of calls begins with the organization, so each is asked: a look into an index
/// for each, and the id alone leads to the right part of the table.
pub async fn org_of_call(conn: &mut PgConnection, call: CallId) -> Result<Option<OrgId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select o.id as "org: OrgId" from org o
           cross join lateral (select 1 from usage u where u.org_id = o.id and u.id = $1 limit 1) found limit 1"#,
        call.0,
    )
    .fetch_optional(conn)
    .await
}
