//! The second factor: an authenticator app or a person's passkeys, and recovery codes for when they are lost.
//!
//! What is always true here:
//! - Two-factor sign-in is on for a person exactly if they have a confirmed app, or said that their passkeys are it and have
//!   one. An app counts only once a right code showed that it has the secret.
//! - The secret is sealed at rest, for its person alone. Recovery codes are stored as SHA-256 of 80 random bits.
//! - A code of the app works once: neither its time step nor an earlier one is taken again. Two requests with the same
//!   code wait for each other at the row of the app, so that one of them wins.
//! - Guesses of app codes are counted for each account and network; a recovery code has too many bits to be guessed,
//!   so it still lets its owner in when app codes are closed.

mod check;
mod enrol;
mod qr;
mod recovery_code;
mod require_passkey;
mod store;
mod switch_off;
mod totp;

pub mod pages;

pub use check::check;
pub use enrol::{ConfirmError, Enrolment, begin, confirm, enrolment, new_recovery_codes};
pub use recovery_code::{COUNT as RECOVERY_CODES, RecoveryCodes};
pub use require_passkey::{is_last_factor, require_passkey};
pub use store::{TwoFactorState, has_app, is_on, state};
pub use switch_off::switch_off;
