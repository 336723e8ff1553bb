//! Recovery codes: ten, each good for one sign-in without the app.

use crate::base::ids::PersonId;
use crate::base::secret::{Digest, random_bytes};

/// As many as there are in a set.
pub const COUNT: usize = 10;
/// Without letters and digits that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
const LETTERS: usize = 16;
const GROUP: usize = 4;

/// A fresh set, to be shown once. Not `Debug`: these are secrets.
pub struct RecoveryCodes(pub Vec<String>);

impl RecoveryCodes {
    #[must_use]
    pub fn fresh() -> RecoveryCodes {
        RecoveryCodes((0..COUNT).map(|_| fresh_code()).collect())
    }
}

fn fresh_code() -> String {
    // Five bits of each byte, so that every letter is as likely as its place in the alphabet.
    let letters: Vec<char> =
        random_bytes().iter().take(LETTERS).map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
    letters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// What is stored of a code. `None` for what no code can be.
#[must_use]
pub fn digest(person: PersonId, text: &str) -> Option<Digest> {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .take(LETTERS + 1)
        .flat_map(char::to_lowercase)
        .collect();
    let possible = plain.len() == LETTERS && plain.bytes().all(|b| ALPHABET.contains(&b));
    possible.then(|| Digest::of(format!("recovery code of {person}: {plain}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_in_any_way_and_belongs_to_one_person() {
        let (ada, eve) = (PersonId::fresh(), PersonId::fresh());
        let RecoveryCodes(codes) = RecoveryCodes::fresh();
        assert_eq!(codes.len(), COUNT);
        for code in &codes {
            let typed = format!(" {} ", code.to_uppercase().replace('-', " "));
            assert_eq!(digest(ada, code), digest(ada, &typed));
            assert_ne!(digest(ada, code), digest(eve, code));
        }
        assert_ne!(codes[0], codes[1]);
        assert_eq!(digest(ada, "123456"), None);
        assert_eq!(digest(ada, &format!("{}a", codes[0])), None);
    }
}
