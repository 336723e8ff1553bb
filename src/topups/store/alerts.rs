//! What an organization changed about its low-balance alert.

use sqlx::PgConnection;

use crate::base::ids::OrgId;
use crate::base::{EmailAddress, Usd};
use crate::topups::alerts::Alert;

/// The alert of an organization; the one that everybody begins with where nothing was changed.
///
/// # Errors
/// Database errors only.
pub async fn alert(conn: &mut PgConnection, org: OrgId) -> Result<Alert, sqlx::Error> {
    let row = sqlx::query!(
        r#"select enabled, below as "below: Usd", to_owners, to_billing, more from balance_alert where org_id = $1"#,
        org.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or_else(Alert::default, |row| Alert {
        enabled: row.enabled,
        below: row.below,
        to_owners: row.to_owners,
        to_billing: row.to_billing,
        more: row.more.iter().filter_map(|text| EmailAddress::parse(text).ok()).collect(),
    }))
}

pub async fn save_alert(conn: &mut PgConnection, org: OrgId, alert: &Alert) -> Result<(), sqlx::Error> {
    let more: Vec<String> = alert.more.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "insert into balance_alert (org_id, enabled, below, to_owners, to_billing, more) values ($1, $2, $3, $4, $5, $6)
         on conflict (org_id) do update set enabled = excluded.enabled, below = excluded.below,
            to_owners = excluded.to_owners, to_billing = excluded.to_billing, more = excluded.more, changed_at = now()",
        org.0,
        alert.enabled,
        alert.below.amount(),
        alert.to_owners,
        alert.to_billing,
        &more,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets whom the alert told.
pub async fn erase_alert(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from balance_alert where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}
