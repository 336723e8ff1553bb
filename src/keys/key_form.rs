//! What the forms for a key ask, and how they are read.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::Deserialize;

use super::edit::Changes;
use super::issue::NewKey;
use super::key::{KeyKind, KeyName};
use super::rules::{Models, Networks, PerMinute, Rules};
use crate::activity::start_of_day;
use crate::base::ids::KeyId;
use crate::base::slug::Slug;
use crate::base::{Usd, Viewer};
use crate::ledger::Limits;
use crate::presets::Status;
use crate::web::views::keys::KeyFields;
use crate::web::views::{Choice, Field};

/// The fields as they were sent.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct KeyForm {
    /// The id that a new key will have.
    pub id: String,
    /// When the key was last changed, as whoever edits it saw it.
    pub seen: String,
    pub name: String,
    pub total: String,
    pub day: String,
    pub week: String,
    pub month: String,
    pub byok: String,
    pub expires: String,
    pub expires_on: String,
    /// Ids of models, and below them networks, with spaces, commas or new lines between.
    pub models: String,
    pub networks: String,
    pub per_minute: String,
    pub preset: String,
    /// For how long a link to claim the key works.
    pub lasts: String,
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
/// A day that is chosen beside it.
const ON: &str = "on";
/// An edited key ends when it did before.
const KEEP: &str = "keep";

/// For how long a link to claim a key may work: the word, the label, and days.
const LINKS: [(&str, &str, i64); 4] =
    [("1d", "A day", 1), ("3d", "3 days", 3), ("7d", "7 days", 7), ("30d", "30 days", 30)];

/// A form that was opened longer ago makes no key, and so does an id that was not made for a form at all: a key's id is its place
/// in lists, the newest first.
const FORM_DAYS: i64 = 2;

/// How far the clock of the node that made the form may be ahead.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(10);

/// Why a form makes no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormIdError {
    #[error("The form is damaged.")]
    Damaged,
    #[error("This form was opened more than two days ago, so nothing was made. Open it again.")]
    Old,
}

/// A form without mistakes.
pub struct Asked {
    pub name: KeyName,
    pub limits: Limits,
    pub include_byok: bool,
    pub expires_at: Option<DateTime<Utc>>,
    pub rules: Rules,
}

impl Asked {
    #[must_use]
    pub fn into_new(self) -> NewKey {
        NewKey {
            limits: self.limits,
            include_byok: self.include_byok,
            expires_at: self.expires_at,
            rules: self.rules,
            ..NewKey::named(self.name, KeyKind::Inference)
        }
    }

    #[must_use]
    pub fn into_changes(self) -> Changes {
        Changes {
            name: Some(self.name),
            limits: Some(self.limits),
            include_byok: Some(self.include_byok),
            expires_at: Some(self.expires_at),
            models: Some(self.rules.models),
            networks: Some(self.rules.networks),
            per_minute: Some(self.rules.per_minute),
            preset: Some(self.rules.preset),
        }
    }
}

/// What a form is read against.
pub struct Reading<'a> {
    pub now: DateTime<Utc>,
    pub viewer: Viewer,
    /// Whether there is a model of this id.
    pub knows: &'a dyn Fn(&str) -> bool,
    /// The preset that the form names, as it is; `None` where there is none of that name.
    pub preset: Option<Status>,
    /// The end that an edited key has; `None` for a new one.
    pub kept: Option<Option<DateTime<Utc>>>,
    /// What every mistake ends with, such as `No key was made.`
    pub undone: &'static str,
}

