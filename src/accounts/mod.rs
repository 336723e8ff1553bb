//! A person: signing up, proving an address, signing in, and the sessions of their browsers.
//!
//! What is always true here:
//! - A password is stored as an argon2id hash only; a session and a mailed link as SHA-256 only.
//! - What a stranger is told does not depend on whether an address has an account, nor does the time it takes.
//! - An account works only after its address is proven, by the link together with the password.

mod change_password;
mod mails;
mod password;
mod person;
mod policy;
mod recover;
mod session;
mod sign_in;
mod sign_up;
mod step_up;
mod store;
mod throttle;
mod verify_email;

pub mod email_change;
pub mod extract;
pub mod oidc;
pub mod operator;
pub mod pages;

pub use change_password::change_password;
pub use extract::{Recent, SignedIn};
pub use mails::{Links, tell};
pub use password::{Hasher, Password, PasswordError};
pub use person::{Person, Theme};
pub use policy::{SignUpPolicy, SignUpRules, may_sign_up, nobody as nobody_is_invited};
pub use recover::{reset_password, start_recovery};
pub use session::{Session, SessionSecret};
pub use sign_in::{SignInError, sign_in, sign_out};
pub use sign_up::{NewPerson, create_verified, sign_up};
pub use step_up::{renew, step_up};
pub use store::{find_by_email, find_person, set_profile};
pub use throttle::Throttle;
pub use verify_email::verify_email;
