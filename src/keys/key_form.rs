//! What the form for a new key asks, and how it is read.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::issue::NewKey;
use super::key::{KeyKind, KeyName};
use crate::base::Usd;
use crate::ledger::Limits;
use crate::web::views::{Choice, Field};

/// The fields as they were sent.
#[derive(Clone, Default, Deserialize)]
pub struct KeyForm {
    /// The id that the key will have.
    pub id: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub limit: String,
    #[serde(default)]
    pub reset: String,
    #[serde(default)]
    pub expires: String,
}

/// When a limit starts again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    Never,
    Daily,
    Weekly,
    Monthly,
}

impl Reset {
    const ALL: [Reset; 4] = [Reset::Never, Reset::Daily, Reset::Weekly, Reset::Monthly];

    const fn word(self) -> &'static str {
        match self {
            Reset::Never => "never",
            Reset::Daily => "daily",
            Reset::Weekly => "weekly",
            Reset::Monthly => "monthly",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Reset::Never => "Never",
            Reset::Daily => "Each day",
            Reset::Weekly => "Each week",
            Reset::Monthly => "Each month",
        }
    }

    const fn note(self) -> &'static str {
        match self {
            Reset::Never => "One budget in all",
            Reset::Daily => "00:00 UTC",
            Reset::Weekly => "Monday, 00:00 UTC",
            Reset::Monthly => "On the 1st, 00:00 UTC",
        }
    }

    /// For the page that shows the new key.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Reset::Never => self.label().to_owned(),
            _ => format!("{}, {}", self.label(), self.note()),
        }
    }

    fn limits(self, limit: Option<Usd>) -> Limits {
        let none = Limits::default();
        match self {
            Reset::Never => Limits { total: limit, ..none },
            Reset::Daily => Limits { day: limit, ..none },
            Reset::Weekly => Limits { week: limit, ..none },
            Reset::Monthly => Limits { month: limit, ..none },
        }
    }
}

/// Lifetimes that are offered: the word, the label, and days.
const LIFETIMES: [(&str, &str, Option<i64>); 6] = [
    ("never", "Never", None),
    ("1d", "In a day", Some(1)),
    ("7d", "In 7 days", Some(7)),
    ("30d", "In 30 days", Some(30)),
    ("90d", "In 90 days", Some(90)),
    ("365d", "In a year", Some(365)),
];

/// A form without mistakes.
pub struct Asked {
    pub new: NewKey,
    pub limit: Option<Usd>,
    pub reset: Reset,
}

/// The fields with what is wrong beside them.
pub struct Mistakes {
    pub name: Field,
    pub limit: Field,
}

impl KeyForm {
    /// # Errors
    /// The mistakes, by field. A choice that is not offered counts as the first one.
    pub fn read(&self, now: DateTime<Utc>) -> Result<Asked, Mistakes> {
        let (name, limit) = (KeyName::parse(&self.name), self.read_limit());
        let (name, limit) = match (name, limit) {
            (Ok(name), Ok(limit)) => (name, limit),
            (name, limit) => {
                let name = name.err().map(|error| format!("The key {error}. No key was made."));
                return Err(Mistakes {
                    name: Field::wrong(&self.name, name.unwrap_or_default()),
                    limit: Field::wrong(&self.limit, limit.err().unwrap_or_default()),
                });
            }
        };
        let reset = self.reset();
        let days = self.lifetime().and_then(|(_, _, days)| days);
        let new = NewKey {
            limits: reset.limits(limit),
            expires_at: days.map(|days| now + TimeDelta::days(days)),
            ..NewKey::named(name, KeyKind::Inference)
        };
        Ok(Asked { new, limit, reset })
    }

    /// Blank is no limit.
    fn read_limit(&self) -> Result<Option<Usd>, String> {
        if self.limit.trim().is_empty() {
            return Ok(None);
        }
        let limit = Usd::parse(&self.limit).map_err(|error| format!("This {error}. No key was made."))?;
        if limit.is_positive() {
            return Ok(Some(limit));
        }
        Err("A limit is more than nothing, such as 10 or 2.50. Leave it blank for none. No key was made.".to_owned())
    }

    fn reset(&self) -> Reset {
        Reset::ALL.into_iter().find(|reset| reset.word() == self.reset).unwrap_or(Reset::Never)
    }

    fn lifetime(&self) -> Option<(&'static str, &'static str, Option<i64>)> {
        LIFETIMES.into_iter().find(|(word, _, _)| *word == self.expires)
    }

    #[must_use]
    pub fn reset_choices(&self) -> Vec<Choice> {
        let chosen = self.reset();
        Reset::ALL.map(|one| Choice::new(one.word(), one.label(), one.note(), one == chosen)).to_vec()
    }

    #[must_use]
    pub fn expiry_choices(&self) -> Vec<Choice> {
        let chosen = self.lifetime().map_or("never", |(word, _, _)| word);
        LIFETIMES.map(|(word, label, _)| Choice::new(word, label, "", word == chosen)).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(name: &str, limit: &str, reset: &str, expires: &str) -> KeyForm {
        KeyForm {
            id: String::new(),
            name: name.into(),
            limit: limit.into(),
            reset: reset.into(),
            expires: expires.into(),
        }
    }

    #[test]
    fn a_limit_stands_on_the_window_that_was_chosen() {
        let now = DateTime::UNIX_EPOCH;
        let asked = form(" Laptop ", "$2.50", "weekly", "7d").read(now).ok().expect("no mistakes");
        assert_eq!(asked.new.limits, Limits { week: Some(Usd::from_cents(250)), ..Limits::default() });
        assert_eq!(asked.new.name.as_str(), "Laptop");
        assert_eq!(asked.new.expires_at, Some(now + TimeDelta::days(7)));
        let asked = form("Laptop", " ", "weekly", "never").read(now).ok().expect("no mistakes");
        assert_eq!((asked.new.limits, asked.new.expires_at), (Limits::default(), None));
    }

    #[test]
    fn each_mistake_is_told_beside_its_field() {
        for limit in ["0", "-1", "ten", "0.0000000000001"] {
            let wrong = form("", limit, "", "").read(DateTime::UNIX_EPOCH).err().expect("mistakes");
            assert!(!wrong.name.error.is_empty() && !wrong.limit.error.is_empty(), "{limit}");
            assert_eq!(wrong.limit.value, limit);
        }
        let wrong = form("a", "x", "", "").read(DateTime::UNIX_EPOCH).err().expect("a mistake");
        assert!(wrong.name.error.is_empty());
    }
}
