//! Opening keys, for calls and for tests.

use std::sync::Arc;

use sqlx::PgConnection;

use super::provider_key::purpose;
use super::store::{self, Stored};
use crate::base::Secret;
use crate::base::ids::OrgId;
use crate::base::seal::SealError;
use crate::routing::{Fee, Own, OwnKey};
use crate::vault::{DataKey, Vault, VaultError};

/// Every key of an organization as routing uses them. One that does not open stays closed and says so in the log: its
/// provider is then not asked with it, and what its mode forbids stays forbidden.
///
/// # Errors
/// Database errors only.
pub async fn open_all(conn: &mut PgConnection, vault: &Vault, org: OrgId, fee: Fee) -> Result<Own, sqlx::Error> {
    let stored = store::sealed(conn, org).await?;
    if stored.is_empty() {
        return Ok(Own::default());
    }
    let data_key = match vault.find(conn, org).await {
        Ok(found) => found,
        Err(VaultError::Database(error)) => return Err(error),
        Err(error @ VaultError::Seal(_)) => {
            tracing::error!(%org, %error, "the keys of an organization for providers cannot be opened");
            None
        }
    };
    Ok(Own::new(stored.into_iter().map(|stored| own(org, stored, data_key.as_ref(), fee)).collect()))
}

fn own(org: OrgId, Stored { key, sealed }: Stored, data_key: Option<&DataKey>, fee: Fee) -> OwnKey {
    let opened = data_key.map(|data_key| open(data_key, &purpose(org, &key.provider, &key.origin), sealed));
    let secret = match opened {
        Some(Ok(secret)) => Some(Arc::new(secret)),
        Some(Err(error)) => {
            tracing::error!(%org, provider = key.provider, %error, "a key for a provider cannot be opened");
            None
        }
        None => None,
    };
    OwnKey {
        provider: key.provider,
        mode: key.mode,
        models: key.models,
        keys: key.keys,
        members: key.members,
        origin: key.origin,
        secret,
        fee,
    }
}

fn open(data_key: &DataKey, purpose: &str, sealed: crate::base::seal::Sealed) -> Result<Secret<String>, SealError> {
    let bytes = data_key.open(purpose, sealed)?;
    String::from_utf8(bytes).map(Secret::new).map_err(|_| SealError::Damaged)
}

/// The key for one provider, to try it; `None` where there is none.
///
/// # Errors
/// When the database fails, or the key does not open.
pub async fn open_one(
    conn: &mut PgConnection,
    vault: &Vault,
    org: OrgId,
    provider: &str,
) -> Result<Option<(String, Secret<String>)>, VaultError> {
    let stored = store::sealed(conn, org).await?.into_iter().find(|stored| stored.key.provider == provider);
    let Some(Stored { key, sealed }) = stored else { return Ok(None) };
    let data_key = vault.find(conn, org).await?.ok_or(SealError::OtherKey)?;
    let secret = open(&data_key, &purpose(org, &key.provider, &key.origin), sealed)?;
    Ok(Some((key.origin, secret)))
}
