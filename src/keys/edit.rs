//! Changing what a key may do.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use super::by::By;
use super::key::{Key, KeyName};
use super::rules::{Models, Networks, PerMinute};
use super::store;
use crate::audit::{self, Action, Target};
use crate::base::Usd;
use crate::base::ids::{KeyId, OrgId};
use crate::base::slug::Slug;
use crate::ledger::{self, Limits};

/// What becomes other of a key. `None` leaves it as it is; the inner `None` takes it away.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Changes {
    pub name: Option<KeyName>,
    /// All limits together.
    pub limits: Option<Limits>,
    pub include_byok: Option<bool>,
    pub expires_at: Option<Option<DateTime<Utc>>>,
    pub models: Option<Option<Models>>,
    pub networks: Option<Option<Networks>>,
    pub per_minute: Option<Option<PerMinute>>,
    pub preset: Option<Option<Slug>>,
}

#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("There is no such key.")]
    NotFound,
    /// Since the page was opened that this change was written on.
    #[error("Somebody changed this key since you opened the page, so nothing was changed. Look at it again first.")]
    ChangedMeanwhile,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Changes a key in the caller's transaction, and gives it as it is then. Nodes obey within a second of the commit; what
/// was spent stays, and calls that run go on. With `seen`, only if the key is as it was at that moment.
///
/// # Errors
/// `NotFound`, `ChangedMeanwhile`, or database errors.
pub async fn edit(
    conn: &mut PgConnection,
    by: &By<'_>,
    org: OrgId,
    id: KeyId,
    seen: Option<DateTime<Utc>>,
    changes: Changes,
) -> Result<Key, EditError> {
    let before = lock(conn, org, id, seen).await?;
    let meters = ledger::meter_states(conn, org, &[before.meter()]).await?;
    let meter = meters.into_iter().next().ok_or(EditError::NotFound)?;
    let mut key = before.clone();
    apply(&mut key, &changes);
    let limits = changes.limits.unwrap_or(meter.limits);
    let include_byok = changes.include_byok.unwrap_or(meter.include_byok);
    let (old, new) = (facts(&before, &meter.limits, meter.include_byok), facts(&key, &limits, include_byok));
    let (old, new) = differing(old, new);
    if new.is_empty() {
        return Ok(before);
    }
    if (limits, include_byok) != (meter.limits, meter.include_byok) {
        ledger::set_limits(conn, org, key.meter(), limits, include_byok).await?;
    }
    key.updated_at = store::update(conn, &key).await?;
    let entry = by.entry(org, Action::KeyChanged).on(Target::new("key", id, key.name.clone()));
    audit::record(conn, entry.change(old.into(), new.into())).await?;
    Ok(key)
}

/// The key, which nobody else changes until the transaction ends.
pub(super) async fn lock(
    conn: &mut PgConnection,
    org: OrgId,
    id: KeyId,
    seen: Option<DateTime<Utc>>,
) -> Result<Key, EditError> {
    let key = store::lock(conn, org, id).await?.ok_or(EditError::NotFound)?;
    if seen.is_some_and(|seen| seen != key.updated_at) {
        return Err(EditError::ChangedMeanwhile);
    }
    Ok(key)
}

fn apply(key: &mut Key, changes: &Changes) {
    let Changes { name, limits: _, include_byok: _, expires_at, models, networks, per_minute, preset } =
        changes.clone();
    if let Some(name) = name {
        name.as_str().clone_into(&mut key.name);
    }
    key.expires_at = expires_at.unwrap_or(key.expires_at);
    if let Some(models) = models {
        key.rules.models = models;
    }
    if let Some(networks) = networks {
        key.rules.networks = networks;
    }
    key.rules.per_minute = per_minute.unwrap_or(key.rules.per_minute);
    if let Some(preset) = preset {
        key.rules.preset = preset;
    }
}

/// What the log shows of a key.
fn facts(key: &Key, limits: &Limits, include_byok: bool) -> Value {
    let mut facts = json!({
        "name": key.name,
        "include_byok": include_byok,
        "expires": key.expires_at,
        "models": key.rules.models.as_ref().map(|models| models.iter().collect::<Vec<_>>()),
        "networks": key.rules.networks.as_ref().map(|all| all.iter().map(|one| one.to_string()).collect::<Vec<_>>()),
        "per_minute": key.rules.per_minute.map(PerMinute::get),
        "preset": key.rules.preset.as_ref().map(Slug::as_str),
    });
    limits_in_log(&mut facts, limits);
    facts
}

pub(super) fn limits_in_log(facts: &mut Value, limits: &Limits) {
    let all = [
        ("limit_total", limits.total),
        ("limit_day", limits.day),
        ("limit_week", limits.week),
        ("limit_month", limits.month),
    ];
    if let Value::Object(facts) = facts {
        facts.extend(all.into_iter().map(|(name, limit)| (name.to_owned(), json!(limit.map(Usd::exact)))));
    }
}

/// Of two lists of facts, those that are not the same.
fn differing(old: Value, new: Value) -> (Map<String, Value>, Map<String, Value>) {
    let (Value::Object(mut old), Value::Object(mut new)) = (old, new) else { return Default::default() };
    new.retain(|name, value| old.get(name) != Some(value));
    old.retain(|name, _| new.contains_key(name));
    (old, new)
}