/// What is wrong, by the name of its field.
#[derive(Default, Debug)]
pub struct Mistakes(Vec<(&'static str, String)>);

impl Mistakes {
    fn take<T: Default>(&mut self, field: &'static str, undone: &str, read: Result<T, String>) -> T {
        read.unwrap_or_else(|wrong| {
            self.0.push((field, format!("{wrong} {undone}")));
            T::default()
        })
    }

    fn of(&self, field: &str) -> String {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

impl KeyForm {
    /// The id that the new key will have, which was made when the form was opened.
    ///
    /// # Errors
    /// See [`FormIdError`].
    pub fn new_id(&self, now: DateTime<Utc>) -> Result<KeyId, FormIdError> {
        let id: KeyId = self.id.parse().map_err(|_| FormIdError::Damaged)?;
        let age = now - id.moment();
        if age > TimeDelta::days(FORM_DAYS) || age < -CLOCKS_APART { Err(FormIdError::Old) } else { Ok(id) }
    }

    /// # Errors
    /// The mistakes, by field. A choice that is not offered counts as the first one.
    pub fn read(&self, against: &Reading<'_>) -> Result<Asked, Mistakes> {
        let (mut wrong, undone) = (Mistakes::default(), against.undone);
        let name = KeyName::parse(&self.name).map(Some).map_err(|error| format!("The key {error}."));
        let name = wrong.take("name", undone, name);
        let limits = self.read_limits(&mut wrong, undone);
        let expires_at = wrong.take("expires_on", undone, self.end(against));
        let rules = Rules {
            models: wrong.take("models", undone, self.read_models(against.knows)),
            networks: wrong.take("networks", undone, networks(&self.networks)),
            per_minute: wrong.take("per_minute", undone, per_minute(&self.per_minute)),
            preset: wrong.take("preset", undone, bound(&self.preset, against.preset)),
        };
        match name {
            Some(name) if wrong.0.is_empty() => {
                Ok(Asked { name, limits, include_byok: !self.byok.is_empty(), expires_at, rules })
            }
            _ => Err(wrong),
        }
    }

    fn read_limits(&self, wrong: &mut Mistakes, undone: &str) -> Limits {
        Limits {
            total: wrong.take("total", undone, dollars(&self.total)),
            day: wrong.take("day", undone, dollars(&self.day)),
            week: wrong.take("week", undone, dollars(&self.week)),
            month: wrong.take("month", undone, dollars(&self.month)),
        }
    }

    /// Whether its end is one of those that are offered; that of before only where there is one.
    #[must_use]
    pub fn names_an_end(&self, against: &Reading<'_>) -> bool {
        (self.expires == KEEP && against.kept.is_some())
            || self.expires == ON
            || LIFETIMES.iter().any(|(word, ..)| *word == self.expires)
    }

    fn end(&self, against: &Reading<'_>) -> Result<Option<DateTime<Utc>>, String> {
        match (self.expires.as_str(), against.kept) {
            (KEEP, Some(kept)) => Ok(kept),
            (ON, _) => {
                let day: NaiveDate =
                    self.expires_on.trim().parse().map_err(|_| "Choose the day on which it ends.".to_owned())?;
                // The beginning of that day where whoever chose it lives.
                let noon = day.and_time(NaiveTime::from_hms_opt(12, 0, 0).unwrap_or_default());
                let local = noon.and_local_timezone(against.viewer.zone).earliest();
                let at = local.map(|noon| start_of_day(noon.with_timezone(&Utc), against.viewer.zone));
                match at {
                    Some(at) if at > against.now => Ok(Some(at)),
                    _ => Err("This day has begun already. Choose a later one.".to_owned()),
                }
            }
            (word, _) => {
                let days = LIFETIMES.into_iter().find(|(one, ..)| *one == word).and_then(|(.., days)| days);
                Ok(days.map(|days| against.now + TimeDelta::days(days)))
            }
        }
    }

    fn read_models(&self, knows: &dyn Fn(&str) -> bool) -> Result<Option<Models>, String> {
        let models = Models::parse(entries(&self.models)).map_err(sentence)?;
        if let Some(unknown) = models.iter().flat_map(Models::iter).find(|model| !knows(model)) {
            return Err(format!("There is no model “{unknown}” here."));
        }
        Ok(models)
    }

    /// For how long a link works; a choice that is not offered counts as a week.
    #[must_use]
    pub fn link_lasts(&self) -> TimeDelta {
        let days = LINKS.into_iter().find(|(word, ..)| *word == self.lasts).map_or(7, |(.., days)| days);
        TimeDelta::days(days)
    }

    /// The fields again, each with what is wrong beside it.
    #[must_use]
    pub fn fields(&self, wrong: &Mistakes, kept: Option<Option<DateTime<Utc>>>, viewer: Viewer) -> KeyFields {
        let field = |name: &str, value: &str| Field { value: value.to_owned(), error: wrong.of(name) };
        let advanced = [
            self.byok.as_str(),
            self.models.as_str(),
            self.networks.as_str(),
            self.per_minute.as_str(),
            self.preset.as_str(),
        ];
        KeyFields {
            name: field("name", &self.name),
            total: field("total", &self.total),
            day: field("day", &self.day),
            week: field("week", &self.week),
            month: field("month", &self.month),
            expiries: self.expiry_choices(kept, viewer),
            expires_on: field("expires_on", &self.expires_on),
            zone: viewer.zone.name().replace('_', " "),
            byok: !self.byok.is_empty(),
            models: field("models", &self.models),
            networks: field("networks", &self.networks),
            per_minute: field("per_minute", &self.per_minute),
            preset: field("preset", &self.preset),
            advanced: advanced.iter().any(|value| !value.trim().is_empty()),
        }
    }

    fn expiry_choices(&self, kept: Option<Option<DateTime<Utc>>>, viewer: Viewer) -> Vec<Choice> {
        let kept = kept.flatten();
        let first = if kept.is_some() { KEEP } else { "never" };
        let offered = LIFETIMES.iter().any(|(word, ..)| *word == self.expires);
        let chosen = if offered || self.expires == ON { self.expires.as_str() } else { first };
        let keep =
            kept.map(|at| Choice::new(KEEP, &format!("As now: {}", viewer.moment_in_zone(at)), "", chosen == KEEP));
        let lifetimes = LIFETIMES.map(|(word, label, _)| Choice::new(word, label, "", chosen == word));
        let on = Choice::new(ON, "On a day", "", chosen == ON);
        keep.into_iter().chain(lifetimes).chain([on]).collect()
    }

    #[must_use]
    pub fn link_choices(&self) -> Vec<Choice> {
        let chosen = LINKS.into_iter().find(|(word, ..)| *word == self.lasts).map_or("7d", |(word, ..)| word);
        LINKS.map(|(word, label, _)| Choice::new(word, label, "", word == chosen)).to_vec()
    }
}

/// The limits alone, for several keys at once.
///
/// # Errors
/// The mistakes, by field.
pub fn limits_of(form: &KeyForm, undone: &str) -> Result<Limits, Mistakes> {
    let mut wrong = Mistakes::default();
    let limits = form.read_limits(&mut wrong, undone);
    if wrong.0.is_empty() { Ok(limits) } else { Err(wrong) }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',' || c == ';')
}

fn sentence(error: impl std::fmt::Display) -> String {
    format!("This {error}.").replacen("This “", "“", 1)
}

/// Blank is no limit, and zero is one: nothing that costs is called.
fn dollars(text: &str) -> Result<Option<Usd>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let limit = Usd::parse(text).map_err(sentence)?;
    if !limit.is_negative() {
        return Ok(Some(limit));
    }
    Err("A limit is not below zero. Write 10 or 2.50; 0 allows nothing that costs, and blank is no limit.".to_owned())
}

fn networks(text: &str) -> Result<Option<Networks>, String> {
    Networks::parse(entries(text)).map_err(sentence)
}

fn per_minute(text: &str) -> Result<Option<PerMinute>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    PerMinute::new(text.parse().unwrap_or(0)).map(Some).map_err(sentence)
}

/// The short name of a preset, from that or from how calls name it.
///
/// # Errors
/// A sentence about what is no such name.
pub fn preset(text: &str) -> Result<Option<Slug>, String> {
    let text = text.trim().trim_start_matches("@preset/");
    if text.is_empty() {
        return Ok(None);
    }
    Slug::parse(text).map(Some).map_err(|error| format!("The name of a preset {error}."))
}

/// A key that is bound to what is not there would only be refused.
fn bound(text: &str, found: Option<Status>) -> Result<Option<Slug>, String> {
    match (preset(text)?, found) {
        (None, _) => Ok(None),
        (slug, Some(Status::Active)) => Ok(slug),
        (Some(slug), Some(Status::Archived)) => {
            Err(format!("The preset “{slug}” is archived, so calls with this key would be refused."))
        }
        (Some(slug), None) => Err(format!("There is no preset “{slug}” here.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &KeyForm) -> Result<Asked, Mistakes> {
        let knows = |model: &str| model.starts_with("sandbox/");
        form.read(&Reading {
            now: DateTime::UNIX_EPOCH,
            viewer: Viewer::ANYBODY,
            knows: &knows,
            preset: (form.preset == "@preset/support").then_some(Status::Active),
            kept: None,
            undone: "No key was made.",
        })
    }

    fn named() -> KeyForm {
        KeyForm { name: " Laptop ".into(), ..KeyForm::default() }
    }

    #[test]
    fn the_id_of_a_new_key_is_of_the_moment_in_which_its_form_was_opened() {
        let now: DateTime<Utc> = "2026-11-22T10:00:00Z".parse().expect("a time");
        let read = |id: String| KeyForm { id, ..KeyForm::default() }.new_id(now);
        for hours in [-47, -1, 0] {
            let id = KeyId::floor(now + TimeDelta::hours(hours));
            assert_eq!(read(id.to_string()), Ok(id), "{hours}");
        }
        for hours in [-49, 1, 49] {
            assert_eq!(read(KeyId::floor(now + TimeDelta::hours(hours)).to_string()), Err(FormIdError::Old), "{hours}");
        }
        for id in [uuid::Uuid::nil(), uuid::Uuid::max()] {
            assert_eq!(read(KeyId(id).to_string()), Err(FormIdError::Old), "{id}");
        }
        assert_eq!(read("key_1".into()), Err(FormIdError::Damaged));
    }

    #[test]
    fn several_limits_stand_on_one_key() {
        let form = KeyForm { day: "$1".into(), month: "20".into(), expires: "7d".into(), ..named() };
        let asked = read(&form).expect("no mistakes");
        let limits =
            Limits { day: Some(Usd::from_cents(100)), month: Some(Usd::from_cents(2_000)), ..Limits::default() };
        assert_eq!((asked.limits, asked.name.as_str()), (limits, "Laptop"));
        assert_eq!(asked.expires_at, Some(DateTime::UNIX_EPOCH + TimeDelta::days(7)));
        // As the API writes it, so that such a key can be edited.
        let nothing = read(&KeyForm { total: "0".into(), ..named() }).expect("no mistakes");
        assert_eq!(nothing.limits, Limits { total: Some(Usd::ZERO), ..Limits::default() });
        let blank = read(&named()).expect("no mistakes");
        assert_eq!((blank.limits, blank.expires_at, blank.rules), (Limits::default(), None, Rules::default()));
    }

    #[test]
    fn rules_are_read_with_whatever_stands_between_them() {
        let form = KeyForm {
            models: "sandbox/echo\r\nsandbox/free, ".into(),
            networks: "203.0.113.7; 10.0.0.0/8".into(),
            per_minute: " 60 ".into(),
            preset: "@preset/support".into(),
            ..named()
        };
        let rules = read(&form).expect("no mistakes").rules;
        assert_eq!(rules.models.iter().flat_map(Models::iter).count(), 2);
        assert_eq!(rules.networks.iter().flat_map(Networks::iter).count(), 2);
        assert_eq!(rules.per_minute.map(PerMinute::get), Some(60));
        assert_eq!(rules.preset.as_ref().map(Slug::as_str), Some("support"));
    }

    #[test]
    fn each_mistake_is_told_beside_its_field() {
        let form = KeyForm {
            name: String::new(),
            total: "-0.01".into(),
            day: "ten".into(),
            week: "-1".into(),
            month: "0.0000000000001".into(),
            models: "sandbox/echo other/model".into(),
            networks: "300.1.1.1".into(),
            per_minute: "many".into(),
            preset: "No Slug".into(),
            expires: "on".into(),
            expires_on: "1969-12-31".into(),
            ..KeyForm::default()
        };
        let wrong = read(&form).err().expect("mistakes");
        let fields = form.fields(&wrong, None, Viewer::ANYBODY);
        let all = [
            &fields.name,
            &fields.total,
            &fields.day,
            &fields.week,
            &fields.month,
            &fields.models,
            &fields.networks,
            &fields.per_minute,
            &fields.preset,
            &fields.expires_on,
        ];
        for field in all {
            assert!(field.error.ends_with("No key was made."), "{}: {}", field.value, field.error);
        }
        assert!(fields.models.error.starts_with("There is no model “other/model”"), "{}", fields.models.error);
        assert!(fields.networks.error.starts_with("“300.1.1.1” is not"), "{}", fields.networks.error);
        assert!(fields.advanced, "a mistake is not hidden");
    }

    #[test]
    fn a_key_is_bound_to_nothing_that_is_not_there() {
        assert_eq!(bound(" ", None), Ok(None));
        assert!(bound("support", Some(Status::Active)).is_ok_and(|slug| slug.is_some()));
        assert_eq!(bound("@preset/none", None), Err("There is no preset “none” here.".to_owned()));
        assert!(bound("old", Some(Status::Archived)).is_err_and(|told| told.contains("is archived")));
    }

    #[test]
    fn a_day_begins_where_its_chooser_lives() {
        let viewer = Viewer { zone: chrono_tz::Asia::Tokyo, ..Viewer::ANYBODY };
        let form = KeyForm { expires: "on".into(), expires_on: "2027-03-01".into(), ..named() };
        let against =
            |kept| Reading { now: DateTime::UNIX_EPOCH, viewer, knows: &|_| true, preset: None, kept, undone: "" };
        let at = form.read(&against(None)).expect("no mistakes").expires_at;
        assert_eq!(at.map(|at| at.to_rfc3339()).as_deref(), Some("2027-02-28T15:00:00+00:00"));
        let form = KeyForm { expires: "keep".into(), ..named() };
        assert_eq!(form.read(&against(Some(at))).expect("no mistakes").expires_at, at);
        assert_eq!(form.read(&against(None)).expect("no mistakes").expires_at, None, "a new key has nothing to keep");
    }
}
