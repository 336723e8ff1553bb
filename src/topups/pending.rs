//! What may still be paid, told to whoever ends an organization.

use sqlx::PgConnection;

use super::fees::method_name;
use super::store;
use crate::base::Viewer;
use crate::base::ids::OrgId;

/// So many are named, the newest.
const MOST: i64 = 20;

/// Purchases of an organization that are not paid and not over, in words. Once it is gone, what is paid for them can be spent by
/// nobody.
///
/// # Errors
/// Database errors only.
pub async fn pending(conn: &mut PgConnection, org: OrgId, viewer: Viewer) -> Result<Vec<String>, sqlx::Error> {
    let open = store::pending(conn, org, MOST).await?;
    let told = open.iter().map(|topup| {
        let (credits, begun) = (topup.credits.display(), viewer.moment_in_zone(topup.created_at));
        format!("{credits} by {}, begun {begun}", method_name(&topup.method))
    });
    Ok(told.collect())
}
