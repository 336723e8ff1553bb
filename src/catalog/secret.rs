//! Upstream keys: the operator's secrets, sealed at rest.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::store;
use crate::base::Secret;
use crate::base::seal::{SealError, Sealer};

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the catalog has no provider `{0}`; `farebox catalog export` lists them")]
    UnknownProvider(String),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

fn purpose(provider: &str) -> String {
    format!("upstream key of {provider}")
}

/// Stores a provider's key, replacing an earlier one. It is never shown again.
///
/// # Errors
/// See [`SecretError`].
pub async fn set_upstream_key(
    conn: &mut PgConnection,
    sealer: &Sealer,
    provider: &str,
    key: &Secret<String>,
) -> Result<(), SecretError> {
    let sealed = sealer.seal(&purpose(provider), key)?;
    if store::put_provider_secret(conn, provider, &sealed).await? {
        Ok(())
    } else {
        Err(SecretError::UnknownProvider(provider.to_owned()))
    }
}

/// Opens every stored key, by provider. One that does not open is left out and logged.
///
/// # Errors
/// Database errors only.
pub async fn upstream_keys(
    conn: &mut PgConnection,
    sealer: &Sealer,
) -> Result<HashMap<String, Secret<String>>, sqlx::Error> {
    let mut keys = HashMap::new();
    for (provider, sealed) in store::provider_secrets(conn).await? {
        match sealer.open(&purpose(&provider), &sealed) {
            Ok(key) => {
                keys.insert(provider, key);
            }
            Err(error) => tracing::error!(provider, %error, "an upstream key cannot be used"),
        }
    }
    Ok(keys)
}
