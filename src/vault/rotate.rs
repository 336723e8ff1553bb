//! Sealing data keys anew with the KEK that is first in the configuration, while everything runs.

use sqlx::{Connection as _, PgConnection};

use super::data_key::{Vault, VaultError, purpose};
use super::store;

/// Data keys of one transaction.
const AT_ONCE: i64 = 100;

/// What a rotation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rotated {
    /// Sealed anew.
    pub done: u64,
    /// Sealed with a KEK that is not configured; nothing of these organizations can be opened.
    pub lost: u64,
}

/// Seals every data key anew that another KEK than the first one has sealed. What the data keys themselves have sealed
/// stays as it is, so calls go on meanwhile. Run again it does nothing; killed in the middle, it goes on.
///
/// # Errors
/// Database errors; what was done before stays done.
pub async fn rotate(conn: &mut PgConnection, vault: &Vault) -> Result<Rotated, VaultError> {
    let keyring = vault.keyring();
    let (mut rotated, mut after) = (Rotated::default(), None);
    loop {
        let mut tx = conn.begin().await?;
        let found = store::lock_others(&mut tx, keyring.current(), after, AT_ONCE).await?;
        // Ids only grow, so this ends.
        let Some((last, _)) = found.last() else { return Ok(rotated) };
        after = Some(*last);
        for (org, stored) in found {
            let Ok(key) = keyring.unwrap(&purpose(org), &stored.sealed) else {
                tracing::error!(%org, kek = stored.sealed.key_id, "a data key is sealed with a key that is not configured");
                rotated.lost += 1;
                continue;
            };
            let sealed = keyring.wrap(&purpose(org), key.expose())?;
            store::rewrap(&mut tx, org, &sealed).await?;
            rotated.done += 1;
        }
        tx.commit().await?;
    }
}
