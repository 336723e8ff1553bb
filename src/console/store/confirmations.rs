//! What waits for a second operator, besides grants and corrections.

use chrono::TimeDelta;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::super::confirmation::{Confirmation, Wish};
use crate::base::ids::{ConfirmationId, PersonId};
use crate::db::interval;

pub async fn insert_confirmation(
    conn: &mut PgConnection,
    id: ConfirmationId,
    wish: &Wish,
    reason: &str,
    by: PersonId,
    open_for: TimeDelta,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into confirmation (id, kind, wish, reason, made_by, expires_at)
         values ($1, $2, $3, $4, $5, now() + $6::interval)",
        id.0,
        wish.kind(),
        Json(wish) as Json<&Wish>,
        reason,
        by.0,
        interval(open_for),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Confirmations as they are kept, from here on in the words of SQL; `wish` is what is read of what was asked for.
macro_rules! confirmations {
    ($wish:tt, $rest:tt $(, $value:expr)*) => {
        sqlx::query_as!(
            Confirmation,
            r#"select id as "id: ConfirmationId", "# + $wish + r#" as "wish!: Json<Wish>", reason, state,
                made_by as "made_by: PersonId", created_at, expires_at, decided_by as "decided_by: PersonId", decided_at
               from confirmation "# + $rest
            $(, $value)*
        )
    };
}

/// Held until the transaction ends, so that of two who decide at once one comes second.
pub async fn lock_confirmation(
    conn: &mut PgConnection,
    id: ConfirmationId,
) -> Result<Option<Confirmation>, sqlx::Error> {
    confirmations!("wish", "where id = $1 for update", id.0).fetch_optional(conn).await
}

/// Without the digests of codes, of which a batch may have thousands.
pub async fn find_confirmation(
    conn: &mut PgConnection,
    id: ConfirmationId,
) -> Result<Option<Confirmation>, sqlx::Error> {
    confirmations!("wish - 'digests'", "where id = $1", id.0).fetch_optional(conn).await
}

/// Newest first: only those that wait, or whatever their state. Without the digests of codes.
pub async fn confirmations(
    conn: &mut PgConnection,
    waiting: bool,
    before: Option<ConfirmationId>,
    most: i64,
) -> Result<Vec<Confirmation>, sqlx::Error> {
    confirmations!(
        "wish - 'digests'",
        "where (not $1 or (state = 'pending' and expires_at > now())) and ($2::uuid is null or id < $2)
         order by id desc limit $3",
        waiting,
        before.map(|id| id.0),
        most
    )
    .fetch_all(conn)
    .await
}

pub async fn decide_confirmation(
    conn: &mut PgConnection,
    id: ConfirmationId,
    state: &str,
    by: PersonId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        // Digests of codes that work stand with the codes.
        "update confirmation set state = $2, decided_by = $3, decided_at = now(), wish = wish - 'digests' where id = $1",
        id.0,
        state,
        by.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}
