//! The text of a code: `FARE-` and five groups of four characters out of 32, the last one a check character.
//!
//! Nineteen characters carry 95 random bits. The check character is the value that makes the whole, read as a polynomial
//! over the field of 32 elements, zero at a primitive element. So any one wrong character, and any two that changed places,
//! is told from a code that is not there, without looking into the database.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::Secret;
use crate::base::secret::{Digest, random_bytes};

const PREFIX: &str = "FARE";
/// Without I, L, O and U: nobody has to tell them from 1, 0 and V.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const RANDOM: usize = 19;
const LENGTH: usize = RANDOM + 1;
const GROUP: usize = 4;
/// A code in the widest writing is far shorter; anything longer is not looked at.
const MAX_INPUT: usize = 80;

/// What is wrong with a text that should be a code. It says nothing about any code that exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodeError {
    #[error("A code is FARE and five groups of four characters, like FARE-8K2D-….")]
    Shape,
    #[error("There is a typing mistake in this code. Compare it with where you have it from.")]
    Typo,
}

/// A whole code. It has no `Display`: showing one is a deliberate act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlainCode(Secret<[u8; LENGTH]>);

impl PlainCode {
    #[must_use]
    pub fn fresh() -> PlainCode {
        let mut values = [0; LENGTH];
        // 256 is a multiple of 32, so every value is as likely as any other.
        for (value, byte) in values.iter_mut().zip(random_bytes()).take(RANDOM) {
            *value = byte % 32;
        }
        let (random, last) = values.split_at_mut(RANDOM);
        if let Some(check) = last.first_mut() {
            *check = times_alpha(fold(random));
        }
        PlainCode(Secret::new(values))
    }

    /// Reads what somebody typed or pasted: in either case, with or without the prefix, spaces and dashes of any kind,
    /// and with letters that are no part of the alphabet because they look like others.
    ///
    /// # Errors
    /// `Shape` for what is no code, `Typo` where the check character does not fit.
    pub fn parse(text: &str) -> Result<PlainCode, CodeError> {
        if text.len() > MAX_INPUT {
            return Err(CodeError::Shape);
        }
        let letters: String = text.chars().filter(|c| !is_separator(*c)).collect::<String>().to_uppercase();
        let body = match letters.strip_prefix(PREFIX) {
            Some(rest) if letters.len() == PREFIX.len() + LENGTH => rest,
            _ => letters.as_str(),
        };
        let values: Option<Vec<u8>> = body.chars().map(value).collect();
        let values: [u8; LENGTH] = values.and_then(|values| values.try_into().ok()).ok_or(CodeError::Shape)?;
        if fold(&values) == 0 { Ok(PlainCode(Secret::new(values))) } else { Err(CodeError::Typo) }
    }

    /// For the one moment in which it is shown: `FARE-XXXX-XXXX-XXXX-XXXX-XXXX`.
    #[must_use]
    pub fn reveal(&self) -> String {
        let mut text = PREFIX.to_owned();
        for group in self.0.expose().chunks(GROUP) {
            text.push('-');
            text.extend(group.iter().map(|value| letter(*value)));
        }
        text
    }

    /// The last group: enough to tell one's codes apart, too little to use one.
    #[must_use]
    pub fn ending(&self) -> String {
        self.0.expose().iter().skip(LENGTH - GROUP).map(|value| letter(*value)).collect()
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '_' | '.' | '\u{200b}' | '\u{feff}')
}

fn letter(value: u8) -> char {
    ALPHABET.get(usize::from(value)).copied().map_or('?', char::from)
}

