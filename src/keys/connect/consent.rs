//! Consenting: from terms to a code.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::code::{AuthCode, LIFETIME, NewCode};
use super::store;
use crate::audit::{self, Action, Target};
use crate::base::ids::OrgId;
use crate::base::secret::Digest;
use crate::keys::by::By;

/// Stores a code in the caller's transaction. `None` when a code of that id was made before: the same form came twice.
///
/// # Errors
/// Database errors only.
pub async fn consent(
    conn: &mut PgConnection,
    by: &By<'_>,
    org: OrgId,
    now: DateTime<Utc>,
    new: &NewCode<'_>,
) -> Result<Option<AuthCode>, sqlx::Error> {
    store::forget_old(conn, org, now).await?;
    let code = AuthCode::fresh();
    if !store::insert(conn, org, &Digest::of(code.reveal()), new, now + LIFETIME).await? {
        return Ok(None);
    }
    let after = json!({
        "app": new.callback.map_or_else(|| "shown on the page".to_owned(), |callback| callback.app()),
        "name": new.terms.name.as_str(),
        "expires": new.terms.expires_at,
    });
    let entry = by.entry(org, Action::AppConsented).on(Target::new("app", new.id, new.terms.name.as_str()));
    audit::record(conn, entry.change(Value::Null, after)).await?;
    Ok(Some(code))
}
