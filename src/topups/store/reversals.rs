//! Refunds and disputes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::base::Usd;
use crate::base::ids::{DisputeId, OrgId, PersonId, RefundId, TopUpId};
use crate::topups::payment::{DisputeSeen, RefundSeen};
use crate::topups::topup::{Taken, TopUp};

/// A refund to write down.
#[derive(Clone, Debug)]
pub struct NewRefund {
    pub id: RefundId,
    pub amount: Usd,
    pub credits: Usd,
    pub fee: Usd,
    /// `owner`, `operator`, or `processor` for one that was made there.
    pub origin: &'static str,
    pub by: Option<PersonId>,
}

#[derive(Clone, Debug)]
pub struct RefundRow {
    pub id: RefundId,
    pub amount: Usd,
    pub credits: Usd,
    pub fee: Usd,
    pub state: String,
    /// As [`NewRefund::origin`].
    pub origin: String,
}

/// A refund as its organization sees it.
#[derive(Clone, Debug)]
pub struct RefundView {
    pub id: RefundId,
    pub amount: Usd,
    pub state: String,
    pub origin: String,
    pub failure: String,
    pub created_at: DateTime<Utc>,
}

/// A refund whose end is not known.
#[derive(Clone, Debug)]
pub struct OpenRefund {
    pub topup: TopUp,
    pub row: RefundRow,
}

#[derive(Clone, Debug)]
pub struct DisputeRow {
    pub id: DisputeId,
    pub credits: Usd,
    pub fee: Usd,
    pub state: String,
    /// As [`DisputeSeen::moves`].
    pub moves: i32,
    /// How often its money was taken.
    pub turn: i32,
}

/// What is taken back of a purchase now.
pub async fn taken(conn: &mut PgConnection, topup: &TopUp) -> Result<Taken, sqlx::Error> {
    sqlx::query_as!(
        Taken,
        r#"select coalesce(sum(credits), 0) as "credits!: Usd", coalesce(sum(fee), 0) as "fee!: Usd" from (
            select credits, fee from refund where org_id = $1 and topup_id = $2 and state <> 'failed'
            union all
            select credits, fee from dispute where org_id = $1 and topup_id = $2 and state in ('open', 'lost')
           ) taken"#,
        topup.org.0,
        topup.id.0,
    )
    .fetch_one(conn)
    .await
}

pub async fn insert_refund(conn: &mut PgConnection, topup: &TopUp, new: &NewRefund) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into refund (org_id, id, topup_id, processor, amount, credits, fee, state, origin, created_by, ask_at)
         values ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, now() + interval '1 minute')",
        topup.org.0,
        new.id.0,
        topup.id.0,
        topup.processor,
        new.amount.amount(),
        new.credits.amount(),
        new.fee.amount(),
        new.origin,
        new.by.map(|person| person.0),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Our row of a refund that a processor names: by our id, or by its own.
pub async fn lock_refund(
    conn: &mut PgConnection,
    topup: &TopUp,
    seen: &RefundSeen,
) -> Result<Option<RefundRow>, sqlx::Error> {
    sqlx::query_as!(
        RefundRow,
        r#"select id as "id: RefundId", amount as "amount: Usd", credits as "credits: Usd", fee as "fee: Usd", state,
            origin
           from refund
           where org_id = $1 and topup_id = $2 and (id = $3 or (processor = $4 and processor_ref = $5))
           order by id limit 1 for update"#,
        topup.org.0,
        topup.id.0,
        seen.ours.map(|id| id.0),
        topup.processor,
        seen.reference,
    )
    .fetch_optional(conn)
    .await
}

/// Waits for whoever else writes down what goes by this name at its processor, until the transaction ends. Two names that
/// share a lock by chance only wait for each other.
pub async fn lock_refund_reference(
    conn: &mut PgConnection,
    processor: &str,
    reference: &str,
) -> Result<(), sqlx::Error> {
    let name = format!("{processor} {reference}");
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 72))", name).fetch_one(conn).await?;
    Ok(())
}

/// Whether a refund goes by this name at its processor.
pub async fn refund_is_known(conn: &mut PgConnection, processor: &str, reference: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from refund where processor = $1 and processor_ref = $2) as "known!""#,
        processor,
        reference,
    )
    .fetch_one(conn)
    .await
}

