//! A person: signing up, proving an address, signing in, and the sessions of their browsers.
//!
//! What is always true here:
//! - A password is stored as an argon2id hash only; a session and a mailed link as SHA-256 only.
//! - What a stranger is told does not depend on whether an address has an account, nor does the time it takes.
//! - Every way of signing in ends in [`finish`], which asks for the second factor where there is one. Until that is
//!   shown there is no session.
//! - An account works only after its address is proven, by the link together with the password.

mod change_password;
mod common_password;
mod device;
mod factor;
mod failed;
mod freeze;
mod mails;
mod new_sign_in;
mod password;
mod person;
mod policy;
mod profile;
mod recover;
mod session;
mod sessions;
mod sign_in;
mod sign_up;
mod step_up;
mod store;
mod throttle;
mod verify_email;
mod ways_in;

pub mod email_change;
pub mod extract;
pub mod kept_form;
pub mod oidc;
pub mod operator;
pub mod pages;
pub mod passkeys;
pub mod two_factor;

pub use change_password::change_password;
pub use device::Device;
pub use extract::{Recent, SignedIn};
pub use factor::{Factor, Factors};
pub use failed::NoteFailedSignIn;
pub use freeze::{freeze, unfreeze};
pub use mails::{Links, tell};
pub use new_sign_in::NewSignIn;
pub use password::{HashWork, Hasher, NoHashWork, Password, PasswordError};
pub use person::{Person, Theme};
pub use policy::{SignUpPolicy, SignUpRules, may_sign_up};
pub use profile::change_profile;
pub use recover::{StartRecovery, reset_password, start_recovery};
pub use session::{Session, SessionSecret, SessionSeen};
pub use sessions::{end_other_sessions, end_session, history, sessions, sign_out_others, unlisted_failures};
pub use sign_in::{
    Finished, SecondAnswer, SignInError, finish, finish_second, half_signed_in, sign_in, sign_in_with_passkey, sign_out,
};
pub use sign_up::{Made, NewPerson, create_or_adopt, create_verified, sign_up};
pub use step_up::{Asks, asks, step_up, step_up_elsewhere, step_up_with_passkey};
pub use store::{find_by_email, find_person, id_by_email, name_of};
pub use throttle::{Mailing, Throttle};
pub use verify_email::verify_email;
pub use ways_in::{WaysIn, lock_ways_in};
