//! A provider's key as somebody pastes it.

use crate::base::Secret;

/// Shorter ones are slips of the hand, longer ones are no keys.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=2_048;
/// Characters at both ends that pages show, of keys that are long enough for it.
const SHOWN: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseProviderKeyError {
    #[error("Paste the key that your provider gave you.")]
    Empty,
    #[error("A key has 8 to 2,048 characters. Copy it anew from your provider.")]
    Length,
    #[error("A key has no spaces or other special characters inside. Copy it anew from your provider.")]
    Characters,
}

/// Debug output is empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlainProviderKey(Secret<String>);

impl PlainProviderKey {
    /// # Errors
    /// Says what is wrong with it, and never repeats it.
    pub fn parse(text: &str) -> Result<PlainProviderKey, ParseProviderKeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParseProviderKeyError::Empty);
        }
        if !LENGTHS.contains(&text.len()) {
            return Err(ParseProviderKeyError::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ParseProviderKeyError::Characters);
        }
        Ok(PlainProviderKey(Secret::new(text.to_owned())))
    }

    pub(super) fn secret(&self) -> &Secret<String> {
        &self.0
    }

    /// The key with its middle left out. At most a third of it is shown.
    #[must_use]
    pub fn label(&self) -> String {
        let text = self.0.expose();
        let shown = SHOWN.min(text.len() / 6);
        let (head, tail) = (text.get(..shown).unwrap_or_default(), text.get(text.len() - shown..).unwrap_or_default());
        format!("{head}…{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trimmed_checked_and_shown_by_its_ends() {
        let key = PlainProviderKey::parse(" sk-proj-0123456789abcdefXYZ9\n").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(key.label(), "sk-p…XYZ9");
        assert_eq!(format!("{key:?}"), "PlainProviderKey([hidden])");
        let label = |text: &str| PlainProviderKey::parse(text).map(|key| key.label());
        assert_eq!(label("abcdefgh"), Ok("a…h".to_owned()));
        assert_eq!(label("  "), Err(ParseProviderKeyError::Empty));
        assert_eq!(label("short"), Err(ParseProviderKeyError::Length));
        assert_eq!(label("two words are no key"), Err(ParseProviderKeyError::Characters));
        assert_eq!(label("sk-\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"), Err(ParseProviderKeyError::Characters));
    }
}
