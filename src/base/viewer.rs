//! Who looks at a page, as far as moments are written for them.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// The English that somebody reads, which decides how dates and times are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Locale {
    UnitedStates,
    /// Also of whoever never chose, and of pages for nobody in particular.
    #[default]
    UnitedKingdom,
}

impl Locale {
    pub const ALL: [Locale; 2] = [Locale::UnitedStates, Locale::UnitedKingdom];

    /// Reads a stored or sent language tag. `None` for one that is not offered.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Locale> {
        Locale::ALL.into_iter().find(|locale| locale.tag() == tag)
    }

    /// The language tag (BCP 47), as it is stored and as `lang` of a page.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Locale::UnitedStates => "en-US",
            Locale::UnitedKingdom => "en-GB",
        }
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Locale::UnitedStates => "English (United States)",
            Locale::UnitedKingdom => "English (United Kingdom)",
        }
    }

    /// A day without its year, such as `23 Nov`, as chrono writes it. So are the patterns below.
    #[must_use]
    pub const fn short_day(self) -> &'static str {
        match self {
            Locale::UnitedStates => "%b %-d",
            Locale::UnitedKingdom => "%-d %b",
        }
    }

    /// A day of the week with its date, such as `Mon 23 Nov`.
    #[must_use]
    pub const fn weekday(self) -> &'static str {
        match self {
            Locale::UnitedStates => "%a, %b %-d",
            Locale::UnitedKingdom => "%a %-d %b",
        }
    }

    /// A day, such as `23 Nov 2026`.
    #[must_use]
    pub const fn day(self) -> &'static str {
        match self {
            Locale::UnitedStates => "%b %-d, %Y",
            Locale::UnitedKingdom => "%-d %b %Y",
        }
    }

    /// A time of day to the minute, such as `14:05`.
    #[must_use]
    pub const fn time(self) -> &'static str {
        match self {
            Locale::UnitedStates => "%-I:%M %p",
            Locale::UnitedKingdom => "%H:%M",
        }
    }

    /// A time of day to the second.
    #[must_use]
    pub const fn seconds(self) -> &'static str {
        match self {
            Locale::UnitedStates => "%-I:%M:%S %p",
            Locale::UnitedKingdom => "%H:%M:%S",
        }
    }
}

/// The zone and the form in which somebody reads moments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Viewer {
    pub zone: Tz,
    pub locale: Locale,
}

impl Viewer {
    /// Nobody in particular.
    pub const ANYBODY: Viewer = Viewer { zone: Tz::UTC, locale: Locale::UnitedKingdom };

    /// A moment without its year: `23 Nov, 14:05`.
    #[must_use]
    pub fn short(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.short_day(), ", ", self.locale.time()])
    }

    /// A moment: `23 Nov 2026, 14:05`.
    #[must_use]
    pub fn moment(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.day(), ", ", self.locale.time()])
    }

    /// A moment with the name of its zone: `23 Nov 2026, 14:05 UTC`.
    #[must_use]
    pub fn moment_in_zone(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.day(), ", ", self.locale.time(), " %Z"])
    }

    /// A moment to the second, with its zone.
    #[must_use]
    pub fn exact(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.day(), ", ", self.locale.seconds(), " %Z"])
    }

    /// A day: `23 Nov 2026`.
    #[must_use]
    pub fn day(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.day()])
    }

    /// A day with its zone: `23 Nov 2026, UTC`.
    #[must_use]
    pub fn day_in_zone(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.day(), ", %Z"])
    }

    /// A day without its year: `23 Nov`.
    #[must_use]
    pub fn short_day(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.short_day()])
    }

    /// A time of day: `14:05`.
    #[must_use]
    pub fn time(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.time()])
    }

    /// A time of day with its zone: `14:05 UTC`.
    #[must_use]
    pub fn time_in_zone(self, at: DateTime<Utc>) -> String {
        self.write(at, &[self.locale.time(), " %Z"])
    }

    fn write(self, at: DateTime<Utc>, parts: &[&str]) -> String {
        at.with_timezone(&self.zone).format(&parts.concat()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_its_reader_writes_it() {
        let at: DateTime<Utc> = "2026-11-03T14:05:09Z".parse().expect("a time");
        let (us, uk) = Locale::ALL.map(|locale| Viewer { locale, zone: Tz::UTC }).into();
        assert_eq!((us.moment(at), uk.moment(at)), ("Nov 3, 2026, 2:05 PM".into(), "3 Nov 2026, 14:05".into()));
        assert_eq!((us.short(at), uk.short(at)), ("Nov 3, 2:05 PM".into(), "3 Nov, 14:05".into()));
        assert_eq!(us.exact(at), "Nov 3, 2026, 2:05:09 PM UTC");
        assert_eq!(uk.exact(at), "3 Nov 2026, 14:05:09 UTC");
        let midnight = "2026-11-03T00:00:00Z".parse().expect("a time");
        assert_eq!((us.time(midnight), uk.time(midnight)), ("12:00 AM".into(), "00:00".into()));
        let berlin = Viewer { zone: Tz::Europe__Berlin, ..us };
        assert_eq!(berlin.moment_in_zone(at), "Nov 3, 2026, 3:05 PM CET");
    }

    #[test]
    fn a_tag_reads_back_and_nothing_else_does() {
        for locale in Locale::ALL {
            assert_eq!(Locale::parse(locale.tag()), Some(locale));
        }
        assert_eq!(Locale::parse("en"), None);
        assert_eq!(Locale::default(), Viewer::ANYBODY.locale);
    }
}
