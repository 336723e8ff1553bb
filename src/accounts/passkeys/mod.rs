//! Passkeys: keys on a person's devices that answer a challenge, and never leave them.
//!
//! What is always true here:
//! - The device checks who uses it (user verification), so a passkey alone signs in, and stands for a second factor.
//! - A challenge is kept in the database, works once and for five minutes, and only for what it was made for.
//! - A credential belongs to one person; the counter that betrays a copied key is checked by the library.

mod add;
mod challenge;
mod passkey;
mod store;
mod verify;

pub mod pages;

pub use add::{AddError, add, remove, start_adding};
pub use challenge::{ANSWER_WITHIN, Asked, Purpose};
pub use passkey::KnownPasskey;
pub use store::{count, has_any, list};
pub use verify::{identify, start_known, start_sign_in, verify_known};
