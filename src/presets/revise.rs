//! Writing a preset: making one, and each further version.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::config::{Config, Flaw, MAX_PROMPT};
use super::preset::{MAX_DESCRIPTION, MAX_PRESETS, MAX_VERSIONS, Preset, PresetError, PresetName, Status};
use super::store::{self, Locked};
use crate::audit::{self, Action, Entry, Target};
use crate::base::ids::{OrgId, PersonId, PresetId};
use crate::base::slug::Slug;

/// Neither a text nor a JSON of the database holds it.
const NO_NUL: &str = "cannot hold the character with the number zero";

/// What a preset says, checked.
#[derive(Clone, PartialEq, Debug)]
pub struct Content {
    pub name: PresetName,
    pub description: String,
    pub system_prompt: String,
    pub config: Config,
}

impl Content {
    /// What is wrong with the texts of it.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if self.description.chars().count() > MAX_DESCRIPTION {
            flaws.push(Flaw::new("description", format!("can have {MAX_DESCRIPTION} characters at most")));
        }
        if self.system_prompt.chars().count() > MAX_PROMPT {
            flaws.push(Flaw::new("system_prompt", format!("can have {MAX_PROMPT} characters at most")));
        }
        if self.system_prompt.contains('\0') || self.description.contains('\0') {
            flaws.push(Flaw::new("system_prompt", NO_NUL));
        }
        if has_nul(&Value::Object(self.config.to_map())) {
            flaws.push(Flaw::new("parameters", NO_NUL));
        }
        flaws
    }
}

/// Both ways in limit how deep a value is.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Who writes: a person, or a program with a key that a person made. `entry` begins what the log says of it.
pub struct Writer<'a> {
    pub org: OrgId,
    pub author: Option<PersonId>,
    pub entry: &'a dyn Fn(Action) -> Entry,
}

/// Makes a preset with its first version, in the caller's transaction. Whoever calls has looked whether the writer may.
///
/// # Errors
/// `SlugTaken`, `Again` where this id was used before, `TooMany`, `Flaws`, and database errors; then the caller's
/// transaction can only be rolled back.
pub async fn create(
    conn: &mut PgConnection,
    writer: &Writer<'_>,
    id: PresetId,
    slug: &Slug,
    content: &Content,
) -> Result<(), PresetError> {
    check(content)?;
    if store::count(conn, writer.org).await? >= MAX_PRESETS {
        return Err(PresetError::TooMany);
    }
    let (name, description) = (content.name.as_str(), content.description.as_str());
    store::insert(conn, writer.org, id, slug.as_str(), name, description, writer.author).await.map_err(taken)?;
    store::insert_version(conn, writer.org, id, 1, &content.system_prompt, &content.config, writer.author).await?;
    let entry = (writer.entry)(Action::PresetCreated).on(Target::new("preset", id, name));
    audit::record(conn, entry.change(Value::Null, json!({ "slug": slug.as_str(), "version": 1 }))).await?;
    Ok(())
}

fn check(content: &Content) -> Result<(), PresetError> {
    let flaws = content.flaws();
    if flaws.is_empty() { Ok(()) } else { Err(PresetError::Flaws(flaws)) }
}

fn taken(error: sqlx::Error) -> PresetError {
    let constraint = error.as_database_error().and_then(|error| error.constraint().map(str::to_owned));
    match constraint.as_deref() {
        Some("preset_slug_unique") => PresetError::SlugTaken,
        Some("preset_pkey") => PresetError::Again,
        _ => PresetError::Database(error),
    }
}

/// What was open in an editor.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    pub version: i32,
    /// When the preset had been changed last; `None` for a form that does not say so.
    pub seen: Option<DateTime<Utc>>,
}

/// Changes a preset in the caller's transaction: a new version where its content changed. `base` is what was open in the
/// editor; `None` does not care. The version that calls get from now on.
///
/// # Errors
/// `Overtaken`, `Archived`, `NotFound`, `TooManyVersions`, `Flaws`, and database errors.
pub async fn revise(
    conn: &mut PgConnection,
    writer: &Writer<'_>,
    preset: &Preset,
    base: Option<Base>,
    content: &Content,
) -> Result<i32, PresetError> {
    check(content)?;
    let Locked { version: current, newest, status, name: called, description: told, updated_at } =
        store::lock(conn, writer.org, preset.id).await?.ok_or(PresetError::NotFound)?;
    if status == Status::Archived {
        return Err(PresetError::Archived);
    }
    let before = store::version(conn, writer.org, preset.id, current).await?.ok_or(PresetError::NotFound)?;
    let same =
        before.unread.is_none() && before.system_prompt == content.system_prompt && before.config == content.config;
    let (name, description) = (content.name.as_str(), content.description.as_str());
    if same && called == name && told == description {
        // The same form again, or nothing new.
        return Ok(current);
    }
    // A change of the name alone makes no version, so the moment of the last change is looked at, too.
    let overtaken = |base: Base| base.version != current || base.seen.is_some_and(|seen| seen != updated_at);
    if base.is_some_and(overtaken) {
        return Err(PresetError::Overtaken(current));
    }
    let version = if same { current } else { newest + 1 };
    if version > MAX_VERSIONS {
        return Err(PresetError::TooManyVersions);
    }
    if !same {
        let (prompt, config) = (&content.system_prompt, &content.config);
        store::insert_version(conn, writer.org, preset.id, version, prompt, config, writer.author).await?;
    }
    store::update(conn, writer.org, preset.id, name, description, version).await?;
    let entry = (writer.entry)(Action::PresetChanged).on(Target::new("preset", preset.id, name));
    audit::record(conn, entry.change(json!({ "version": current }), json!({ "version": version }))).await?;
    Ok(version)
}

/// Lets calls get another version of a preset, an older one or a newer one again.
///
/// # Errors
/// `NotFound`, `Archived`, and database errors.
pub async fn designate(
    conn: &mut PgConnection,
    writer: &Writer<'_>,
    preset: &Preset,
    version: i32,
) -> Result<(), PresetError> {
    let Locked { version: current, status, .. } =
        store::lock(conn, writer.org, preset.id).await?.ok_or(PresetError::NotFound)?;
    if status == Status::Archived {
        return Err(PresetError::Archived);
    }
    let wanted = store::version(conn, writer.org, preset.id, version).await?.ok_or(PresetError::NotFound)?;
    // No call would get it.
    if let Some(unread) = wanted.unread {
        return Err(PresetError::Flaws(unread.flaws));
    }
    if version == current {
        return Ok(());
    }
    store::set_version(conn, writer.org, preset.id, version).await?;
    let entry = (writer.entry)(Action::PresetRolledBack).on(Target::new("preset", preset.id, &preset.name));
    audit::record(conn, entry.change(json!({ "version": current }), json!({ "version": version }))).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_does_not_take_is_a_flaw() {
        let content = |config: Value| Content {
            name: PresetName::parse("Any").expect("a name"),
            description: String::new(),
            system_prompt: String::new(),
            config: Config::parse(config.as_object().expect("an object")).expect("a config"),
        };
        assert!(content(json!({ "stop": ["END"], "provider": { "order": ["x"] } })).flaws().is_empty());
        for config in [
            json!({ "stop": ["\u{0}"] }),
            json!({ "tools": [{ "type": "function", "function": { "name": "a\u{0}" } }] }),
            json!({ "logit_bias": { "\u{0}": 1 } }),
            json!({ "provider": { "order": ["x\u{0}"] } }),
        ] {
            let flaws = content(config.clone()).flaws();
            assert!(flaws.len() == 1 && flaws[0].field == "parameters", "{config}: {flaws:?}");
        }
    }
}
