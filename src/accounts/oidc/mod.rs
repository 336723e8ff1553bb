//! Accounts elsewhere with which people sign in, by OpenID Connect: authorization code, PKCE, state and nonce.
//!
//! What is always true here:
//! - Who somebody is, is the pair of issuer and subject. An e-mail address finds nobody's account: one that is known
//!   already is linked in the settings by whoever is signed in to it.
//! - A sign-in that is under way belongs to the browser that began it, to one provider, and ends after ten minutes or
//!   with its first use. Its secrets are stored as a digest or sealed.
//! - A provider that is away, slow or lying is met when somebody uses it, never when the program starts.
//! - No transaction is open while a provider is asked.

mod enter;
mod fetch;
mod flow;
mod identity;
mod link;
mod prove;
mod provider;
mod store;

pub mod pages;

pub use enter::{Entered, Through, enter};
pub use flow::{Flow, NewFlow, Purpose, begin, resume};
pub use identity::Identity;
pub use link::{LinkError, confirm, link, unlink};
pub use prove::{Proven, prove};
pub use provider::{Provider, ProviderError, ProviderSettings, Providers};
pub use store::identities_of;
