//! Connecting an app: a person consents once, and the app gets a key of its own (OAuth 2 with PKCE, RFC 7636, in the shape
//! that OpenRouter's clients speak).
//!
//! What is always true here:
//! - A code lives ten minutes, is used once whatever comes of it, and is sent nowhere but to the callback that was
//!   consented to. Only its SHA-256 is stored.
//! - Without the verifier of its S256 challenge a code is worth nothing. Callbacks that the operator listed may do with
//!   less, as some programs know no better.
//! - Nobody but whoever may have keys consents, with a limit and an end that they saw. The key is an ordinary one: it is
//!   on their page and can be stopped there.

mod callback;
mod challenge;
mod code;
mod consent;
mod exchange;
mod store;
mod terms_form;

pub mod api;
pub mod pages;

pub use callback::{Callback, CallbackError, Lenient, LenientError};
pub use challenge::{Challenge, ChallengeError};
pub use code::{AuthCode, LIFETIME_MINUTES, Terms};
pub use exchange::{ExchangeError, Exchanged, exchange};
