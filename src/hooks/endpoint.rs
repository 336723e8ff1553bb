//! An address, and what is true of it.

use chrono::{DateTime, Utc};
use url::Url;

use crate::base::ids::{HookId, OrgId, PersonId};

/// Addresses of one organization; more than a handful belong behind one of the receiver's own.
pub const MAX_HOOKS: i64 = 10;
/// Longest address, in bytes.
const MAX_URL: usize = 2_000;
pub(super) const MAX_DESCRIPTION: usize = 120;

/// An address of a web server, without a user name and without a fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookUrl(Url);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HookUrlError {
    #[error("Write the whole address, such as https://example.com/hooks/farebox.")]
    NoAddress,
    #[error("An address has 2,000 characters at most.")]
    TooLong,
    #[error("An address here has no user name, password or fragment.")]
    Parts,
}

impl HookUrl {
    /// Whether it may be called is looked at by the client, here and again for each connection.
    ///
    /// # Errors
    /// See [`HookUrlError`].
    pub fn parse(text: &str) -> Result<HookUrl, HookUrlError> {
        let text = text.trim();
        if text.len() > MAX_URL {
            return Err(HookUrlError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| HookUrlError::NoAddress)?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
            return Err(HookUrlError::NoAddress);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(HookUrlError::Parts);
        }
        if url.as_str().len() > MAX_URL {
            return Err(HookUrlError::TooLong);
        }
        Ok(HookUrl(url))
    }

    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// An address as its organization sees it.
#[derive(Clone, Debug)]
pub struct Hook {
    pub org: OrgId,
    pub id: HookId,
    pub url: String,
    pub description: String,
    /// The codes of what it is told; `None`: everything.
    pub events: Option<Vec<String>>,
    /// Until when the secret before the last rotation signs too.
    pub old_until: Option<DateTime<Utc>>,
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why the program switched it off; empty where a person did.
    pub disabled_why: String,
    pub failing_since: Option<DateTime<Utc>>,
    /// Who added it; nobody where they were erased.
    pub created_by: Option<PersonId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Hook {
    /// Its host, for where the whole address is too much.
    #[must_use]
    pub fn host(&self) -> String {
        let host = Url::parse(&self.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        host.unwrap_or_else(|| self.url.clone())
    }
}

/// What a secret is sealed for; it opens for no other address and no other organization.
pub(super) fn purpose(org: OrgId, hook: HookId) -> String {
    format!("webhook {hook} of {org}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_the_web_without_anything_hidden_in_it() {
        assert_eq!(
            HookUrl::parse(" https://example.com/a?b=1 ").map(|url| url.as_str().to_owned()).ok().as_deref(),
            Some("https://example.com/a?b=1")
        );
        for (bad, why) in [
            ("", HookUrlError::NoAddress),
            ("example.com", HookUrlError::NoAddress),
            ("ftp://example.com", HookUrlError::NoAddress),
            ("javascript:alert(1)", HookUrlError::NoAddress),
            ("file:///etc/passwd", HookUrlError::NoAddress),
            ("https://", HookUrlError::NoAddress),
            ("https://a:b@example.com", HookUrlError::Parts),
            ("https://example.com/#x", HookUrlError::Parts),
            (&format!("https://example.com/{}", "x".repeat(2_000)), HookUrlError::TooLong),
        ] {
            assert_eq!(HookUrl::parse(bad), Err(why), "{bad}");
        }
    }
}