/// One refund, locked until the transaction ends.
pub async fn refund_row(conn: &mut PgConnection, org: OrgId, id: RefundId) -> Result<Option<RefundRow>, sqlx::Error> {
    sqlx::query_as!(
        RefundRow,
        r#"select id as "id: RefundId", amount as "amount: Usd", credits as "credits: Usd", fee as "fee: Usd", state,
            origin
           from refund where org_id = $1 and id = $2 for update"#,
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// Refunds of a purchase, newest first.
///
/// # Errors
/// Database errors only.
pub async fn refunds(conn: &mut PgConnection, org: OrgId, topup: TopUpId) -> Result<Vec<RefundView>, sqlx::Error> {
    sqlx::query_as!(
        RefundView,
        r#"select id as "id: RefundId", amount as "amount: Usd", state, origin, failure, created_at
           from refund where org_id = $1 and topup_id = $2 order by id desc limit 100"#,
        org.0,
        topup.0,
    )
    .fetch_all(conn)
    .await
}

pub async fn set_refund(
    conn: &mut PgConnection,
    topup: &TopUp,
    id: RefundId,
    state: &str,
    reference: Option<&str>,
    failure: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update refund set state = $3, processor_ref = coalesce(processor_ref, $4), failure = $5,
            settled_at = case when $3 <> 'pending' then now() end, ask_at = case when $3 = 'pending' then ask_at end
         where org_id = $1 and id = $2",
        topup.org.0,
        id.0,
        state,
        reference,
        failure,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Refunds whose processor is to be asked now, put off before they are returned: every two minutes in the first
/// hours, then every hour, and after two months never again.
pub async fn due_refunds(conn: &mut PgConnection, limit: i64) -> Result<Vec<OpenRefund>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"with due as (
            select org_id, id from refund where ask_at <= now() and state = 'pending'
            order by ask_at limit $1 for update skip locked
           )
           update refund r set asked = asked + 1, ask_at = case
                when r.created_at > now() - interval '3 hours' then now() + interval '2 minutes'
                when r.created_at > now() - interval '61 days' then now() + interval '1 hour'
            end
           from due where r.org_id = due.org_id and r.id = due.id
           returning r.org_id as "org: OrgId", r.topup_id as "topup: TopUpId", r.id as "id: RefundId",
            r.amount as "amount: Usd", r.credits as "credits: Usd", r.fee as "fee: Usd", r.state, r.origin"#,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut open = Vec::with_capacity(rows.len());
    for row in rows {
        let found = super::find(conn, row.org, row.topup).await?;
        let row = RefundRow {
            id: row.id,
            amount: row.amount,
            credits: row.credits,
            fee: row.fee,
            state: row.state,
            origin: row.origin,
        };
        open.extend(found.map(|topup| OpenRefund { topup, row }));
    }
    Ok(open)
}

pub async fn lock_dispute(
    conn: &mut PgConnection,
    processor: &str,
    reference: &str,
) -> Result<Option<DisputeRow>, sqlx::Error> {
    sqlx::query_as!(
        DisputeRow,
        r#"select id as "id: DisputeId", credits as "credits: Usd", fee as "fee: Usd", state, moves, turn
           from dispute where processor = $1 and processor_ref = $2 for update"#,
        processor,
        reference,
    )
    .fetch_optional(conn)
    .await
}

pub async fn insert_dispute(
    conn: &mut PgConnection,
    topup: &TopUp,
    row: &DisputeRow,
    seen: &DisputeSeen,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into dispute (org_id, id, topup_id, processor, processor_ref, amount, credits, fee, state, reason)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'inquiry', $9)",
        topup.org.0,
        row.id.0,
        topup.id.0,
        topup.processor,
        seen.reference,
        seen.amount.amount(),
        row.credits.amount(),
        row.fee.amount(),
        seen.reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn set_dispute(conn: &mut PgConnection, topup: &TopUp, row: &DisputeRow) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update dispute set state = $3, credits = $4, fee = $5, moves = $6, turn = $7,
            closed_at = case when $3 in ('won', 'lost', 'closed') then now() end
         where org_id = $1 and id = $2",
        topup.org.0,
        row.id.0,
        row.state,
        row.credits.amount(),
        row.fee.amount(),
        row.moves,
        row.turn,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How often the money of a dispute has moved, where nothing else is new.
pub async fn set_moves(
    conn: &mut PgConnection,
    topup: &TopUp,
    row: &DisputeRow,
    moves: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update dispute set moves = $3 where org_id = $1 and id = $2", topup.org.0, row.id.0, moves)
        .execute(conn)
        .await?;
    Ok(())
}
