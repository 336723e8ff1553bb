//! What the form for a new provisioning key asks: what that of every key asks, and what it may do.

use serde::Deserialize;

use crate::keys::issue::NewKey;
use crate::keys::key::{KeyKind, Powers};
use crate::keys::key_form::{KeyForm, Mistakes, Reading};

const DEFAULT_LIFETIME: &str = "90d";

/// The fields as they were sent.
#[derive(Clone, Default, Deserialize)]
pub struct ProvisioningForm {
    #[serde(flatten)]
    pub key: KeyForm,
    /// `on` where it is ticked.
    #[serde(default)]
    pub may_manage: String,
    #[serde(default)]
    pub may_call: String,
}

/// What is wrong.
#[derive(Default, Debug)]
pub struct Wrong {
    pub fields: Mistakes,
    /// Said where neither of the two is ticked.
    pub powers: &'static str,
}

impl ProvisioningForm {
    #[must_use]
    pub fn fresh(id: String) -> ProvisioningForm {
        let key = KeyForm { id, expires: DEFAULT_LIFETIME.into(), ..KeyForm::default() };
        ProvisioningForm { key, may_manage: "on".into(), may_call: String::new() }
    }

    /// # Errors
    /// The mistakes. An end that is not offered counts as the usual one: that such a key never ends is for somebody to choose.
    pub fn read(&self, against: &Reading<'_>) -> Result<NewKey, Wrong> {
        let powers = Powers { manage: self.may_manage == "on", call: self.may_call == "on" };
        let told = if powers.manage || powers.call { "" } else { "Tick at least one of the two. No key was made." };
        let mut form = self.key.clone();
        if !form.names_an_end(against) {
            DEFAULT_LIFETIME.clone_into(&mut form.expires);
        }
        match form.read(against) {
            Ok(asked) if told.is_empty() => Ok(NewKey { kind: KeyKind::Provisioning, powers, ..asked.into_new() }),
            read => Err(Wrong { fields: read.err().unwrap_or_default(), powers: told }),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::base::{Usd, Viewer};
    use crate::presets::Status;

    fn read(form: &ProvisioningForm) -> Result<NewKey, Wrong> {
        form.read(&Reading {
            now: DateTime::UNIX_EPOCH,
            viewer: Viewer::ANYBODY,
            knows: &|_| true,
            preset: Some(Status::Active),
            kept: None,
            undone: "No key was made.",
        })
    }

    #[test]
    fn every_rule_of_a_key_stands_on_one_that_issues_keys() {
        let fresh = ProvisioningForm::fresh(String::new());
        let key = KeyForm {
            name: "Friends".into(),
            day: "1".into(),
            month: "$20".into(),
            byok: "on".into(),
            models: "a/b, c/d\n".into(),
            networks: "10.0.0.0/8".into(),
            per_minute: "60".into(),
            preset: "careful".into(),
            expires: "never".into(),
            ..fresh.key.clone()
        };
        let new = read(&ProvisioningForm { key, ..fresh }).expect("a key");
        assert_eq!((new.limits.day, new.limits.month), (Some(Usd::from_cents(100)), Some(Usd::from_cents(2_000))));
        assert_eq!((new.kind, new.powers), (KeyKind::Provisioning, Powers { call: false, manage: true }));
        assert!(new.include_byok && new.expires_at.is_none());
        let rules = new.rules;
        assert!(
            rules.models.is_some() && rules.networks.is_some() && rules.per_minute.is_some() && rules.preset.is_some()
        );
    }

    #[test]
    fn mistakes_are_told_all_at_once_and_an_end_is_not_lost() {
        let key = KeyForm { day: "-1".into(), ..KeyForm::default() };
        let wrong = read(&ProvisioningForm { key: key.clone(), ..ProvisioningForm::default() }).expect_err("mistakes");
        let fields = key.fields(&wrong.fields, None, Viewer::ANYBODY);
        assert!(!fields.name.error.is_empty() && !fields.day.error.is_empty() && !wrong.powers.is_empty());
        let fresh = ProvisioningForm::fresh(String::new());
        let key = KeyForm { name: "a".into(), expires: "eternity".into(), ..fresh.key.clone() };
        let new = read(&ProvisioningForm { key, ..fresh }).expect("a key");
        assert_eq!(new.expires_at, Some(DateTime::UNIX_EPOCH + TimeDelta::days(90)));
    }
}
