//! A person's own settings.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::person::{Person, Theme};
use super::store;
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::{Origin, Viewer};

/// Saves name, zone, language and theme. What changed is written into the person's log; names stand in its personal
/// part only. The caller gives a transaction.
///
/// # Errors
/// Database errors only.
pub async fn change_profile(
    tx: &mut PgConnection,
    person: &Person,
    name: &str,
    (viewer, theme): (Viewer, Theme),
    origin: &Origin,
) -> Result<(), sqlx::Error> {
    let shown = |viewer: Viewer, theme: Theme| json!({ "time_zone": viewer.zone.name(), "language": viewer.locale.tag(), "theme": theme.as_str() });
    let (before, after) = (shown(person.viewer(), Theme::parse(&person.theme)), shown(viewer, theme));
    if before == after && name == person.name {
        return Ok(());
    }
    store::set_profile(tx, person.id, name, viewer, theme).await?;
    let entry = Entry::new(Chain::Person(person.id), Actor::Person(person.id), Action::ProfileChanged, origin);
    let renamed = if name == person.name { Value::Null } else { json!({ "name": [person.name, name] }) };
    audit::record(tx, entry.named(name).note(renamed).change(before, after)).await
}
