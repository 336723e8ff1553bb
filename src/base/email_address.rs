//! An e-mail address that a mail server could accept.

use std::fmt;
use std::str::FromStr;

/// A valid address, trimmed, with its domain in lower case.
/// Accounts are found by [`EmailAddress::canonical`], which ignores case altogether.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an e-mail address; write it like name@example.com")]
pub struct ParseEmailError;

/// RFC 5321, 4.5.3.1.3.
const MAX_LENGTH: usize = 254;

impl EmailAddress {
    /// # Errors
    /// When no mail server would accept the text as an address.
    pub fn parse(text: &str) -> Result<EmailAddress, ParseEmailError> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(ParseEmailError)?;
        let dotted = domain.contains('.') || domain == "localhost";
        if text.len() > MAX_LENGTH || local.len() > 64 || !dotted || text.contains(char::is_whitespace) {
            return Err(ParseEmailError);
        }
        let address = format!("{local}@{}", domain.to_lowercase());
        lettre::Address::from_str(&address).map_err(|_| ParseEmailError)?;
        Ok(EmailAddress(address))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form by which two spellings of one mailbox are the same.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_lowercase()
    }

    /// The mailbox, for counting: what many servers deliver to it under other names, with a `+` and more, is the same (RFC 5233).
    #[must_use]
    pub fn mailbox(&self) -> String {
        let canonical = self.canonical();
        match canonical.rsplit_once('@').and_then(|(local, domain)| Some((local.split_once('+')?.0, domain))) {
            Some((local, domain)) if !local.is_empty() => format!("{local}@{domain}"),
            _ => canonical,
        }
    }

    /// The part behind the `@`, in lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit('@').next().unwrap_or_default()
    }

    /// What a person is called until they choose a name.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or(&self.0)
    }
}

/// An address as it is shown to those whom it does not concern: `a…@example.com`. Takes any text.
#[must_use]
pub fn masked(address: &str) -> String {
    match address.split_once('@') {
        Some((local, domain)) => format!("{}…@{domain}", local.chars().take(1).collect::<String>()),
        None => "another address".to_owned(),
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Logs show where a mail went without showing whose it is.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self.0.rsplit('@').next().unwrap_or_default();
        write!(f, "***@{domain}")
    }
}

impl FromStr for EmailAddress {
    type Err = ParseEmailError;
    fn from_str(text: &str) -> Result<EmailAddress, ParseEmailError> {
        EmailAddress::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_mailboxes_and_refuses_tricks() {
        assert_eq!(EmailAddress::parse(" A.B+c@Example.COM ").map(|e| e.to_string()), Ok("A.B+c@example.com".into()));
        for bad in ["", "a", "a@", "@b.c", "a@b", "a b@c.de", "a@b.c\r\nBcc: x@y.z", "a@b.c,d@e.f"] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_masked_address_keeps_its_first_letter_and_its_domain() {
        assert_eq!(masked("grace@example.com"), "g…@example.com");
        assert_eq!(masked("nonsense"), "another address");
    }

    #[test]
    fn a_mailbox_has_many_names() {
        for (address, mailbox) in [
            ("Ada@Example.com", "ada@example.com"),
            ("ada+news+1@example.com", "ada@example.com"),
            ("+ada@example.com", "+ada@example.com"),
            ("a.da@example.com", "a.da@example.com"),
        ] {
            assert_eq!(EmailAddress::parse(address).map(|address| address.mailbox()).ok().as_deref(), Some(mailbox));
        }
    }
}
