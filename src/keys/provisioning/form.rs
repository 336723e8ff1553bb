//! What the form for a new provisioning key asks.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::base::Usd;
use crate::base::slug::Slug;
use crate::keys::issue::NewKey;
use crate::keys::key::{KeyKind, KeyName, Powers};
use crate::keys::rules::{Models, Rules};
use crate::ledger::Limits;
use crate::web::views::{Choice, Field};

/// Lifetimes that are offered: the word, the label, and days.
const LIFETIMES: [(&str, &str, Option<i64>); 5] = [
    ("30d", "In 30 days", Some(30)),
    ("90d", "In 90 days", Some(90)),
    ("180d", "In 180 days", Some(180)),
    ("365d", "In a year", Some(365)),
    ("never", "Never", None),
];
const DEFAULT_LIFETIME: &str = "90d";

/// The fields as they were sent.
#[derive(Clone, Default, Deserialize)]
pub struct ProvisioningForm {
    /// The id that the key will have.
    pub id: String,
    #[serde(default)]
    pub name: String,
    /// `on` where it is ticked.
    #[serde(default)]
    pub may_manage: String,
    #[serde(default)]
    pub may_call: String,
    #[serde(default)]
    pub total: String,
    #[serde(default)]
    pub day: String,
    #[serde(default)]
    pub week: String,
    #[serde(default)]
    pub month: String,
    #[serde(default)]
    pub expires: String,
    #[serde(default)]
    pub models: String,
    #[serde(default)]
    pub preset: String,
}

/// The fields, each with what is wrong beside it.
#[derive(Default)]
pub struct Checked {
    pub name: Field,
    /// Said where neither of the two is ticked.
    pub powers: String,
    pub total: Field,
    pub day: Field,
    pub week: Field,
    pub month: Field,
    pub models: Field,
    pub preset: Field,
}

impl ProvisioningForm {
    #[must_use]
    pub fn fresh(id: String) -> ProvisioningForm {
        ProvisioningForm { id, may_manage: "on".into(), expires: DEFAULT_LIFETIME.into(), ..Self::default() }
    }

    /// The form as it was sent, without a mistake.
    #[must_use]
    pub fn unchecked(&self) -> Checked {
        Checked {
            name: Field::of(&self.name),
            powers: String::new(),
            total: Field::of(&self.total),
            day: Field::of(&self.day),
            week: Field::of(&self.week),
            month: Field::of(&self.month),
            models: Field::of(&self.models),
            preset: Field::of(&self.preset),
        }
    }

    /// # Errors
    /// The fields with their mistakes. An end that is not offered counts as the usual one.
    pub fn read(&self, now: DateTime<Utc>) -> Result<NewKey, Box<Checked>> {
        let mut checked = self.unchecked();
        let mut wrong = false;
        let mut tell = |field: &mut Field, problem: String| {
            wrong = true;
            field.error = problem;
        };
        let name = KeyName::parse(&self.name).map_err(|error| tell(&mut checked.name, format!("The key {error}.")));
        let limits = Limits {
            total: limit(&self.total).unwrap_or_else(|told| {
                tell(&mut checked.total, told);
                None
            }),
            day: limit(&self.day).unwrap_or_else(|told| {
                tell(&mut checked.day, told);
                None
            }),
            week: limit(&self.week).unwrap_or_else(|told| {
                tell(&mut checked.week, told);
                None
            }),
            month: limit(&self.month).unwrap_or_else(|told| {
                tell(&mut checked.month, told);
                None
            }),
        };
        let models = Models::parse(self.models.split([',', '\n', ' ', '\r']));
        let models = models.unwrap_or_else(|error| {
            tell(&mut checked.models, format!("This {error}."));
            None
        });
        let preset = match self.preset.trim() {
            "" => None,
            slug => Slug::parse(slug).map(Some).unwrap_or_else(|error| {
                tell(&mut checked.preset, format!("The name of a preset {error}."));
                None
            }),
        };
        let powers = Powers { manage: self.may_manage == "on", call: self.may_call == "on" };
        if !powers.manage && !powers.call {
            wrong = true;
            checked.powers = "Tick at least one of the two. No key was made.".to_owned();
        }
        match name {
            Ok(name) if !wrong => Ok(NewKey {
                powers,
                limits,
                expires_at: self.expires_at(now),
                rules: Rules { models, preset, ..Rules::default() },
                ..NewKey::named(name, KeyKind::Provisioning)
            }),
            _ => Err(Box::new(checked)),
        }
    }

    fn expires_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let known = |word: &str| LIFETIMES.into_iter().find(|(one, ..)| *one == word);
        let (_, _, days) = known(&self.expires).or_else(|| known(DEFAULT_LIFETIME))?;
        days.map(|days| now + TimeDelta::days(days))
    }

    #[must_use]
    pub fn expiry_choices(&self) -> Vec<Choice> {
        LIFETIMES.map(|(word, label, _)| Choice::new(word, label, "", word == self.expires)).to_vec()
    }
}

/// Blank is no limit.
fn limit(text: &str) -> Result<Option<Usd>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    match Usd::parse(text) {
        Ok(limit) if limit.is_positive() => Ok(Some(limit)),
        Ok(_) => Err("A limit is more than nothing, such as 10 or 2.50. Leave it blank for none.".to_owned()),
        Err(error) => Err(format!("This {error}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_windows_and_rules_stand_on_one_key() {
        let form = ProvisioningForm {
            name: "Friends".into(),
            day: "1".into(),
            month: "$20".into(),
            models: "a/b, c/d\n".into(),
            preset: "careful".into(),
            expires: "never".into(),
            ..ProvisioningForm::fresh(String::new())
        };
        let new = form.read(DateTime::UNIX_EPOCH).ok().expect("a key");
        assert_eq!((new.limits.day, new.limits.month), (Some(Usd::from_cents(100)), Some(Usd::from_cents(2_000))));
        assert_eq!((new.powers, new.expires_at), (Powers { manage: true, call: false }, None));
        assert_eq!(new.rules.models.map(|models| models.iter().count()), Some(2));
        assert_eq!(new.rules.preset.map(|slug| slug.as_str().to_owned()), Some("careful".to_owned()));
    }

    #[test]
    fn each_mistake_is_told_beside_its_field_and_all_at_once() {
        let form = ProvisioningForm {
            day: "-1".into(),
            week: "x".into(),
            models: "GPT".into(),
            preset: "A b".into(),
            ..ProvisioningForm::default()
        };
        let checked = form.read(DateTime::UNIX_EPOCH).expect_err("mistakes");
        let told = [&checked.name, &checked.day, &checked.week, &checked.models, &checked.preset];
        assert!(told.iter().all(|field| !field.error.is_empty()) && !checked.powers.is_empty());
        assert!(checked.total.error.is_empty() && checked.month.error.is_empty());
        assert_eq!(checked.week.value, "x");
        let ends =
            ProvisioningForm { name: "a".into(), expires: "eternity".into(), ..ProvisioningForm::fresh(String::new()) };
        let new = ends.read(DateTime::UNIX_EPOCH).ok().expect("a key");
        assert_eq!(new.expires_at, Some(DateTime::UNIX_EPOCH + TimeDelta::days(90)));
    }
}
