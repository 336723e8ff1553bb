//! Taking a preset out of use, and back.

use serde_json::json;
use sqlx::PgConnection;

use super::preset::{Preset, PresetError, Status};
use super::revise::Writer;
use super::store;
use crate::audit::{self, Action, Target};

/// Archives a preset or takes it back, in the caller's transaction. Calls that name an archived one are refused.
///
/// # Errors
/// `NotFound`, and database errors.
pub async fn set_status(
    conn: &mut PgConnection,
    writer: &Writer<'_>,
    preset: &Preset,
    status: Status,
) -> Result<(), PresetError> {
    let before = store::lock(conn, writer.org, preset.id).await?.ok_or(PresetError::NotFound)?.status;
    if before == status {
        return Ok(());
    }
    store::set_status(conn, writer.org, preset.id, status).await?;
    let action = if status == Status::Archived { Action::PresetArchived } else { Action::PresetRestored };
    let entry = (writer.entry)(action).on(Target::new("preset", preset.id, &preset.name));
    audit::record(conn, entry.change(json!(before.as_str()), json!(status.as_str()))).await?;
    Ok(())
}
