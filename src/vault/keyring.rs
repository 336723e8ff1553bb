//! The key-encryption keys of this instance.

use std::sync::Arc;

use crate::base::Secret;
use crate::base::seal::{SealError, Sealed, Sealer};

/// KEKs, the one that seals first. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<Vec<Sealer>>);

impl Keyring {
    /// `first` seals, all of them open.
    #[must_use]
    pub fn new(first: &Secret<[u8; 32]>, others: &[Secret<[u8; 32]>]) -> Keyring {
        Keyring(Arc::new(std::iter::once(first).chain(others).map(Sealer::new).collect()))
    }

    /// The id of the one that seals.
    #[must_use]
    pub fn current(&self) -> &str {
        self.0.first().map_or("", Sealer::key_id)
    }

    pub(super) fn wrap(&self, purpose: &str, key: &[u8; 32]) -> Result<Sealed, SealError> {
        self.0.first().ok_or(SealError::Seal)?.seal_bytes(purpose, key)
    }

    /// # Errors
    /// `OtherKey` where its KEK is not among the configured ones.
    pub(super) fn unwrap(&self, purpose: &str, sealed: &Sealed) -> Result<Secret<[u8; 32]>, SealError> {
        let sealer = self.0.iter().find(|sealer| sealer.key_id() == sealed.key_id).ok_or(SealError::OtherKey)?;
        let bytes = sealer.open_bytes(purpose, sealed)?;
        bytes.try_into().map(Secret::new).map_err(|_| SealError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_seals_and_the_old_one_still_opens() {
        let (old, new) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let sealed = Keyring::new(&old, &[]).wrap("a", &[7; 32]).unwrap_or_else(|error| panic!("{error}"));
        let both = Keyring::new(&new, &[old]);
        assert_eq!(both.unwrap("a", &sealed), Ok(Secret::new([7; 32])));
        assert_eq!(both.unwrap("b", &sealed), Err(SealError::Damaged), "it is of another organization");
        let anew = both.wrap("a", &[7; 32]).unwrap_or_else(|error| panic!("{error}"));
        let only = Keyring::new(&new, &[]);
        assert_eq!(only.unwrap("a", &anew), Ok(Secret::new([7; 32])));
        assert_eq!(only.unwrap("a", &sealed), Err(SealError::OtherKey));
    }
}
