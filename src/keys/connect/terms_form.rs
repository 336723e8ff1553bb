//! What the page asks before an app gets a key.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::code::Terms;
use crate::base::Usd;
use crate::keys::key::KeyName;
use crate::ledger::Limits;
use crate::web::views::{Choice, Field};

/// What an app may spend unless whoever consents says otherwise: enough to try it, little enough to lose.
const DEFAULT_LIMIT: &str = "10";
const DEFAULT_LIFETIME: &str = "90d";
/// The word, the label, and days.
const LIFETIMES: [(&str, &str, Option<i64>); 5] = [
    ("7d", "In 7 days", Some(7)),
    ("30d", "In 30 days", Some(30)),
    ("90d", "In 90 days", Some(90)),
    ("365d", "In a year", Some(365)),
    ("never", "Never", None),
];
/// The word, the label and the note.
const RESETS: [(&str, &str, &str); 4] = [
    ("never", "Never", "One budget in all"),
    ("daily", "Each day", "00:00 UTC"),
    ("weekly", "Each week", "Monday, 00:00 UTC"),
    ("monthly", "Each month", "On the 1st, 00:00 UTC"),
];

#[derive(Clone, Deserialize)]
pub struct TermsForm {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub limit: String,
    #[serde(default)]
    pub reset: String,
    #[serde(default)]
    pub expires: String,
}

/// The fields with what is wrong beside them.
pub struct Mistakes {
    pub name: Field,
    pub limit: Field,
}

impl TermsForm {
    /// The form as it is shown first: what the app proposes, as far as it makes sense, and careful defaults.
    #[must_use]
    pub fn proposed(name: &str, limit: Option<&str>, reset: Option<&str>) -> TermsForm {
        let sensible = limit.filter(|text| Usd::parse(text).is_ok_and(Usd::is_positive));
        TermsForm {
            name: KeyName::parse(name).map(|name| name.as_str().to_owned()).unwrap_or_default(),
            limit: sensible.unwrap_or(DEFAULT_LIMIT).to_owned(),
            reset: reset.unwrap_or("never").to_owned(),
            expires: DEFAULT_LIFETIME.to_owned(),
        }
    }

    /// # Errors
    /// The mistakes, by field. A choice that is not offered counts as the most careful one.
    pub fn read(&self, now: DateTime<Utc>) -> Result<Terms, Mistakes> {
        match (KeyName::parse(&self.name), self.read_limit()) {
            (Ok(name), Ok(limit)) => Ok(Terms { name, limits: self.limits(limit), expires_at: self.expires_at(now) }),
            (name, limit) => Err(Mistakes {
                name: Field::wrong(&self.name, name.err().map(|error| format!("The key {error}.")).unwrap_or_default()),
                limit: Field::wrong(&self.limit, limit.err().unwrap_or_default()),
            }),
        }
    }

    /// Blank is no limit.
    fn read_limit(&self) -> Result<Option<Usd>, String> {
        if self.limit.trim().is_empty() {
            return Ok(None);
        }
        match Usd::parse(&self.limit) {
            Ok(limit) if limit.is_positive() => Ok(Some(limit)),
            Ok(_) => Err("A limit is more than nothing, such as 10 or 2.50. Leave it blank for none.".to_owned()),
            Err(error) => Err(format!("This {error}.")),
        }
    }

    fn limits(&self, limit: Option<Usd>) -> Limits {
        let none = Limits::default();
        match self.reset.as_str() {
            "daily" => Limits { day: limit, ..none },
            "weekly" => Limits { week: limit, ..none },
            "monthly" => Limits { month: limit, ..none },
            _ => Limits { total: limit, ..none },
        }
    }

    fn expires_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = LIFETIMES.iter().find(|(word, ..)| *word == self.expires).or(LIFETIMES.first());
        found.and_then(|(_, _, days)| *days).map(|days| now + TimeDelta::days(days))
    }

    #[must_use]
    pub fn reset_choices(&self) -> Vec<Choice> {
        let known = RESETS.iter().any(|(word, ..)| *word == self.reset);
        RESETS
            .map(|(word, label, note)| {
                Choice::new(word, label, note, word == self.reset || (!known && word == "never"))
            })
            .to_vec()
    }

    #[must_use]
    pub fn expiry_choices(&self) -> Vec<Choice> {
        LIFETIMES.map(|(word, label, _)| Choice::new(word, label, "", word == self.expires)).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_cannot_propose_more_than_a_person_reads() {
        let form = TermsForm::proposed("  My app ", Some("25"), Some("monthly"));
        let terms = form.read(DateTime::UNIX_EPOCH).ok().expect("terms");
        assert_eq!(terms.limits, Limits { month: Some(Usd::from_cents(2_500)), ..Limits::default() });
        assert_eq!(terms.expires_at, Some(DateTime::UNIX_EPOCH + TimeDelta::days(90)));
        for odd in [None, Some("-1"), Some("0"), Some("all of it"), Some("")] {
            assert_eq!(TermsForm::proposed("a", odd, None).limit, DEFAULT_LIMIT, "{odd:?}");
        }
        let form = TermsForm { expires: "eternity".into(), reset: "x".into(), ..form };
        let terms = form.read(DateTime::UNIX_EPOCH).ok().expect("terms");
        assert_eq!(terms.expires_at, Some(DateTime::UNIX_EPOCH + TimeDelta::days(7)), "the shortest");
        assert!(terms.limits.total.is_some());
    }
}
