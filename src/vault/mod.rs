//! Envelopes: each organization's secrets and stored texts are sealed with a data key of its own, and the data key with a
//! key-encryption key (KEK) of the configuration.
//!
//! What is always true here:
//! - No key lies in the database unsealed, and no KEK lies there at all.
//! - What is sealed says which key opens it, and for what it was sealed it opens alone.
//! - Several KEKs may be configured. The first seals, all open; so one is changed while everything runs: put the new one
//!   first on every node, seal the data keys anew ([`rotate`]), take the old one away.
//! - Without its data key nothing of an organization can be read, also in an old backup: erasing ends with deleting it.

mod check;
mod data_key;
mod keyring;
mod rotate;
mod store;

pub use check::{Version, check};
pub use data_key::{DataKey, Envelope, Vault, VaultError};
pub use keyring::Keyring;
pub use rotate::{Rotated, rotate};
pub use store::{erase, wrapped_by};
