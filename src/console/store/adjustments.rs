//! Forms that were carried out, and grants and corrections.

use chrono::TimeDelta;
use sqlx::PgConnection;

use super::super::adjust::{Adjustment, NewAdjustment};
use crate::base::Usd;
use crate::base::ids::{ActId, AdjustmentId, OrgId, PersonId, TransferId};
use crate::db::interval;

/// False when this form was carried out before; waits for one that is being carried out.
pub async fn insert_act(
    conn: &mut PgConnection,
    id: ActId,
    person: PersonId,
    action: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into console_act (id, person_id, action) values ($1, $2, $3) on conflict (id) do nothing",
        id.0,
        person.0,
        action,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Grants and corrections that wait for a second operator, and whatever else does.
pub async fn count_waiting(conn: &mut PgConnection) -> Result<(i64, i64), sqlx::Error> {
    let row = sqlx::query!(
        r#"select (select count(*) from adjustment where state = 'pending' and expires_at > now()) as "adjustments!",
            (select count(*) from confirmation where state = 'pending' and expires_at > now()) as "others!""#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.adjustments, row.others))
}

/// What an operator booked without a second one lately.
pub async fn booked_alone(conn: &mut PgConnection, person: PersonId, within: TimeDelta) -> Result<Usd, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(sum(amount), 0) as "sum!: Usd" from adjustment
           where made_by = $1 and created_at > now() - $2::interval and not needs_two"#,
        person.0,
        interval(within),
    )
    .fetch_one(conn)
    .await
}

pub async fn insert_adjustment(
    conn: &mut PgConnection,
    new: &NewAdjustment,
    needs_two: bool,
    open_for: TimeDelta,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into adjustment (org_id, id, kind, amount, reason, state, needs_two, made_by, expires_at)
         values ($1, $2, $3, $4, $5, 'pending', $6, $7, now() + $8::interval)",
        new.org.0,
        new.id.0,
        new.kind.as_str(),
        new.amount.amount(),
        new.reason,
        needs_two,
        new.made_by.0,
        interval(open_for),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adjustments as they are kept, from here on in the words of SQL.
macro_rules! adjustments {
    ($rest:tt $(, $value:expr)*) => {
        sqlx::query_as!(
            Adjustment,
            r#"select id as "id: AdjustmentId", org_id as "org: OrgId", kind, amount as "amount: Usd", reason, state,
                needs_two, made_by as "made_by: PersonId", created_at, expires_at,
                decided_by as "decided_by: PersonId", decided_at, transfer_id as "transfer: TransferId"
               from adjustment "# + $rest
            $(, $value)*
        )
    };
}

pub async fn lock_adjustment(conn: &mut PgConnection, id: AdjustmentId) -> Result<Option<Adjustment>, sqlx::Error> {
    adjustments!("where id = $1 for update", id.0).fetch_optional(conn).await
}

pub async fn find_adjustment(conn: &mut PgConnection, id: AdjustmentId) -> Result<Option<Adjustment>, sqlx::Error> {
    adjustments!("where id = $1", id.0).fetch_optional(conn).await
}

/// Newest first: of one organization or of all, only those that wait or whatever their state.
pub async fn adjustments(
    conn: &mut PgConnection,
    org: Option<OrgId>,
    waiting: bool,
    before: Option<AdjustmentId>,
    most: i64,
) -> Result<Vec<Adjustment>, sqlx::Error> {
    adjustments!(
        "where ($1::uuid is null or org_id = $1) and (not $2 or (state = 'pending' and expires_at > now()))
            and ($3::uuid is null or id < $3)
         order by id desc limit $4",
        org.map(|org| org.0),
        waiting,
        before.map(|id| id.0),
        most
    )
    .fetch_all(conn)
    .await
}

pub async fn decide_adjustment(
    conn: &mut PgConnection,
    adjustment: &Adjustment,
    state: &str,
    by: Option<PersonId>,
    transfer: Option<TransferId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update adjustment set state = $3, decided_by = $4, decided_at = now(), transfer_id = $5
         where org_id = $1 and id = $2",
        adjustment.org.0,
        adjustment.id.0,
        state,
        by.map(|person| person.0),
        transfer.map(|id| id.0),
    )
    .execute(conn)
    .await?;
    Ok(())
}
