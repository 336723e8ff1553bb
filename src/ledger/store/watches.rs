//! Watches of balances. Only the trigger of migration 0018 fires them.

use sqlx::PgConnection;

use super::super::watch::{Threshold, Watch, WatchKind};
use crate::base::Usd;
use crate::base::ids::OrgId;

/// The caller holds the lock of the organization's credit, as the trigger does.
pub async fn upsert_watch(
    conn: &mut PgConnection,
    org: OrgId,
    kind: WatchKind,
    threshold: Threshold,
    armed: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into watch (org_id, kind, below, rearm_at, armed) values ($1, $2, $3, $4, $5)
         on conflict (org_id, kind) do update set below = excluded.below, rearm_at = excluded.rearm_at,
            armed = case when (watch.below, watch.rearm_at) = (excluded.below, excluded.rearm_at)
                then watch.armed else excluded.armed end,
            fires_below = case when (watch.below, watch.rearm_at) = (excluded.below, excluded.rearm_at)
                then watch.fires_below end",
        org.0,
        kind.as_str(),
        threshold.below.amount(),
        threshold.rearm_at.amount(),
        armed,
    )
    .execute(&mut *conn)
    .await?;
    bounds(conn, org).await
}

/// The caller holds the lock of the organization's credit.
pub async fn delete_watch(conn: &mut PgConnection, org: OrgId, kind: WatchKind) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from watch where org_id = $1 and kind = $2", org.0, kind.as_str()).execute(&mut *conn).await?;
    bounds(conn, org).await
}

async fn bounds(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("select watch_bounds($1)", org.0).fetch_one(conn).await?;
    Ok(())
}

/// A watch as it stands.
///
/// # Errors
/// Database errors only.
pub async fn find_watch(conn: &mut PgConnection, org: OrgId, kind: WatchKind) -> Result<Option<Watch>, sqlx::Error> {
    sqlx::query_as!(
        Watch,
        r#"select below as "below: Usd", rearm_at as "rearm_at: Usd", armed, crossing, fired_below as "fired_below: Usd"
           from watch where org_id = $1 and kind = $2"#,
        org.0,
        kind.as_str(),
    )
    .fetch_optional(conn)
    .await
}
