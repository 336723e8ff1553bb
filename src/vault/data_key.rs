//! The data key of an organization: made once, opened from memory.

use std::time::Duration;

use moka::sync::Cache;
use sqlx::PgConnection;

use super::Keyring;
use super::store::{self, Stored};
use crate::base::Secret;
use crate::base::ids::{DataKeyId, OrgId};
use crate::base::seal::{SealError, Sealed, Sealer};
use crate::base::secret::random_bytes;

/// Organizations whose data key is kept in memory.
const MAX_KEPT: u64 = 10_000;
/// One that was erased on another node opens nothing there for longer than this.
const MAX_AGE: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the data key of an organization: {0}")]
    Seal(#[from] SealError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Seals and opens for one organization.
#[derive(Clone, Debug)]
pub struct DataKey {
    pub id: DataKeyId,
    sealer: Sealer,
}

impl DataKey {
    fn new(id: DataKeyId, key: &Secret<[u8; 32]>) -> DataKey {
        DataKey { id, sealer: Sealer::new(key) }
    }

    /// `purpose` names what it is for; it opens for nothing else.
    ///
    /// # Errors
    /// Those of [`Sealer::seal`].
    pub fn seal(&self, purpose: &str, bytes: &[u8]) -> Result<Sealed, SealError> {
        let sealed = self.sealer.seal_bytes(purpose, bytes)?;
        // A row names its data key by the number that the database knows.
        Ok(Sealed { key_id: self.id.to_string(), ..sealed })
    }

    /// # Errors
    /// `OtherKey` and `Damaged`.
    pub fn open(&self, purpose: &str, sealed: Sealed) -> Result<Vec<u8>, SealError> {
        if sealed.key_id != self.id.to_string() {
            return Err(SealError::OtherKey);
        }
        self.sealer.open_bytes(purpose, &Sealed { key_id: self.sealer.key_id().to_owned(), ..sealed })
    }
}

/// What a data key sealed, as a row keeps it.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub data_key: DataKeyId,
    pub sealed: Sealed,
}

/// Where data keys come from. Cloning it is cheap; clones look at the same memory.
#[derive(Clone)]
pub struct Vault {
    keyring: Keyring,
    kept: Cache<OrgId, DataKey>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    #[must_use]
    pub fn new(keyring: Keyring) -> Vault {
        Vault { keyring, kept: Cache::builder().max_capacity(MAX_KEPT).time_to_live(MAX_AGE).build() }
    }

    /// The data key of an organization, if it has one.
    ///
    /// # Errors
    /// When the database fails, or its KEK is not configured.
    pub async fn find(&self, conn: &mut PgConnection, org: OrgId) -> Result<Option<DataKey>, VaultError> {
        if let Some(kept) = self.kept.get(&org) {
            return Ok(Some(kept));
        }
        let Some(stored) = store::find(conn, org).await? else { return Ok(None) };
        Ok(Some(self.open(org, &stored)?))
    }

    /// The same; the first who asks makes it, in the caller's transaction.
    ///
    /// # Errors
    /// As [`Vault::find`].
    pub async fn of(&self, conn: &mut PgConnection, org: OrgId) -> Result<DataKey, VaultError> {
        if let Some(found) = self.find(conn, org).await? {
            return Ok(found);
        }
        let wrapped = self.keyring.wrap(&purpose(org), &random_bytes())?;
        // Of two who make it at once, one waits here for the other and then uses that one's.
        let stored = store::insert_or_find(conn, org, DataKeyId::fresh(), &wrapped).await?;
        // Not remembered: the caller may yet roll back.
        let key = self.keyring.unwrap(&purpose(org), &stored.sealed)?;
        Ok(DataKey::new(stored.id, &key))
    }

    /// Seals for one purpose with the organization's data key, which the first who asks makes, in the caller's transaction.
    ///
    /// # Errors
    /// As [`Vault::find`].
    pub async fn seal(
        &self,
        conn: &mut PgConnection,
        org: OrgId,
        purpose: &str,
        bytes: &[u8],
    ) -> Result<Envelope, VaultError> {
        let key = self.of(conn, org).await?;
        Ok(Envelope { data_key: key.id, sealed: key.seal(purpose, bytes)? })
    }

    fn open(&self, org: OrgId, stored: &Stored) -> Result<DataKey, VaultError> {
        let key = DataKey::new(stored.id, &self.keyring.unwrap(&purpose(org), &stored.sealed)?);
        self.kept.insert(org, key.clone());
        Ok(key)
    }

    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}

pub(super) fn purpose(org: OrgId) -> String {
    format!("data key of {org}")
}
