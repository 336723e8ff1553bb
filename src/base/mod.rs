//! The vocabulary of Farebox: values that cannot be wrong, without any I/O or framework.

pub mod clock;
mod codes;
pub mod csv;
pub mod email_address;
pub mod ids;
pub mod money;
pub mod origin;
pub mod paging;
pub mod seal;
pub mod secret;
pub mod signing;
pub mod slug;
pub mod viewer;

pub use clock::Clock;
pub(crate) use codes::coded;
pub use email_address::EmailAddress;
pub use money::Usd;
pub use origin::Origin;
pub use secret::{Digest, Secret};
pub use signing::SigningKey;
pub use viewer::{Locale, Viewer};
