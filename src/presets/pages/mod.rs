//! The pages of settings and presets.

pub mod editor;
pub mod list;
pub mod preferences;
pub mod versions;

use sqlx::PgConnection;

use super::preset::Preset;
use super::store;
use crate::base::ids::PresetId;
use crate::orgs::{Acting, Member, Permission};
use crate::web::PageError;

/// A preset of the organization that is open.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn find(conn: &mut PgConnection, member: &Member, id: &str) -> Result<Preset, PageError> {
    let id: PresetId = id.parse().map_err(|_| PageError::NotFound)?;
    store::find(conn, member.org_id(), id).await?.ok_or(PageError::NotFound)
}

/// Takes the organization's lock and looks again whether this member may change its settings.
async fn acting<'a>(conn: &mut PgConnection, member: &'a Member) -> Result<Acting<'a>, PageError> {
    let acting = member.acting();
    acting.lock(conn, Permission::ManageSettings).await?;
    Ok(acting)
}
