//! Names that are safe in URLs.

use std::fmt;

/// One to sixty lower-case letters, digits and inner hyphens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slug(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("may have only lower-case letters, digits and inner hyphens, sixty at most")]
pub struct ParseSlugError;

const MAX_LENGTH: usize = 60;

impl Slug {
    /// # Errors
    /// When the text is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Slug, ParseSlugError> {
        let plain = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if text.is_empty() || text.len() > MAX_LENGTH || !plain || text.starts_with('-') || text.ends_with('-') {
            return Err(ParseSlugError);
        }
        Ok(Slug(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
