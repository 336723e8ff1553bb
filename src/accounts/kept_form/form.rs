//! What was typed, and what of it is shown.

use chrono::TimeDelta;

use super::words;
use crate::base::Secret;
use crate::base::ids::SessionId;
use crate::base::seal::{SealError, Sealed, Sealer};
use crate::web::form::TOKEN_FIELD;

/// How long a form is kept: long enough to find a phone, and to be sent to a provider and back.
pub const KEPT_FOR: TimeDelta = TimeDelta::minutes(15);
/// Longer forms are not kept. None of ours that needs a step-up is.
pub const MAX_BYTES: usize = 16 * 1024;
/// Of a value that is shown again.
const MAX_SHOWN: usize = 200;
/// What a page may not read back to anybody, and what is worth nothing later.
const NEVER: [&str; 5] = ["password", "code", "credential", "challenge", "api_key"];

/// What was not typed, and tells its person nothing.
const HIDDEN: [&str; 3] = ["id", "fees", TOKEN_FIELD];

/// A form as it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptForm {
    /// The path to which it goes.
    pub action: String,
    /// The page that it came from.
    pub back: String,
    /// With the form's token, which says for which organization it was made.
    pub fields: Vec<(String, String)>,
}

impl KeptForm {
    /// `None` for a form that is nothing but its button, or has in it what is not kept. A field for that which was left empty is
    /// left out.
    #[must_use]
    pub fn of(action: &str, back: &str, mut fields: Vec<(String, String)>) -> Option<KeptForm> {
        let is_secret = |name: &str| NEVER.iter().any(|never| name.contains(never));
        fields.retain(|(name, value)| !(value.is_empty() && is_secret(name)));
        let secret = fields.iter().any(|(name, _)| is_secret(name));
        let typed = fields.iter().any(|(name, value)| name != TOKEN_FIELD && !value.is_empty());
        (typed && !secret).then(|| KeptForm { action: action.to_owned(), back: back.to_owned(), fields })
    }

    /// What its person typed, for them to see again, in the words of the page that they typed it into.
    #[must_use]
    pub fn shown(&self) -> Vec<(String, String)> {
        let worth = |(name, value): &&(String, String)| {
            !value.is_empty() && !HIDDEN.contains(&name.as_str()) && !name.ends_with("_id")
        };
        let cut = |value: String| value.chars().take(MAX_SHOWN).collect::<String>();
        let told = |(name, value): &(String, String)| (words::label(name), cut(words::value(name, value)));
        self.fields.iter().filter(worth).map(told).collect()
    }

    /// # Errors
    /// `Seal`, which does not happen.
    pub fn seal(&self, sealer: &Sealer, session: SessionId) -> Result<Sealed, SealError> {
        let text = serde_urlencoded::to_string(&self.fields).map_err(|_| SealError::Seal)?;
        sealer.seal(&purpose(session), &Secret::new(text))
    }

    /// # Errors
    /// `OtherKey` or `Damaged`.
    pub fn open(
        sealer: &Sealer,
        session: SessionId,
        (action, back): (String, String),
        sealed: &Sealed,
    ) -> Result<KeptForm, SealError> {
        let text = sealer.open(&purpose(session), sealed)?;
        let fields = serde_urlencoded::from_str(text.expose()).map_err(|_| SealError::Damaged)?;
        Ok(KeptForm { action, back, fields })
    }
}

fn purpose(session: SessionId) -> String {
    format!("kept_form:{session}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Option<KeptForm> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        KeptForm::of("/there", "/here", fields)
    }

    #[test]
    fn only_what_was_typed_and_is_no_secret_is_kept() {
        for nothing in [&[][..], &[("name", "")], &[("csrf_token", "me.00")]] {
            assert!(form(nothing).is_none(), "there is nothing to lose");
        }
        for secret in ["password", "new_password", "code", "credential", "api_key"] {
            assert!(form(&[("name", "Ada"), (secret, "x")]).is_none(), "{secret}");
            let kept = form(&[("name", "Ada"), (secret, "")]).unwrap_or_else(|| panic!("kept"));
            assert_eq!(kept.fields, [("name".to_owned(), "Ada".to_owned())], "{secret}");
        }
        let kept = form(&[("csrf_token", "me.00"), ("id", "key_1"), ("cap_month", "12.50"), ("note", "")])
            .unwrap_or_else(|| panic!("kept"));
        assert_eq!(kept.shown(), [("At most in a month".to_owned(), "$12.50".to_owned())]);
    }

    #[test]
    fn it_opens_for_its_session_only() {
        let sealer = Sealer::new(&Secret::new([1; 32]));
        let (one, other) = (SessionId::fresh(), SessionId::fresh());
        let kept = form(&[("a", "ü & =")]).unwrap_or_else(|| panic!("kept"));
        let sealed = kept.seal(&sealer, one).unwrap_or_else(|error| panic!("{error}"));
        let paths = || ("/there".to_owned(), "/here".to_owned());
        assert_eq!(KeptForm::open(&sealer, one, paths(), &sealed), Ok(kept));
        assert_eq!(KeptForm::open(&sealer, other, paths(), &sealed), Err(SealError::Damaged));
    }
}
