//! Adding an address.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::endpoint::{HookUrl, MAX_DESCRIPTION, MAX_HOOKS, purpose};
use super::event::EventKind;
use super::sign::SigningSecret;
use super::store;
use crate::audit::{self, Action, Target};
use crate::base::ids::HookId;
use crate::orgs::{Acting, OrgError, Permission};
use crate::vault::{Vault, VaultError};

/// What somebody wants of an address.
#[derive(Clone, Debug)]
pub struct Wish {
    pub url: HookUrl,
    pub description: String,
    /// `None`: everything, also what later versions tell.
    pub events: Option<Vec<EventKind>>,
}

#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("An organization has {MAX_HOOKS} addresses at most. Delete one first.")]
    TooMany,
    #[error("A description has {MAX_DESCRIPTION} characters at most.")]
    Description,
    #[error("Choose at least one event, or all of them.")]
    NoEvents,
    #[error("There is no such address.")]
    NotFound,
    /// The same form came twice.
    #[error("This form was used before, so nothing was done.")]
    Again,
    /// Somebody changed it meanwhile.
    #[error("The address was changed meanwhile, so nothing was done. Look at it again.")]
    Changed,
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Wish {
    pub(super) fn checked(mut self) -> Result<Wish, HookError> {
        self.description = self.description.trim().chars().filter(|c| !c.is_control()).collect();
        if self.description.chars().count() > MAX_DESCRIPTION {
            return Err(HookError::Description);
        }
        if self.events.as_ref().is_some_and(Vec::is_empty) {
            return Err(HookError::NoEvents);
        }
        Ok(self)
    }

    pub(super) fn codes(&self) -> Option<Vec<String>> {
        self.events.as_ref().map(|events| events.iter().map(|event| event.code().to_owned()).collect())
    }

    /// For the log. An address may carry a secret in its path, so its host stands for it.
    pub(super) fn shown(&self) -> Value {
        json!({ "host": self.url.url().host_str(), "events": self.codes() })
    }
}

/// Adds an address, in the caller's transaction. Its secret is known at this one moment.
///
/// # Errors
/// `Again` for an id that was used, and what else [`HookError`] says.
pub async fn add(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    vault: &Vault,
    id: HookId,
    wish: Wish,
) -> Result<SigningSecret, HookError> {
    acting.lock(conn, Permission::ManageSettings).await?;
    let (org, wish) = (acting.org, wish.checked()?);
    if store::find(conn, org, id).await?.is_some() {
        return Err(HookError::Again);
    }
    if store::count(conn, org).await? >= MAX_HOOKS {
        return Err(HookError::TooMany);
    }
    let secret = SigningSecret::fresh();
    let sealed = vault.seal(conn, org, &purpose(org, id), secret.bytes()).await?;
    store::insert(conn, org, id, &wish, &sealed, acting.person.id).await?;
    let entry = acting.entry(Action::WebhookAdded).on(Target::new("webhook", id, wish.description.clone()));
    audit::record(conn, entry.change(Value::Null, wish.shown())).await?;
    Ok(secret)
}