fn value(letter: char) -> Option<u8> {
    let plain = match letter {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    let place = ALPHABET.iter().position(|known| char::from(*known) == plain)?;
    u8::try_from(place).ok()
}

/// Multiplies by the element alpha of the field of 32 elements, where `alpha^5 = alpha^2 + 1`.
const fn times_alpha(value: u8) -> u8 {
    let doubled = value << 1;
    if doubled & 0b10_0000 == 0 { doubled } else { doubled ^ 0b10_0101 }
}

/// The value of the polynomial at alpha, whose powers are all different for so few characters.
fn fold(values: &[u8]) -> u8 {
    values.iter().fold(0, |sum, value| times_alpha(sum) ^ value)
}

/// What the key of the digests is derived for.
pub const KEY_PURPOSE: &str = "redemption codes";

/// The key under which digests of codes are made. With another one, no code that exists is found.
#[derive(Clone, Debug)]
pub struct CodeKey(Secret<[u8; 32]>);

impl CodeKey {
    #[must_use]
    pub fn new(key: Secret<[u8; 32]>) -> CodeKey {
        CodeKey(key)
    }

    /// What is kept of a code.
    ///
    /// # Errors
    /// Does not happen: a key of any length makes a digest.
    pub fn digest(&self, code: &PlainCode) -> anyhow::Result<Digest> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose())?;
        mac.update(code.0.expose());
        Digest::from_bytes(&mac.finalize().into_bytes()).ok_or_else(|| anyhow::anyhow!("a digest has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_however_it_is_written() {
        let code = PlainCode::fresh();
        let text = code.reveal();
        assert_eq!(text.len(), 29, "{text}");
        let bare: String = text.chars().filter(|c| *c != '-').collect();
        for written in [
            text.clone(),
            text.to_lowercase(),
            bare.clone(),
            bare[4..].to_owned(),
            format!("  {}\u{a0}\n", text.replace('-', " ")),
            text.replace('-', "\u{2013}"),
            text.replace('-', ""),
            text.replace('0', "o").replace('1', "l"),
            text.replace('0', "O").replace('1', "I"),
        ] {
            assert_eq!(PlainCode::parse(&written), Ok(code.clone()), "{written:?}");
        }
        assert!(text.ends_with(&code.ending()));
    }

    #[test]
    fn a_code_that_begins_like_the_prefix_reads_back_without_it() {
        let mut values = [0; LENGTH];
        for (at, letter) in "FARE".chars().enumerate() {
            values[at] = value(letter).expect("a letter of the alphabet");
        }
        values[RANDOM] = times_alpha(fold(&values[..RANDOM]));
        let code = PlainCode(Secret::new(values));
        let text = code.reveal();
        assert!(text.starts_with("FARE-FARE-"), "{text}");
        assert_eq!(PlainCode::parse(&text), Ok(code.clone()));
        assert_eq!(PlainCode::parse(text.strip_prefix("FARE-").unwrap_or_default()), Ok(code));
    }

    #[test]
    fn every_wrong_letter_and_every_swap_is_a_typing_mistake() {
        let code = PlainCode::fresh();
        let values = *code.0.expose();
        for place in 0..LENGTH {
            for other in (0..32).filter(|other| *other != values[place]) {
                let mut wrong = values;
                wrong[place] = other;
                let text = PlainCode(Secret::new(wrong)).reveal();
                assert_eq!(PlainCode::parse(&text), Err(CodeError::Typo), "{place}");
            }
            for second in (0..LENGTH).filter(|second| values[*second] != values[place]) {
                let mut wrong = values;
                wrong.swap(place, second);
                let text = PlainCode(Secret::new(wrong)).reveal();
                assert_eq!(PlainCode::parse(&text), Err(CodeError::Typo), "{place} and {second}");
            }
        }
    }

    #[test]
    fn nothing_else_is_a_code() {
        let text = PlainCode::fresh().reveal();
        for wrong in [
            "",
            "FARE",
            "FARE-",
            &text[..28],
            &format!("{text}0"),
            &text.replacen('-', "-U", 1),
            &"é".repeat(20),
            &"0".repeat(500),
        ] {
            assert_eq!(PlainCode::parse(wrong), Err(CodeError::Shape), "{wrong:?}");
        }
    }

    #[test]
    fn the_digest_depends_on_the_key_and_the_code_and_nothing_is_printed() {
        let (one, two) = (PlainCode::fresh(), PlainCode::fresh());
        let ours = CodeKey::new(Secret::new([1; 32]));
        let theirs = CodeKey::new(Secret::new([2; 32]));
        let digest = |key: &CodeKey, code| key.digest(code).map(|digest| digest.to_hex()).unwrap_or_default();
        assert_eq!(digest(&ours, &one), digest(&ours, &one));
        assert_ne!(digest(&ours, &one), digest(&ours, &two));
        assert_ne!(digest(&ours, &one), digest(&theirs, &one));
        assert!(!format!("{one:?} {ours:?}").contains(&one.ending()));
    }
}
