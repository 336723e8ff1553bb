//! Mails about credits.

pub use crate::notices::{Reader, write};

use crate::base::Usd;

/// A line of facts.
#[must_use]
pub fn fact(name: &str, amount: Usd) -> (String, String) {
    (name.to_owned(), amount.display())
}
