//! Keys that somebody published: who finds one tells us, and it never works again.
//!
//! What is always true here:
//! - Nothing is done for a message whose signature is not that of the scanner.
//! - A published key is deleted, with every key that it issued; the same message twice changes nothing more and mails nobody
//!   again.

mod revoke;
mod scanner;
mod store;

pub mod webhook;

pub use revoke::{Found, Label, revoke};
pub use scanner::{Scanner, ScannerError};
