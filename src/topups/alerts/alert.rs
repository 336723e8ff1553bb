//! What is told when, and to whom.

use std::collections::HashSet;

use crate::base::{EmailAddress, Usd};
use crate::ledger::Threshold;
use crate::orgs::OrgError;

/// Addresses besides those of members.
pub const MAX_MORE: usize = 5;

/// The alert of an organization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    pub enabled: bool,
    pub below: Usd,
    pub to_owners: bool,
    /// Members whose role is billing.
    pub to_billing: bool,
    /// At most [`MAX_MORE`], none twice.
    pub more: Vec<EmailAddress>,
}

impl Default for Alert {
    fn default() -> Alert {
        Alert { enabled: true, below: Threshold::DEFAULT.below, to_owners: true, to_billing: true, more: Vec::new() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    #[error("The amount must be above zero, in whole cents.")]
    Amount,
    #[error("At most {MAX_MORE} further addresses can be told. Use a mailing list for more.")]
    TooMany,
    #[error("Choose at least one reader, or switch the alert off.")]
    Nobody,
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl Alert {
    /// Looks through what somebody wants, and drops addresses that stand there twice.
    ///
    /// # Errors
    /// `Amount`, `TooMany` and `Nobody`.
    pub fn checked(mut self) -> Result<Alert, AlertError> {
        if !self.below.is_positive() || self.below.whole_cents().is_none() {
            return Err(AlertError::Amount);
        }
        let mut known = HashSet::new();
        self.more.retain(|address| known.insert(address.canonical()));
        if self.more.len() > MAX_MORE {
            return Err(AlertError::TooMany);
        }
        if self.enabled && !self.to_owners && !self.to_billing && self.more.is_empty() {
            return Err(AlertError::Nobody);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(more: &[&str]) -> Alert {
        let more = more.iter().filter_map(|text| EmailAddress::parse(text).ok()).collect();
        Alert { to_owners: false, to_billing: false, more, ..Alert::default() }
    }

    #[test]
    fn an_alert_has_a_reader_and_not_too_many() {
        assert!(matches!(to(&[]).checked(), Err(AlertError::Nobody)));
        assert!(Alert { enabled: false, ..to(&[]) }.checked().is_ok(), "switched off, it needs none");
        let twice = to(&["a@example.com", "A@example.com"]).checked().map(|alert| alert.more.len());
        assert_eq!(twice.ok(), Some(1));
        let many: Vec<String> = (0..6).map(|number| format!("a{number}@example.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(to(&many[..5]).checked().is_ok());
        assert!(matches!(to(&many).checked(), Err(AlertError::TooMany)));
    }

    #[test]
    fn an_amount_is_positive_and_whole_cents() {
        for bad in ["0", "-5", "0.001"] {
            let alert = Alert { below: Usd::parse(bad).unwrap_or_default(), ..Alert::default() };
            assert!(matches!(alert.checked(), Err(AlertError::Amount)), "{bad}");
        }
    }
}
