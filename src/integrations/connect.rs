//! Storing a key, or changing what becomes of one.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::PlainProviderKey;
use super::provider_key::{MAX_LIMITS, ProviderKey, purpose};
use super::store;
use crate::audit::{self, Action, Entry, Target};
use crate::base::ids::{KeyId, OrgId, PersonId, ProviderKeyId};
use crate::catalog::{ListedProvider, ProviderKind};
use crate::orgs::{Acting, OrgError, Permission};
use crate::routing::{Mode, origin_of};
use crate::vault::{Vault, VaultError};

/// Longest name of a key.
const MAX_NAME: usize = 80;

/// What somebody wants. `None` for the key keeps the one that is stored.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub key: Option<PlainProviderKey>,
    pub name: String,
    pub mode: Mode,
    /// Empty: all.
    pub models: Vec<String>,
    pub keys: Vec<KeyId>,
    pub members: Vec<PersonId>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("Paste the key that your provider gave you.")]
    NoKey,
    #[error("This provider has no address that a key could be sent to.")]
    NoAddress,
    #[error("The address of this provider has changed since the key was stored. Paste the key again.")]
    Moved,
    #[error("A name has 80 characters at most.")]
    Name,
    #[error("A key is limited to 200 models, keys and members at most.")]
    TooMany,
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Who stores or deletes: a person, or a program with a key that a person made. `entry` begins what the log says of it.
pub struct Writer<'a> {
    pub org: OrgId,
    pub author: Option<PersonId>,
    pub entry: &'a dyn Fn(Action) -> Entry,
}

/// Scheme, host and port that a key for a provider is sent to; `None` for one that takes no keys.
#[must_use]
pub fn origin_for(provider: &ListedProvider) -> Option<String> {
    let base_url = provider.provider.base_url.as_deref().filter(|_| provider.provider.kind != ProviderKind::Sandbox);
    base_url.and_then(origin_of)
}

/// Stores a key or changes how one is used, in the caller's transaction. Every node uses it for the next call that it
/// hears of.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    vault: &Vault,
    provider: &ListedProvider,
    wish: Wish,
) -> Result<(), ConnectError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    let entry = |action| acting.entry(action);
    let writer = Writer { org: acting.org, author: Some(acting.person.id), entry: &entry };
    write(conn, &writer, vault, provider, wish).await
}

/// The same for a caller that holds the organization's lock and has looked whether the writer may.
///
/// # Errors
/// See [`ConnectError`].
pub async fn write(
    conn: &mut PgConnection,
    writer: &Writer<'_>,
    vault: &Vault,
    provider: &ListedProvider,
    wish: Wish,
) -> Result<(), ConnectError> {
    let wish = checked(wish)?;
    let (org, slug) = (writer.org, provider.provider.slug.as_str());
    let origin = origin_for(provider).ok_or(ConnectError::NoAddress)?;
    let before = store::find(conn, org, slug).await?;
    let (label, sealed) = match (&wish.key, &before) {
        (Some(key), _) => {
            let secret = key.secret().expose().as_bytes();
            (key.label(), Some(vault.seal(conn, org, &purpose(org, slug, &origin), secret).await?))
        }
        (None, None) => return Err(ConnectError::NoKey),
        (None, Some(before)) if before.origin != origin => return Err(ConnectError::Moved),
        (None, Some(before)) => (before.label.clone(), None),
    };
    let name = if wish.name.is_empty() { provider.provider.name.clone() } else { wish.name.clone() };
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let after = ProviderKey {
        id: before.as_ref().map_or_else(ProviderKeyId::fresh, |before| before.id),
        provider: slug.to_owned(),
        name,
        label,
        origin,
        mode: wish.mode,
        models: some(&wish.models),
        keys: (!wish.keys.is_empty()).then_some(wish.keys),
        members: (!wish.members.is_empty()).then_some(wish.members),
        tested_at: None,
        test_result: None,
        created_at: chrono::DateTime::UNIX_EPOCH,
        updated_at: chrono::DateTime::UNIX_EPOCH,
    };
    if sealed.is_none() && before.as_ref().is_some_and(|before| shown(before) == shown(&after)) {
        return Ok(());
    }
    store::save(conn, org, &after, sealed.as_ref(), writer.author).await?;
    let action = match (&before, &sealed) {
        (None, _) => Action::ProviderKeyConnected,
        (Some(_), Some(_)) => Action::ProviderKeyReplaced,
        (Some(_), None) => Action::ProviderKeyChanged,
    };
    let entry = (writer.entry)(action).on(Target::new("provider_key", after.id, after.name.clone()));
    let entry = entry.change(before.as_ref().map_or(Value::Null, shown), shown(&after));
    audit::record(conn, entry).await?;
    Ok(())
}

fn checked(mut wish: Wish) -> Result<Wish, ConnectError> {
    wish.name = wish.name.trim().chars().filter(|c| !c.is_control()).collect();
    if wish.name.chars().count() > MAX_NAME {
        return Err(ConnectError::Name);
    }
    wish.models.sort();
    wish.models.dedup();
    wish.keys.sort();
    wish.keys.dedup();
    wish.members.sort();
    wish.members.dedup();
    if [wish.models.len(), wish.keys.len(), wish.members.len()].into_iter().any(|count| count > MAX_LIMITS) {
        return Err(ConnectError::TooMany);
    }
    Ok(wish)
}

/// For the log: everything but the key.
pub(super) fn shown(key: &ProviderKey) -> Value {
    json!({
        "provider": key.provider,
        "name": key.name,
        "label": key.label,
        "origin": key.origin,
        "mode": key.mode.as_str(),
        "models": key.models,
        "keys": key.keys,
        "members": key.members,
    })
}
