//! Who has an account.

use chrono::{DateTime, Utc};

use crate::base::ids::PersonId;
use crate::base::{Locale, Viewer};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    #[must_use]
    pub fn parse(text: &str) -> Theme {
        match text {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::System,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

#[derive(Clone)]
pub struct Person {
    pub id: PersonId,
    pub email: String,
    pub name: String,
    pub time_zone: String,
    pub theme: String,
    /// A language tag that [`Locale`] knows.
    pub locale: String,
    pub verified_at: Option<DateTime<Utc>>,
    pub password_hash: Option<String>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Person({})", self.id)
    }
}

impl Person {
    /// How this person reads times.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        Viewer { zone: self.zone(), locale: Locale::parse(&self.locale).unwrap_or_default() }
    }

    /// The zone in which this person reads times; UTC when the stored name is unknown.
    #[must_use]
    pub fn zone(&self) -> chrono_tz::Tz {
        self.time_zone.parse().unwrap_or(chrono_tz::UTC)
    }
}

/// A name as a person gave it: trimmed, without control characters, sixty letters at most.
#[must_use]
pub fn clean_name(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect::<String>().trim().to_owned()
}
