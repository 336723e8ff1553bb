//! A provider: who answers calls, how it is spoken to, and what it does with what it is sent.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::Flaw;

const MAX_SLUG: usize = 60;

/// Identifies a provider in the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, sqlx::Type)]
#[sqlx(transparent)]
pub struct ProviderId(pub Uuid);

/// The protocol that a provider speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Any server with the chat completions API of `OpenAI`.
    OpenAi,
    /// The messages API of Anthropic.
    Anthropic,
    /// Built in, deterministic, and never a real model.
    Sandbox,
}

impl ProviderKind {
    /// The word that the catalog file and the database use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ProviderKind::OpenAi => "openai",
            ProviderKind::Anthropic => "anthropic",
            ProviderKind::Sandbox => "sandbox",
        }
    }

    pub(super) fn parse(word: &str) -> Option<ProviderKind> {
        [ProviderKind::OpenAi, ProviderKind::Anthropic, ProviderKind::Sandbox]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// The name of a provider in requests: lower-case letters, digits and inner hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderSlug(String);

/// Why a text is not the slug of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be lower-case letters, digits and inner hyphens, sixty at most")]
pub struct ParseProviderSlugError;

impl ProviderSlug {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProviderSlug {
    type Error = ParseProviderSlugError;
    fn try_from(text: String) -> Result<Self, ParseProviderSlugError> {
        let plain = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if text.is_empty() || text.len() > MAX_SLUG || !plain || text.starts_with('-') || text.ends_with('-') {
            return Err(ParseProviderSlugError);
        }
        Ok(ProviderSlug(text))
    }
}

impl From<ProviderSlug> for String {
    fn from(slug: ProviderSlug) -> String {
        slug.0
    }
}

impl fmt::Display for ProviderSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProviderSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the catalog says about a provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub slug: ProviderSlug,
    pub name: String,
    pub kind: ProviderKind,
    /// Where its API lives, without a trailing slash. Absent exactly for the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// What its vendor calls the variable of its key; the key itself is stored. Absent: it is called without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_url: Option<String>,
    /// The country of its seat, as a two-letter ISO 3166 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headquarters: Option<String>,
    /// Whether closing the connection ends what it charges for. If not, a call left by its client is drained.
    pub cancel_stops_billing: bool,
    /// Whether it may train on what it is sent.
    pub trains_on_inputs: bool,
    /// Whether it keeps what it is sent. `false` means zero data retention.
    pub retains_logs: bool,
    /// The operator's switch.
    #[serde(default = "enabled", skip_serializing_if = "is_enabled")]
    pub enabled: bool,
}

/// What `enabled` means in the file where it is not written.
pub(super) fn enabled() -> bool {
    true
}

/// serde asks by reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
pub(super) fn is_enabled(value: &bool) -> bool {
    *value
}

impl Provider {
    /// # Errors
    /// The first field that breaks a rule which spans fields or is not carried by a type.
    pub(super) fn check(&self) -> Result<(), Flaw> {
        Flaw::unless(!self.name.trim().is_empty(), "name", "must not be empty")?;
        let built_in = self.kind == ProviderKind::Sandbox;
        let fits = built_in == self.base_url.is_none();
        Flaw::unless(fits, "base_url", "is needed, except for the sandbox, which is built in and has none")?;
        if let Some(address) = &self.base_url {
            Flaw::unless(is_base_url(address), "base_url", "must be a plain http(s) address without trailing slash")?;
        }
        if let Some(name) = &self.key_env {
            Flaw::unless(is_variable(name), "key_env", "must be the name of an environment variable, not a key")?;
        }
        for (field, link) in
            [("privacy_url", &self.privacy_url), ("terms_url", &self.terms_url), ("status_url", &self.status_url)]
        {
            // They are rendered as links, so a script address must never get in.
            Flaw::unless(link.as_deref().is_none_or(is_link), field, "must be an https address")?;
        }
        let country = self.headquarters.as_deref();
        let is_code = |code: &str| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
        Flaw::unless(country.is_none_or(is_code), "headquarters", "must be a two-letter country code")
    }
}

fn is_link(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.username().is_empty() && url.password().is_none())
}

/// A path is joined to it with a slash, so it may not end in one, nor carry a query or credentials.
fn is_base_url(text: &str) -> bool {
    !text.ends_with('/')
        && Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        })
}

fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_could_leak_or_mislead_are_refused() {
        assert!(is_base_url("https://api.example.com/v1"));
        assert!(is_base_url("http://10.0.0.5:8000"));
        for bad in [
            "https://api.example.com/",
            "https://u:p@example.com/v1",
            "https://example.com/v1?key=1",
            "ftp://x/y",
            "/v1",
        ] {
            assert!(!is_base_url(bad), "{bad} was taken as a base address");
        }
        assert!(!is_link("javascript:alert(1)"));
        assert!(!is_variable("sk-live-123"), "a key pasted in place of a variable name is refused");
    }
}
